"""From a file to a recording: decoded, named by its audio, measured, cut, stored, recorded, told."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from phonoloop.audio.decode import Decoded
from phonoloop.audio.quality import Quality, measure
from phonoloop.audio.segment import cut_at_pauses
from phonoloop.audio.wav import wav_bytes
from phonoloop.core.errors import AudioError, InputError, ManifestError, UnavailableError
from phonoloop.core.events import RECORDING_INGESTED, Event
from phonoloop.core.ids import audio_id as audio_id_of
from phonoloop.core.ids import clip_id, content_id
from phonoloop.core.ports import Transaction
from phonoloop.core.speech import Span, SpeechDetector
from phonoloop.core.units import CANONICAL_RATE_HZ, ms_to_samples, samples_to_seconds, seconds_to_samples
from phonoloop.data.model import AuditEntry, Clip, IntakeOutcome, Recording, Split
from phonoloop.data.revisions import sidecar_transcript, take_sidecar_text
from phonoloop.data.sidecar import Sidecar, TimedText, read_sidecars
from phonoloop.data.split import (
    SpeakerClaim,
    SplitRule,
    enrol,
    forgotten_error,
    forgotten_key,
    speaker_id_of,
)
from phonoloop.data.stores import Stores, in_transaction

INGESTED, DUPLICATE, REFUSED, SKIPPED = "ingested", "duplicate", "refused", "skipped"
_SMALL_FILE_BYTES = 64 * 1024 * 1024


class AudioDecoder(Protocol):
    """See `phonoloop.audio.decode.Decoder`."""

    def decode(self, path: Path, rate_hz: int = CANONICAL_RATE_HZ) -> Decoded: ...


@dataclass(frozen=True, slots=True)
class IngestRules:
    """What is taken in, and how it is cut.

    Attributes:
        min_duration_s: shorter files are refused.
        max_clip_s: longer recordings are cut at pauses.
        silent_below_dbfs: a recording whose loudest sample is below is refused as silent.
        language: of recordings that do not name theirs.
    """

    min_duration_s: float = 0.3
    max_clip_s: float = 30.0
    silent_below_dbfs: float = -60.0
    language: str = ""
    split: SplitRule = field(default_factory=SplitRule)


@dataclass(frozen=True)
class IngestContext(Stores):
    """Everything that taking in a file needs."""

    decoder: AudioDecoder
    detector: SpeechDetector
    rules: IngestRules = field(default_factory=IngestRules)


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of a file besides its content.

    Attributes:
        name: what the file is listed as; its file name if empty.
        speaker: said by hand: counts more than the sidecar.
        folder_speaker: the folder it lay in: counts less than the sidecar.
        session: stands in for the speaker where nobody names one; the recording itself if empty.
        sidecar: what would lie beside the file; looked for there if None.
    """

    name: str = ""
    speaker: str = ""
    folder_speaker: str = ""
    session: str = ""
    sidecar: Sidecar | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """A file as it was when it was read. `content`: its bytes, or the path of a large one."""

    path: Path
    name: str
    sha256: str
    content: bytes | Path
    stamp: tuple[int, int]

    @property
    def outcome_id(self) -> str:
        return outcome_id(self.name, self.sha256)

    @property
    def key(self) -> str:
        suffix = self.path.suffix.lower()
        kept = suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""
        return f"audio/original/{self.sha256[:2]}/{self.sha256}{kept}"


def outcome_id(name: str, sha256: str = "") -> str:
    """One outcome a name and content: offering the same file twice is offering it once."""
    return content_id(["intake", name, sha256])


