"""From what was heard or written to clean text, with a list of what was changed where.

Two texts come of one. `text_with_diacritics` is what was said, word by word and with its marks: numbers
in words, abbreviations in full, fillers kept. A recogniser is trained towards it. `text_clean` is what
people read: digits, and no fillers. What machines wrote is mended (confused words, missing marks); what
a person wrote is only spelled in one way; a sidecar gets its missing marks only where it has none at all,
and then counts as a machine's (`is_restored`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Protocol

from phonoloop.core.errors import NotFoundError
from phonoloop.core.ports import Transaction
from phonoloop.data.model import Provenance, Transcript
from phonoloop.data.revisions import postprocessed, write_transcript
from phonoloop.data.stores import Stores, in_transaction
from phonoloop.text.confusions import Confusions
from phonoloop.text.corrections import Correction, Rewritten, compose
from phonoloop.text.lexicon import Lexicon
from phonoloop.text.normalise import DEFAULT_LANGUAGE, is_vietnamese
from phonoloop.text.spelling import clean, normalise
from phonoloop.text.spoken import to_spoken
from phonoloop.text.syllables import all_syllables, strip_marks
from phonoloop.text.syllables import compose as compose_syllable
from phonoloop.text.written import to_written

#: the rules of restored marks begin with it
RESTORED = "diacritics"
#: so many words of a sidecar without any mark, this share of them Vietnamese, are a text without its marks
_LEAST_WORDS, _LEAST_SHARE = 3, 0.9


class RestoresDiacritics(Protocol):
    """Puts marks where they are missing; `confidences` are of the white-space words."""

    def restore(self, text: str, confidences: Sequence[float] | None = None) -> Rewritten: ...


@dataclass(frozen=True, slots=True)
class Corrector:
    """What the stage goes by.

    Attributes:
        restorer: None leaves missing marks missing.
    """

    lexicon: Lexicon = field(default_factory=Lexicon.shipped)
    confusions: Confusions = field(default_factory=Confusions.shipped)
    restorer: RestoresDiacritics | None = None


@dataclass(frozen=True, slots=True)
class Corrected:
    """The two texts; `corrections` lead from the text as it came to `text_clean`."""

    text_clean: str
    text_with_diacritics: str
    corrections: tuple[Correction, ...]


def correct_text(
    text: str,
    corrector: Corrector | None = None,
    *,
    provenance: Provenance = Provenance.HUMAN,
    language: str = DEFAULT_LANGUAGE,
    confidences: Sequence[float] | None = None,
) -> Corrected:
    """One text, corrected as far as its language and who wrote it allow.

    Args:
        confidences: of the text's white-space words, for the restorer.
    """
    if not is_vietnamese(language):
        cleaned_up = clean(text)
        return Corrected(cleaned_up.text, cleaned_up.text, cleaned_up.corrections)
    corrector = corrector or Corrector()
    mended = normalise(text)
    if provenance != Provenance.HUMAN:
        mended = _restored(text, mended, corrector.restorer, provenance, confidences)
    if provenance == Provenance.MACHINE:
        mended = _then(text, mended, corrector.confusions.mend(mended.text))
    spoken = to_spoken(mended.text, corrector.lexicon).text
    if provenance == Provenance.HUMAN:
        return Corrected(mended.text, spoken, mended.corrections)
    written = _then(text, mended, to_written(mended.text, corrector.lexicon))
    return Corrected(written.text, spoken, written.corrections)


def _then(text: str, first: Rewritten, second: Rewritten) -> Rewritten:
    return Rewritten(second.text, compose(text, first.corrections, second.corrections))


def _restored(
    text: str,
    mended: Rewritten,
    restorer: RestoresDiacritics | None,
    provenance: Provenance,
    confidences: Sequence[float] | None,
) -> Rewritten:
    if restorer is None or (provenance == Provenance.SIDECAR and not lacks_marks(mended.text)):
        return mended
    fits = confidences is not None and len(confidences) == len(mended.text.split())
    return _then(text, mended, restorer.restore(mended.text, confidences if fits else None))


def lacks_marks(text: str) -> bool:
    """Whether a text is Vietnamese of some length without any mark, rather than another language."""
    words = [
        word for word in (part.strip(".,;:!?…()[]\"'“”") for part in text.lower().split()) if word.isalpha()
    ]
    if len(words) < _LEAST_WORDS or strip_marks(text) != text:
        return False
    return sum(word in _unmarked_syllables() for word in words) >= _LEAST_SHARE * len(words)


@cache
def _unmarked_syllables() -> frozenset[str]:
    return frozenset(strip_marks(compose_syllable(syllable)) for syllable in all_syllables())


def correct_transcript(stores: Stores, audio_id: str, corrector: Corrector | None = None) -> Transcript:
    """The stage: fills in the clean text of the current transcript, stores and tells it.

    Raises:
        NotFoundError: `transcript.missing`.
    """
    transcript = in_transaction(stores.records, lambda tx: _cleaned(tx, audio_id, corrector))
    write_transcript(stores.blobs, transcript)
    kept = in_transaction(stores.records, lambda tx: _record(tx, audio_id, corrector))
    if kept.revision != transcript.revision:  # somebody corrected it in between
        write_transcript(stores.blobs, kept)
    return kept


def cleaned(transcript: Transcript, corrector: Corrector | None = None) -> Transcript:
    """With its clean text, and that of its segments; the one that a person gave stays."""
    if transcript.provenance == Provenance.HUMAN and transcript.text_clean:
        return transcript
    made = _of_transcript(transcript, transcript.text, corrector, transcript.words)
    return replace(
        transcript,
        text_clean=made.text_clean,
        text_with_diacritics=made.text_with_diacritics,
        corrections=tuple(correction.to_dict() for correction in made.corrections),
        segments=tuple(_segment(transcript, segment, corrector) for segment in transcript.segments),
    )


def _segment(
    transcript: Transcript, segment: Mapping[str, Any], corrector: Corrector | None
) -> dict[str, Any]:
    """A segment with what it is trained towards, where that is not what was heard."""
    bare = {name: value for name, value in segment.items() if name != "spoken"}
    inside = [word for word in transcript.words if _is_inside(word, segment)]
    made = _of_transcript(transcript, bare.get("text", ""), corrector, inside)
    if made.text_with_diacritics != bare.get("text", ""):
        bare["spoken"] = made.text_with_diacritics
    return bare


def _is_inside(word: Mapping[str, Any], segment: Mapping[str, Any]) -> bool:
    return segment["start_ms"] <= word.get("start_ms", -1) < segment["end_ms"]


def _of_transcript(
    transcript: Transcript, text: str, corrector: Corrector | None, words: Sequence[Mapping[str, Any]]
) -> Corrected:
    confidences = [word.get("confidence") for word in words]
    return correct_text(
        text,
        corrector,
        provenance=transcript.provenance,
        language=transcript.language,
        confidences=None if None in confidences else confidences,
    )


def is_restored(transcript: Transcript) -> bool:
    """Whether a machine put marks into it."""
    return any(_restores(change) for change in transcript.corrections)


def restored_confidence(transcript: Transcript) -> float:
    """How sure the restorer was on average of what it changed; 1.0 where it changed nothing."""
    changes = [change["confidence"] for change in transcript.corrections if _restores(change)]
    return sum(changes) / len(changes) if changes else 1.0


def _restores(change: Mapping[str, Any]) -> bool:
    return RESTORED in change.get("rule", "")


def _cleaned(tx: Transaction, audio_id: str, corrector: Corrector | None) -> Transcript:
    return cleaned(transcript_of(tx, audio_id), corrector)


def _record(tx: Transaction, audio_id: str, corrector: Corrector | None) -> Transcript:
    transcript = _cleaned(tx, audio_id, corrector)
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
