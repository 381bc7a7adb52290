"""From a recording to a transcript: the sidecar's text, or what a recogniser hears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from phonoloop.audio.wav import read_wav
from phonoloop.core.ports import Transaction
from phonoloop.core.speech import Transcriber, Transcription
from phonoloop.core.units import samples_to_ms
from phonoloop.data.curate import NO_TRANSCRIPT, waiting_clips
from phonoloop.data.model import Clip, ClipStatus, Provenance, Recording, Transcript
from phonoloop.data.revisions import (
    completed,
    put_revision,
    recording_of,
    transcript_uri,
    write_transcript,
)
from phonoloop.data.stores import Stores, in_transaction
from phonoloop.text.normalise import for_scoring

#: What recognisers trained on subtitles write where nobody speaks; matched against the start of what
#: was heard in a whole clip, as it is scored (lower case, no punctuation).
INVENTED = (
    "hãy subscribe cho kênh",
    "hãy đăng ký kênh",
    "các bạn hãy đăng ký kênh",
    "đừng quên đăng ký kênh",
    "nhớ đăng ký kênh",
    "cảm ơn các bạn đã theo dõi",
    "cảm ơn các bạn đã xem video",
    "cám ơn các bạn đã theo dõi",
    "cảm ơn đã theo dõi",
    "hẹn gặp lại các bạn trong những video tiếp theo",
    "phụ đề được thực hiện bởi",
    "ghiền mì gõ",
    "thanks for watching",
    "thank you for watching",
    "please subscribe",
    "subtitles by the amara org community",
)
_LONGEST_LOOP_WORDS = 6
_LOOP_ROUNDS = 4
_LOOP_WORDS = 8


@dataclass(frozen=True, slots=True)
class _Heard:
    clip: Clip
    result: Transcription


def transcribe_recording(
    stores: Stores, audio_id: str, transcriber: Transcriber | None, *, again: bool = False
) -> Transcript | None:
    """The stage: makes sure that a recording has a transcript, and tells of it.

    What a person or a sidecar wrote stays. Without a recogniser the clips wait, and
    `waiting_for_transcript` finds them later.

    Args:
        again: replaces what another recogniser heard before.

    Returns:
        None where there is no text and nothing that could hear one.

    Raises:
        NotFoundError: `recording.missing`.
    """
    recording, clips, current = in_transaction(stores.records, lambda tx: _read(tx, audio_id))
    if current is not None and not (again and current.provenance == Provenance.MACHINE and transcriber):
        write_transcript(stores.blobs, current)
        return in_transaction(stores.records, lambda tx: _tell(tx, audio_id))
    if transcriber is None:
        in_transaction(stores.records, lambda tx: _mark_waiting(tx, audio_id))
        return None
    heard = [_Heard(clip, _hear(stores, recording, clip, transcriber)) for clip in clips]
    made = _transcript(recording, heard, transcriber.model_version)
    made = replace(made, revision=current.revision + 1 if current else 1)
    write_transcript(stores.blobs, made)
    kept = in_transaction(stores.records, lambda tx: _keep(tx, made))
    if kept.revision != made.revision or kept.provenance != made.provenance:
        write_transcript(stores.blobs, kept)
    return kept


def waiting_for_transcript(tx: Transaction) -> list[str]:
    """The recordings whose clips wait until something can hear them."""
    return sorted({clip.audio_id for clip in waiting_clips(tx, NO_TRANSCRIPT)})


def _read(tx: Transaction, audio_id: str) -> tuple[Recording, list[Clip], Transcript | None]:
    clips = tx.find(Clip, audio_id=audio_id, order_by="start_sample")
    return recording_of(tx, audio_id), clips, tx.get(Transcript, audio_id)


def _tell(tx: Transaction, audio_id: str) -> Transcript | None:
    """Tells what is there now: somebody may have written better text in the meantime."""
    current = tx.get(Transcript, audio_id)
    if current is not None:
        tx.emit(completed(current))
    return current


def _mark_waiting(tx: Transaction, audio_id: str) -> None:
    for clip in tx.find(Clip, audio_id=audio_id, status=ClipStatus.WAITING, reason=""):
        tx.put(replace(clip, reason=NO_TRANSCRIPT))


def _hear(stores: Stores, recording: Recording, clip: Clip, transcriber: Transcriber) -> Transcription:
    path = stores.blobs.local_path(recording.path)
    result = transcriber.transcribe(read_wav(path, clip.start_sample, clip.end_sample))
    return replace(result, text="", words=()) if is_invented(result.text) else result


def _transcript(recording: Recording, heard: Sequence[_Heard], model_version: str) -> Transcript:
    """One segment a clip, in the recording's time."""
    spoken = [item for item in heard if item.result.text.strip()]
    spoken_s = sum(item.clip.duration_s for item in spoken)
    weighted = sum(item.result.confidence * item.clip.duration_s for item in spoken)
    return Transcript(
        audio_id=recording.audio_id,
        revision=1,
        text=" ".join(item.result.text.strip() for item in spoken),
        provenance=Provenance.MACHINE,
        model_version=model_version,
        confidence=weighted / spoken_s if spoken_s else 0.0,
        language=next((item.result.language for item in spoken if item.result.language), recording.language),
        segments=tuple(_segment(item) for item in spoken),
        words=tuple(word for item in spoken for word in _words(item)),
        uri=transcript_uri(recording.audio_id),
    )


def _segment(item: _Heard) -> dict[str, object]:
    return {
        "start_ms": samples_to_ms(item.clip.start_sample),
        "end_ms": samples_to_ms(item.clip.end_sample),
        "text": item.result.text.strip(),
        "confidence": item.result.confidence,
    }


def _words(item: _Heard) -> list[dict[str, object]]:
    offset_ms = samples_to_ms(item.clip.start_sample)
    moved = (
        replace(word, start_ms=word.start_ms + offset_ms, end_ms=word.end_ms + offset_ms)
        for word in item.result.words
    )
    return [asdict(word) for word in moved]


def _keep(tx: Transaction, made: Transcript) -> Transcript:
    """Records what was heard, unless somebody else wrote a transcript in the meantime; tells what is
    there now."""
    current = tx.get(Transcript, made.audio_id)
    overtaken = current is not None and current.revision >= made.revision
    kept = current if overtaken else put_revision(tx, made)
    tx.emit(completed(kept))
    return kept


def is_invented(text: str) -> bool:
    """Whether a recogniser made this up: a subtitle's farewell, or a loop of the same words."""
    scored = for_scoring(text)
    return scored.startswith(INVENTED) or _is_loop(scored.split())


def _is_loop(words: Sequence[str]) -> bool:
    """Whether more than half of it is the same few words, over and over."""
    if len(words) < _LOOP_WORDS:
        return False
    return any(
        _longest_run(words, period) >= max(_LOOP_ROUNDS * period, _LOOP_WORDS, len(words) / 2)
        for period in range(1, _LONGEST_LOOP_WORDS + 1)
    )


def _longest_run(words: Sequence[str], period: int) -> int:
    """The length of the longest stretch that repeats itself every `period` words."""
    longest = run = period
    for before, after in zip(words, words[period:], strict=False):
        run = run + 1 if before == after else period
        longest = max(longest, run)
    return longest