def printable_name(path: Path) -> str:
    """A file's name as text that can be recorded, also where its bytes are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def ingest_file(context: IngestContext, path: Path, hints: Hints | None = None) -> IntakeOutcome:
    """Takes a file in. What cannot be used is an outcome with a reason; the file stays where it is.

    Returns:
        The outcome as recorded; for a file that was taken in before, under the same name, one with
        the code `duplicate.again`, and the records stay as they are.

    Raises:
        ResourceError, UnavailableError: the same file may be taken in later.
    """
    hints = hints or Hints()
    name = hints.name or printable_name(Path(path.name))
    try:
        source = _read_source(path, name)
    except InputError as error:
        return _refuse(context, outcome_id(name), name, path, error)
    try:
        return _take_in(context, source, hints)
    except InputError as error:
        return _refuse(context, source.outcome_id, name, path, error)


def _read_source(path: Path, name: str) -> _Source:
    try:
        if not path.is_file():  # a pipe would never end
            raise _no_file(path)
        with path.open("rb") as stream:
            stat = os.fstat(stream.fileno())
            small = stat.st_size <= _SMALL_FILE_BYTES
            content = stream.read() if small else path
            digest = hashlib.sha256(content) if small else hashlib.file_digest(stream, "sha256")
    except OSError as error:
        raise _unreadable(path, error) from error
    return _Source(path, name, digest.hexdigest(), content, (stat.st_size, stat.st_mtime_ns))


def _no_file(path: Path) -> AudioError:
    if path.exists():
        return AudioError(
            "it is not a plain file",
            code="audio.not_a_file",
            subject=printable_name(path),
            hint="Name a file, or a folder of files",
        )
    return AudioError(
        "there is no such file",
        code="audio.missing",
        subject=printable_name(path),
        hint="It may have been moved or deleted before it was read: check the path",
    )


def _unreadable(path: Path, error: OSError) -> AudioError:
    if isinstance(error, FileNotFoundError):
        return _no_file(path)
    return AudioError(
        f"the file cannot be read ({error.strerror})",
        code="audio.unreadable",
        subject=printable_name(path),
        hint="Check its permissions and offer it again",
    )


def _take_in(context: IngestContext, source: _Source, hints: Hints) -> IntakeOutcome:
    sidecar = hints.sidecar if hints.sidecar is not None else read_sidecars(source.path)
    decoded = context.decoder.decode(source.path)
    _check_unchanged(source)
    recording = _recording(context.rules, source, decoded, sidecar)
    claim = _claim(hints, sidecar, recording.audio_id)
    clips: Sequence[Clip] = ()
    if not _is_known(context, recording):
        clips = _clips(context, recording, decoded.pcm, sidecar)
        if not clips:
            raise _no_speech(source)
        _store(context, recording, source, decoded.pcm)
    new = _New(source, recording, clips, claim, sidecar)
    try:
        return in_transaction(context.records, lambda tx: _record(tx, new, context.rules))
    except InputError as error:
        _take_back(context, recording, forgotten=error.code == "speaker.forgotten")
        raise


def _take_back(context: IngestContext, recording: Recording, *, forgotten: bool) -> None:
    """Audio that was stored and may not be recorded. Killed before, the file is offered and refused again."""
    with context.records.transaction() as tx:
        known = tx.get(Recording, recording.audio_id)
    if known is None or forgotten:  # one that is still there is about to be deleted
        context.blobs.delete(recording.path)
        context.blobs.delete(recording.original_key)


def _check_unchanged(source: _Source) -> None:
    try:
        stat = source.path.stat()
    except OSError as error:
        raise _unreadable(source.path, error) from error
    if (stat.st_size, stat.st_mtime_ns) != source.stamp:
        raise UnavailableError(
            "the file changed while it was read",
            code="audio.changed",
            subject=printable_name(source.path),
            hint="Wait until it is written, then offer it again",
        )


def _recording(rules: IngestRules, source: _Source, decoded: Decoded, sidecar: Sidecar) -> Recording:
    """Everything but the speaker and the split, which only the records know.

    Raises:
        AudioError: `audio.too_short`, `audio.silent`.
    """
    pcm = decoded.pcm
    if len(pcm) < seconds_to_samples(rules.min_duration_s):
        raise _too_short(source, len(pcm), rules)
    quality = measure(pcm, CANONICAL_RATE_HZ)
    if quality.peak_dbfs < rules.silent_below_dbfs:
        raise _silent(source, quality)
    name = audio_id_of(memoryview(pcm).cast("B"))
    return Recording(
        audio_id=name,
        speaker_id="",
        split=Split.TRAIN,
        path=f"audio/raw/{name}.wav",
        original_key=source.key,
        original_sha256=source.sha256,
        original_name=source.name,
        samples=len(pcm),
        duration_s=samples_to_seconds(len(pcm)),
        sample_rate_hz=decoded.source_rate_hz,
        channels=decoded.channels,
        container=decoded.container,
        snr_db=quality.snr_db,
        clipping_share=quality.clipping_share,
        silence_share=quality.silence_share,
        loudness_lufs=quality.loudness_lufs,
        bandwidth_hz=quality.bandwidth_hz,
        language=sidecar.language or rules.language,
        device=sidecar.device,
        environment=sidecar.environment,
        licence=sidecar.licence,
        consent=sidecar.consent,
        attributes=_attributes(sidecar, decoded),
    )


def _attributes(sidecar: Sidecar, decoded: Decoded) -> dict[str, Any]:
    known = {"dialect": sidecar.dialect, "codec": decoded.codec, "truncated": decoded.truncated}
    return {**sidecar.attributes, **{name: value for name, value in known.items() if value}}


def _too_short(source: _Source, samples: int, rules: IngestRules) -> AudioError:
    return AudioError(
        f"{samples_to_seconds(samples):.2f} s of audio is too short",
        code="audio.too_short",
        subject=source.name,
        hint=f"Give at least {rules.min_duration_s} s",
    )


def _silent(source: _Source, quality: Quality) -> AudioError:
    return AudioError(
        f"nothing is heard in it (its loudest sample is at {quality.peak_dbfs:.0f} dBFS)",
        code="audio.silent",
        subject=source.name,
        hint="Check the microphone and its level, and record again",
    )


def _no_speech(source: _Source) -> AudioError:
    return AudioError(
        "nobody speaks in it",
        code="audio.no_speech",
        subject=source.name,
        hint="If somebody does, put the times and the text beside it (segments in a .json)",
    )


def _claim(hints: Hints, sidecar: Sidecar, audio_id: str) -> SpeakerClaim:
    """By hand, else the sidecar, else the folder; else the session stands in."""
    named = hints.speaker or sidecar.speaker or hints.folder_speaker
    if named:
        return SpeakerClaim(speaker_id_of(named))
    stand_in = f"session:{hints.session}" if hints.session else f"recording:{audio_id}"
    return SpeakerClaim(speaker_id_of(stand_in), weak=True)


def _is_known(context: IngestContext, recording: Recording) -> bool:
    if context.blobs.stat(recording.path) is None:
        return False
    return in_transaction(context.records, lambda tx: tx.get(Recording, recording.audio_id)) is not None


def _clips(context: IngestContext, recording: Recording, pcm: np.ndarray, sidecar: Sidecar) -> list[Clip]:
    return [_clip(recording, span, pcm) for span in _spans(context, recording, pcm, sidecar)]


def _spans(context: IngestContext, recording: Recording, pcm: np.ndarray, sidecar: Sidecar) -> list[Span]:
    """Along the sidecar's segments; else the whole, or cut at pauses where that is too long."""
    if segments := [segment for segment in sidecar.segments if segment.text]:
        return [_segment_span(segment, recording) for segment in segments]
    if recording.duration_s <= context.rules.max_clip_s:
        return [Span(0, len(pcm))]
    return cut_at_pauses(pcm, context.detector, max_s=context.rules.max_clip_s)


