"""From what was heard or written to clean text, with a list of what was changed where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import SequenceMatcher

from phonoloop.core.errors import NotFoundError
from phonoloop.core.ports import Transaction
from phonoloop.data.model import Provenance, Transcript
from phonoloop.data.revisions import postprocessed, write_transcript
from phonoloop.data.stores import Stores, in_transaction
from phonoloop.text.normalise import display


@dataclass(frozen=True, slots=True)
class Correction:
    """[start, end) of the text as it came, in characters, was `before` and became `after`."""

    start: int
    end: int
    before: str
    after: str
    kind: str = "normalised"


@dataclass(frozen=True, slots=True)
class Corrected:
    """`text_with_diacritics` keeps what was said word by word; `text_clean` is what is trained on."""

    text_clean: str
    text_with_diacritics: str
    corrections: tuple[Correction, ...]


def correct_text(text: str) -> Corrected:
    """Composed Unicode, visible characters only, one space between words."""
    clean = display(text)
    return Corrected(clean, clean, tuple(_changes(text, clean)))


def _changes(before: str, after: str) -> Iterator[Correction]:
    """Word by word; runs of white space count as one space and are no correction."""
    old = [(match.start(), match.end()) for match in re.finditer(r"\S+", before)]
    old_words = [before[start:end] for start, end in old]
    new_words = after.split()
    for from_word, to_word, replaced in _changed_runs(old_words, new_words):
        start = old[from_word][0] if from_word < len(old) else len(before)
        end = old[to_word - 1][1] if to_word > from_word else start
        yield Correction(start, end, before[start:end], replaced)


def _changed_runs(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    if len(old) == len(new):  # the usual case, and linear
        pairs = enumerate(zip(old, new, strict=True))
        yield from ((at, at + 1, word) for at, (was, word) in pairs if was != word)
        return
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            yield i1, i2, " ".join(new[j1:j2])


def correct_transcript(stores: Stores, audio_id: str) -> Transcript:
    """The stage: fills in the clean text of the current transcript, stores and tells it.

    Raises:
        NotFoundError: `transcript.missing`.
    """
    transcript = in_transaction(stores.records, lambda tx: _cleaned(tx, audio_id))
    write_transcript(stores.blobs, transcript)
    kept = in_transaction(stores.records, lambda tx: _record(tx, audio_id))
    if kept.revision != transcript.revision:  # somebody corrected it in between
        write_transcript(stores.blobs, kept)
    return kept


def cleaned(transcript: Transcript) -> Transcript:
    """With its clean text; the one that a person gave stays."""
    if transcript.provenance == Provenance.HUMAN and transcript.text_clean:
        return transcript
    made = correct_text(transcript.text)
    return replace(
        transcript,
        text_clean=made.text_clean,
        text_with_diacritics=made.text_with_diacritics,
        corrections=tuple(asdict(correction) for correction in made.corrections),
    )


def _cleaned(tx: Transaction, audio_id: str) -> Transcript:
    return cleaned(transcript_of(tx, audio_id))


def _record(tx: Transaction, audio_id: str) -> Transcript:
    transcript = _cleaned(tx, audio_id)
    tx.put(transcript)
    tx.emit(postprocessed(transcript))
    return transcript


def transcript_of(tx: Transaction, audio_id: str) -> Transcript:
    """Raises NotFoundError `transcript.missing`."""
    transcript = tx.get(Transcript, audio_id)
    if transcript is None:
        raise NotFoundError(
            "this recording has no transcript yet",
            code="transcript.missing",
            subject=audio_id,
            hint="Give one (PUT /v1/transcripts/{audio_id}), or a recogniser that makes one",
        )
    return transcript
