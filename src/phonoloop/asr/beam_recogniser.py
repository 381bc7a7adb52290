"""A recogniser that decodes with knowledge: beam search over an exported model's log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np

from phonoloop.asr.align import align_tokens
from phonoloop.asr.beam import BeamDecoder, Hypothesis
from phonoloop.asr.calibration import Calibration
from phonoloop.asr.decode import Token, join_windows, words_of
from phonoloop.asr.infer import Recogniser, windows
from phonoloop.core.errors import UnavailableError
from phonoloop.core.speech import Alternative, Span, Transcription
from phonoloop.core.units import samples_to_ms
from phonoloop.text.error_rates import Edit, align
from phonoloop.text.ngram import NgramModel

#: readings that confidences are computed from
_VOTERS = 50

#: another language model's opinion: natural logarithm of a text's probability
TextScore = Callable[[str], float]


@dataclass(frozen=True)
class BeamRecogniser:
    """A `Transcriber`: a recogniser, and what its beam search knows.

    Attributes:
        most: readings that are told in `Transcription.alternatives`; 0 for none.
        calibration: of the confidences of this recogniser with this language model.
        rescore: adds to each reading's score before they are ranked, such as a longer language model's
            or any other program's opinion of the text.
        suffix: what is added to the recogniser's version, so that transcripts tell how they came about.
    """

    recogniser: Recogniser
    decoder: BeamDecoder
    most: int = 0
    calibration: Calibration | None = None
    rescore: TextScore | None = None
    suffix: str = "+beam"

    @property
    def model_version(self) -> str:
        return self.recogniser.model_version + self.suffix

    @property
    def calibrated(self) -> bool:
        return self.calibration is not None

    def transcribe(self, samples: np.ndarray) -> Transcription:
        """As `Recogniser.transcribe`. The n-th alternative of a recording that was heard in several windows
        is put together from the n-th of each."""
        spans = list(windows(len(samples)))
        heard = [
            self._hear(samples, span, begin=i == 0, end=span is spans[-1]) for i, span in enumerate(spans)
        ]
        tokens = join_windows([(span, window.tokens) for span, window in zip(spans, heard, strict=True)])
        made = replace(self.recogniser, calibration=self.calibration).transcription_of(tokens, len(samples))
        return replace(
            made, model_version=self.model_version, alternatives=tuple(self._alternatives(heard, made.text))
        )

    def transcribe_many(self, clips: Sequence[np.ndarray]) -> list[Transcription]:
        return [self.transcribe(samples) for samples in clips]

    def stream(self, *, chunk_ms: int | None = None) -> NoReturn:
        """Raises UnavailableError `streaming.greedy_only`."""
        raise UnavailableError(
            "a beam search needs the whole recording; streaming is greedy",
            code="streaming.greedy_only",
            subject=self.model_version,
            hint="Stream without a language model and hot words, or transcribe when the recording has ended",
        )

    def _hear(self, samples: np.ndarray, span: Span, *, begin: bool, end: bool) -> _Window:
        log_probs = self.recogniser.log_probs(samples[span.start : span.end])
        return self.read(log_probs, start_ms=samples_to_ms(span.start), begin=begin, end=end)

    def read(
        self, log_probs: np.ndarray, *, start_ms: int = 0, begin: bool = True, end: bool = True
    ) -> _Window:
        """The best tokens of (T, vocab) log-probabilities, with times and confidences, and the readings."""
        readings = self.decoder.decode(log_probs, begin=begin, end=end, most=_VOTERS)
        if self.rescore is not None:
            readings = rescored(readings, self.rescore)
        frame_ms = self.recogniser.metadata["frame_ms"]
        tokens = align_tokens(log_probs, readings[0].tokens, start_ms=start_ms, frame_ms=frame_ms)
        return _Window(self._sure(tokens, readings), readings)

    def _sure(self, tokens: list[Token], readings: Sequence[Hypothesis]) -> list[Token]:
        """Tokens with the confidence of their word; it does not matter which one spaces have."""
        groups = words_of(tokens, self.recogniser.tokenizer, end_ms=1 << 62)
        left = list(zip([word.end_ms for word in groups], posteriors(readings), strict=True))[::-1]
        found = []
        for token in tokens:
            while len(left) > 1 and token.start_ms >= left[-1][0]:
                left.pop()
            found.append(replace(token, confidence=left[-1][1]) if left else token)
        return found

    def _alternatives(self, heard: Sequence[_Window], best: str) -> Iterator[Alternative]:
        most = min(self.most, max(len(window.readings) for window in heard))
        for n in range(most):
            chosen = [window.readings[min(n, len(window.readings) - 1)] for window in heard]
            text = best if n == 0 else " ".join(one.text for one in chosen if one.text)
            yield Alternative(
                text,
                sum(one.score for one in chosen),
                sum(one.acoustic for one in chosen),
                sum(one.language for one in chosen),
            )


@dataclass(frozen=True, slots=True)
class _Window:
    tokens: list[Token]
    readings: list[Hypothesis] = field(default_factory=list)


def opinion_of(model: NgramModel, weight: float) -> TextScore:
    """What a language model adds to a reading, such as one of higher order or of other texts."""
    return lambda text: weight * math.log(10.0) * model.score(text)


def rescored(readings: Sequence[Hypothesis], rescore: TextScore) -> list[Hypothesis]:
    """Ranked anew with another opinion added to each score."""
    changed = [replace(one, score=one.score + rescore(one.text)) for one in readings]
    return sorted(changed, key=lambda one: -one.score)


def posteriors(readings: Sequence[Hypothesis]) -> list[float]:
    """For each word of the first reading: the share of all readings, by their scores, that have it there."""
    best = readings[0].text.split()
    weights = _shares(readings)
    found = [0.0] * len(best)
    for reading, weight in zip(readings, weights, strict=True):
        for place in _shared(best, reading.text.split()):
            found[place] += weight
    return [min(1.0, value) for value in found]


def _shares(readings: Sequence[Hypothesis]) -> list[float]:
    top = readings[0].score
    if not math.isfinite(top):
        return [1.0 / len(readings)] * len(readings)
    weights = [math.exp(min(0.0, reading.score - top)) for reading in readings]
    return [weight / sum(weights) for weight in weights]


def _shared(best: Sequence[str], other: Sequence[str]) -> list[int]:
    """The places of `best` where the other reading has the same word."""
    if len(best) == len(other):
        return [i for i, (one, two) in enumerate(zip(best, other, strict=True)) if one == two]
    steps = [op.edit for op in align(best, other) if op.edit is not Edit.INSERT]
    return [i for i, edit in enumerate(steps) if edit is Edit.MATCH]