def _segment_span(segment: TimedText, recording: Recording) -> Span:
    start = ms_to_samples(segment.start_ms)
    end = min(ms_to_samples(segment.end_ms), recording.samples)
    if start >= end:
        raise ManifestError(
            f"a segment begins at {segment.start_ms} ms, the recording ends before",
            code="sidecar.segments",
            subject=recording.original_name,
            hint="Segments are in milliseconds from the start of the recording",
        )
    return Span(start, end)


def _clip(recording: Recording, span: Span, pcm: np.ndarray) -> Clip:
    whole = span.samples == recording.samples
    return Clip(
        clip_id=clip_id(recording.audio_id, span.start, span.end),
        audio_id=recording.audio_id,
        speaker_id="",
        split=Split.TRAIN,
        start_sample=span.start,
        end_sample=span.end,
        duration_s=samples_to_seconds(span.samples),
        snr_db=recording.snr_db if whole else _span_snr_db(pcm, span),
    )


def _span_snr_db(pcm: np.ndarray, span: Span) -> float:
    return measure(pcm[span.start : span.end], CANONICAL_RATE_HZ).snr_db


def _store(context: IngestContext, recording: Recording, source: _Source, pcm: np.ndarray) -> None:
    """The canonical copy last: where it is, the original is too."""
    try:
        context.blobs.put(recording.original_key, source.content)
    except (FileNotFoundError, InputError) as error:
        if source.path.is_file():
            raise
        raise _no_file(source.path) from error
    context.blobs.put(recording.path, wav_bytes(pcm))


