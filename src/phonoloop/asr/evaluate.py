"""How well any transcriber hears: per utterance, in all, by slice, with intervals.

Intervals are Student's t over speakers (`phonoloop.registry.statistics.rate_interval`): utterances of
one speaker are not independent, and drawing speakers at random gives intervals that are too narrow where
there are few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phonoloop.asr.audio_files import read_samples
from phonoloop.asr.calibration import Outcome, Reliability, outcomes, reliability
from phonoloop.core.errors import AudioError, ManifestError, NotFoundError
from phonoloop.core.speech import Transcriber
from phonoloop.data.manifest import ManifestRow, resolve_audio
from phonoloop.registry.rates import PartRates, Rate, part_rates, rate_of
from phonoloop.registry.slices import slices_of
from phonoloop.text.error_rates import Counts, Scores, score
from phonoloop.text.normalise import DEFAULT_LANGUAGE, NORMALISER_VERSION

#: an extra with more values than this is no slice but a name
_MOST_SLICES = 40
#: of tones, of onsets and of rimes
_CONFUSIONS, _CONFUSIONS_OF_A_SLICE = 10, 3


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance.

    Attributes:
        slices: what it belongs to, such as {"speaker": "anna", "dialect": "north", "noise": "10-20 dB"}.
        words: confidence of each word that was heard with one, and whether it is right.
    """

    key: str
    speaker: str
    duration_s: float
    reference: str
    hypothesis: str
    confidence: float | None
    scores: Scores
    slices: Mapping[str, str] = field(default_factory=dict)
    words: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True)
class Slice:
    """The utterances that share a property; `parts` is None where they are not Vietnamese."""

    utterances: int
    speakers: int
    wer: Rate
    cer: Rate
    parts: PartRates | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out, and on what.

    Attributes:
        slices: property, then value, such as slices["dialect"]["north"].
        failed: rows that could not be heard, as (key, code, reason); they count in no rate.
        parts: by tone, onset and rime; None where the references are not Vietnamese.
        confidences: how far words' confidences are from the share of words that are right; None where
            the recogniser gives none.
    """

    model_version: str
    normaliser_version: str
    utterances: tuple[Heard, ...]
    hours: float
    speakers: int
    wer: Rate
    cer: Rate
    syllable_error: Rate
    slices: Mapping[str, Mapping[str, Slice]]
    failed: tuple[tuple[str, str, str], ...] = ()
    confidences: Reliability | None = None
    parts: PartRates | None = None


def evaluate(
    transcriber: Transcriber,
    rows: Sequence[ManifestRow],
    audio_roots: Sequence[Path],
    *,
    language: str = DEFAULT_LANGUAGE,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Hears every row and compares.

    Args:
        language: of rows that do not name theirs.

    Raises:
        ManifestError: `evaluation.no_data`, where no row could be heard.
    """
    heard, failed = [], []
    for done, row in enumerate(rows):
        on_progress(done, len(rows))
        try:
            heard.append(_hear(transcriber, row, audio_roots, row.language_or(language)))
        except (AudioError, NotFoundError) as error:
            failed.append((_key(row), error.code, str(error)))
    if not heard:
        raise ManifestError(
            f"none of {len(rows)} rows could be heard" + (f": {failed[0][2]}" if failed else ""),
            code="evaluation.no_data",
            hint="Check the paths of the audio",
        )
    on_progress(len(rows), len(rows))
    calibrated = getattr(transcriber, "calibrated", False)
    return summarise(heard, failed=failed, model_version=transcriber.model_version, calibrated=calibrated)


def summarise(
    heard: Sequence[Heard],
    *,
    model_version: str,
    failed: Sequence[tuple[str, str, str]] = (),
    calibrated: bool = False,
) -> Evaluation:
    """Rates of what was heard already."""
    return Evaluation(
        model_version=model_version,
        normaliser_version=NORMALISER_VERSION,
        utterances=tuple(heard),
        hours=sum(one.duration_s for one in heard) / 3600,
        speakers=_speakers(heard),
        wer=rate(heard, lambda scores: scores.words),
        cer=rate(heard, lambda scores: scores.characters),
        syllable_error=rate(heard, lambda scores: scores.syllables),
        slices={
            name: {value: _slice(part) for value, part in parts.items()}
            for name, parts in _sliced(heard).items()
        },
        failed=tuple(failed),
        confidences=reliability([word for one in heard for word in one.words], calibrated=calibrated),
        parts=_parts(heard),
    )


def _slice(heard: Sequence[Heard]) -> Slice:
    return Slice(
        len(heard),
        _speakers(heard),
        rate(heard, lambda scores: scores.words),
        rate(heard, lambda scores: scores.characters),
        _parts(heard, most=_CONFUSIONS_OF_A_SLICE),
    )


def _parts(heard: Sequence[Heard], *, most: int = _CONFUSIONS) -> PartRates | None:
    return part_rates([(one.speaker, one.scores.parts) for one in heard], most=most)


def _hear(transcriber: Transcriber, row: ManifestRow, audio_roots: Sequence[Path], language: str) -> Heard:
    samples = read_samples(resolve_audio(row, *audio_roots), row.offset, row.duration)
    said = transcriber.transcribe(samples)
    return Heard(
        key=_key(row),
        speaker=row.speaker,
        duration_s=row.duration,
        reference=row.text,
        hypothesis=said.text,
        confidence=said.confidence,
        scores=score(row.text, said.text, language),
        slices=({"speaker": row.speaker} if row.speaker else {}) | slices_of(row),
        words=tuple(outcomes(row.text, said.words, language)),
    )


def _key(row: ManifestRow) -> str:
    return row.clip_id or f"{row.audio_filepath}@{row.offset:.3f}"


def _sliced(heard: Sequence[Heard]) -> dict[str, dict[str, list[Heard]]]:
    """Property, value, utterances; without properties that are different for nearly every utterance."""
    found: dict[str, dict[str, list[Heard]]] = {}
    for one in heard:
        for name, value in one.slices.items():
            found.setdefault(name, {}).setdefault(value, []).append(one)
    return {
        name: dict(sorted(parts.items()))
        for name, parts in sorted(found.items())
        if name == "speaker" or len(parts) <= min(_MOST_SLICES, max(2, len(heard) // 2))
    }


def _speakers(heard: Iterable[Heard]) -> int:
    return len({one.speaker for one in heard})


def rate(heard: Sequence[Heard], of: Callable[[Scores], Counts]) -> Rate:
    """One kind of errors, with its interval."""
    return rate_of((one.speaker, of(one.scores)) for one in heard)


def to_report(evaluation: Evaluation) -> dict[str, Any]:
    """The figures as JSON values, without the single utterances."""
    import dataclasses

    body = dataclasses.asdict(dataclasses.replace(evaluation, utterances=()))
    del body["utterances"]
    return body | {"clips": len(evaluation.utterances)}
