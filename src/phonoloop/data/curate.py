"""Which clips can be trained on: the gates, and the text each clip is trained towards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from phonoloop.core.events import DATASET_NEW_SAMPLE, DATASET_READY, Event
from phonoloop.core.ports import Transaction
from phonoloop.core.units import samples_to_ms, seconds_to_hours
from phonoloop.data import pseudo
from phonoloop.data.correct import is_restored, restored_confidence
from phonoloop.data.model import Clip, ClipStatus, Provenance, Recording, Split, Transcript
from phonoloop.data.revisions import recording_of
from phonoloop.data.stores import Stores, in_transaction
from phonoloop.text.normalise import for_training

NO_TRANSCRIPT = "transcript.none"
UNALIGNED = "transcript.unaligned"

#: hours of train speech that the last training had, asked for inside a unit of work
TrainedHours = Callable[[Transaction], float]


@dataclass(frozen=True, slots=True)
class CurateRules:
    """The gates.

    Attributes:
        min_chars_per_s, max_chars_per_s: a text outside does not fit its audio; read Vietnamese runs
            at about 12.
        min_confidence: least confidence of a machine's text that is trained on.
        max_disagreement: most word errors between two recognisers, 0 to 1, on a text that is trained on.
        ready_hours: hours of train speech that no training had yet, at which `dataset.ready` is told.
    """

    min_duration_s: float = 0.5
    max_duration_s: float = 30.0
    min_snr_db: float = 5.0
    min_chars_per_s: float = 0.2
    max_chars_per_s: float = 30.0
    min_confidence: float = 0.9
    max_disagreement: float = 0.1
    ready_hours: float = 5.0


def never_trained(tx: Transaction) -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class _Target:
    """What a clip is to be trained towards; None as text where the transcript does not say.

    Attributes:
        confidence: None where the recogniser gives none.
        fault: why the recogniser's text was not taken.
        disagreement: of a second opinion; None where nobody else was asked.
        language: of the text; empty where nobody said.
    """

    text: str | None
    provenance: Provenance | None = None
    confidence: float | None = 0.0
    revision: int = 0
    fault: str = ""
    disagreement: float | None = None
    language: str = ""


def curate(
    stores: Stores, audio_id: str, rules: CurateRules, trained_hours: TrainedHours = never_trained
) -> list[Clip]:
    """The stage: judges every clip of a recording anew, and tells of those that are newly accepted.

    Raises:
        NotFoundError: `recording.missing`.
    """
    return in_transaction(stores.records, lambda tx: curate_in(tx, audio_id, rules, trained_hours))


def curate_all(
    stores: Stores, rules: CurateRules, trained_hours: TrainedHours = never_trained
) -> Mapping[ClipStatus, int]:
    """Judges every clip there is, as after a change of the rules; says how many are in which state."""
    with stores.records.transaction() as tx:
        names = [recording.audio_id for recording in tx.find(Recording)]
    counts = dict.fromkeys(ClipStatus, 0)
    for name in names:
        for clip in curate(stores, name, rules, trained_hours):
            counts[clip.status] += 1
    return counts


def curate_in(
    tx: Transaction, audio_id: str, rules: CurateRules, trained_hours: TrainedHours = never_trained
) -> list[Clip]:
    """As `curate`, inside a unit of work that is under way."""
    recording = recording_of(tx, audio_id)
    transcript = tx.get(Transcript, audio_id)
    before = tx.find(Clip, audio_id=audio_id, order_by="start_sample")
    by_machine = transcript is not None and transcript.provenance == Provenance.MACHINE
    usual = pseudo.usual_rate(tx) if by_machine else pseudo.SpeechRate()
    targets = [_target(clip, recording, transcript, len(before)) for clip in before]
    after = [_judged(clip, target, rules, usual) for clip, target in zip(before, targets, strict=True)]
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    if changed:
        tx.put(*(new for _, new in changed))
    accepted = [new for old, new in changed if _is_news(old, new)]
    for clip in accepted:
        tx.emit(_new_sample(clip))
    if any(clip.split == Split.TRAIN for clip in accepted):
        _tell_if_ready(tx, rules, trained_hours(tx))
    return after


def _target(clip: Clip, recording: Recording, transcript: Transcript | None, clips: int) -> _Target:
    if transcript is None:
        return _Target(None)
    text = _spoken(clip, recording, transcript, clips)
    language = transcript.language or recording.language
    inside = [segment for segment in transcript.segments if _is_within(segment, clip)]
    if transcript.provenance == Provenance.MACHINE and inside:
        target = _machine_target(inside)
    elif transcript.provenance == Provenance.SIDECAR and is_restored(transcript):
        target = _Target(None, Provenance.MACHINE, restored_confidence(transcript))
    else:
        target = _Target(None, transcript.provenance, transcript.confidence if text is not None else 0.0)
    return replace(target, text=text, revision=transcript.revision, language=language)


def _machine_target(inside: Sequence[Mapping[str, Any]]) -> _Target:
    """What a recogniser told of its segments: the least sure one counts."""
    confidences = [segment.get("confidence") for segment in inside]
    opinions = [segment["second"]["disagreement"] for segment in inside if segment.get("second")]
    return _Target(
        None,
        Provenance.MACHINE,
        None if None in confidences else min(confidences),
        fault=next((segment["fault"] for segment in inside if segment.get("fault")), ""),
        disagreement=max(opinions, default=None),
    )


def _spoken(clip: Clip, recording: Recording, transcript: Transcript, clips: int) -> str | None:
    """The text within the clip, as it was said."""
    whole = clip.end_sample - clip.start_sample == recording.samples
    if whole or (clips == 1 and not transcript.segments):
        return transcript.text_with_diacritics or transcript.text_clean or transcript.text
    if not transcript.segments:
        return None
    inside = [segment for segment in transcript.segments if _is_within(segment, clip)]
    return " ".join(segment.get("spoken") or segment["text"] for segment in inside)


def _is_within(segment: Mapping[str, Any], clip: Clip) -> bool:
    middle_ms = (segment["start_ms"] + segment["end_ms"]) / 2
    return samples_to_ms(clip.start_sample) <= middle_ms < samples_to_ms(clip.end_sample)


def _judged(clip: Clip, target: _Target, rules: CurateRules, usual: pseudo.SpeechRate) -> Clip:
    text = for_training(target.text or "", target.language)
    status, reason = _verdict(replace(clip, text=text), target, rules, usual)
    return replace(
        clip,
        status=status,
        reason=reason,
        text=text if status == ClipStatus.ACCEPTED else "",
        provenance=target.provenance,
        confidence=target.confidence or 0.0,
        transcript_revision=target.revision,
    )


def _verdict(
    clip: Clip, target: _Target, rules: CurateRules, usual: pseudo.SpeechRate
) -> tuple[ClipStatus, str]:
    if refused := _audio_fault(clip, rules):
        return ClipStatus.REFUSED, refused
    if target.provenance is None:
        return ClipStatus.WAITING, NO_TRANSCRIPT
    if target.text is None:
        return ClipStatus.WAITING, UNALIGNED
    by_machine = target.provenance == Provenance.MACHINE
    if by_machine and (refused := target.fault or pseudo.text_fault(clip.text)):
        return ClipStatus.REFUSED, refused
    if refused := _text_fault(clip, rules):
        return ClipStatus.REFUSED, refused
    if by_machine and (refused := pseudo.rate_fault(clip.text, clip.duration_s, usual)):
        return ClipStatus.REFUSED, refused
    if by_machine and (waits := _machine_fault(clip.split, target, rules)):
        return ClipStatus.WAITING, waits
    return ClipStatus.ACCEPTED, ""


def _audio_fault(clip: Clip, rules: CurateRules) -> str:
    if clip.duration_s < rules.min_duration_s:
        return "clip.too_short"
    if clip.duration_s > rules.max_duration_s:
        return "clip.too_long"
    return "" if clip.snr_db >= rules.min_snr_db else "clip.noisy"


def _text_fault(clip: Clip, rules: CurateRules) -> str:
    if not clip.text:
        return "text.empty"
    chars_per_s = len(clip.text) / clip.duration_s
    if chars_per_s < rules.min_chars_per_s:
        return "text.too_short_for_audio"
    return "text.too_long_for_audio" if chars_per_s > rules.max_chars_per_s else ""


def _machine_fault(split: Split, target: _Target, rules: CurateRules) -> str:
    """What a machine wrote is trained on where it can be believed, and never tested on."""
    if split != Split.TRAIN:
        return "text.needs_person"
    return pseudo.trust_fault(
        target.confidence,
        target.disagreement,
        least=rules.min_confidence,
        most_disagreement=rules.max_disagreement,
    )


def _is_news(old: Clip, new: Clip) -> bool:
    return new.status == ClipStatus.ACCEPTED and (old.status, old.text) != (new.status, new.text)


def _new_sample(clip: Clip) -> Event:
    data = {
        "clip_id": clip.clip_id,
        "audio_id": clip.audio_id,
        "split": str(clip.split),
        "revision": clip.transcript_revision,
    }
    return Event(DATASET_NEW_SAMPLE, clip.clip_id, data)


def accepted_hours(tx: Transaction, split: Split) -> float:
    return seconds_to_hours(tx.total(Clip, "duration_s", split=split, status=ClipStatus.ACCEPTED))


def _tell_if_ready(tx: Transaction, rules: CurateRules, since_hours: float) -> None:
    """The event holds nothing that changes until the next training, so it is told once."""
    if accepted_hours(tx, Split.TRAIN) - since_hours < rules.ready_hours:
        return
    data = {"since_hours": round(since_hours, 6), "threshold_hours": rules.ready_hours}
    tx.emit(Event(DATASET_READY, str(Split.TRAIN), data))


def waiting_clips(tx: Transaction, reason: str) -> Sequence[Clip]:
    return tx.find(Clip, status=ClipStatus.WAITING, reason=reason)