@dataclass(frozen=True, slots=True)
class _New:
    """What would be recorded; the speaker and the split are filled in as it is."""

    source: _Source
    recording: Recording
    clips: Sequence[Clip]
    claim: SpeakerClaim
    sidecar: Sidecar


def _record(tx: Transaction, new: _New, rules: IngestRules) -> IntakeOutcome:
    if tx.get(AuditEntry, forgotten_key(new.recording.audio_id)) is not None:
        raise forgotten_error(new.source.name, "the speaker in this recording")
    known = tx.get(Recording, new.recording.audio_id)
    if known is not None:
        return _record_duplicate(tx, new, known)
    if not new.clips:
        raise UnavailableError("the recording was deleted a moment ago", code="records.conflict")
    speaker = enrol(tx, new.claim, rules.split)
    belongs = {"speaker_id": speaker.speaker_id, "split": speaker.split}
    recording = replace(new.recording, **belongs)
    text = [sidecar_transcript(recording, new.sidecar)] if new.sidecar.full_text else []
    outcome = _outcome(new, INGESTED)
    tx.put(recording, *(replace(clip, **belongs) for clip in new.clips), *text, outcome)
    data = {"audio_id": recording.audio_id, "path": recording.path}
    tx.emit(Event(RECORDING_INGESTED, recording.audio_id, data))
    return outcome


def _record_duplicate(tx: Transaction, new: _New, known: Recording) -> IntakeOutcome:
    before = tx.get(IntakeOutcome, new.source.outcome_id)
    again = before is not None and before.status in (INGESTED, DUPLICATE)
    if not again and not new.claim.weak and new.claim.speaker_id != known.speaker_id:
        outcome = _other_speaker(new, known)
    else:
        take_sidecar_text(tx, known, new.sidecar)
        outcome = _same_audio(new, known)
    if again:
        return replace(before, status=DUPLICATE, code="duplicate.again", message="taken in before")
    tx.put(outcome)
    return outcome


def _same_audio(new: _New, known: Recording) -> IntakeOutcome:
    return replace(
        _outcome(new, DUPLICATE),
        code="duplicate.same_audio",
        message=f"the same audio is there already, as {known.original_name}",
        hint="Nothing needs to be done",
    )


def _other_speaker(new: _New, known: Recording) -> IntakeOutcome:
    return replace(
        _outcome(new, DUPLICATE),
        code="duplicate.other_speaker",
        message=f"the same audio is there already, as {known.original_name} "
        f"of the speaker {known.speaker_id}, and this one names {new.claim.speaker_id}",
        hint="The first one stays: a recording has one speaker. Forget it first if that one was wrong",
    )


def _outcome(new: _New, status: str) -> IntakeOutcome:
    return IntakeOutcome(
        outcome_id=new.source.outcome_id,
        name=new.source.name,
        status=status,
        audio_id=new.recording.audio_id,
        kept_at=new.recording.original_key if status == INGESTED else printable_name(new.source.path),
    )


def _refuse(context: IngestContext, key: str, name: str, path: Path, error: InputError) -> IntakeOutcome:
    outcome = IntakeOutcome(
        outcome_id=key,
        name=name,
        status=REFUSED,
        code=error.code,
        message=error.message,
        hint=error.hint,
        kept_at=printable_name(path),
    )
    in_transaction(context.records, lambda tx: _record_refusal(tx, outcome))
    return outcome


def _record_refusal(tx: Transaction, outcome: IntakeOutcome) -> None:
    """A file that was taken in once stays recorded as such, whatever lies beside it now."""
    before = tx.get(IntakeOutcome, outcome.outcome_id)
    if before is None or before.status == REFUSED:
        tx.put(outcome)
