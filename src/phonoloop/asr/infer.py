"""Recognising with an exported model: onnxruntime and numpy, no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.asr.artefact import MODEL, load_parts, read_metadata, run_model, session_for
from phonoloop.asr.decode import Token, join_windows, read_greedily, words_of
from phonoloop.audio.features import FrontEnd
from phonoloop.core.speech import Segment, Span, Transcription
from phonoloop.core.units import CANONICAL_RATE_HZ, samples_to_ms
from phonoloop.text.tokens import Tokenizer

#: longer audio is heard in windows of this length…
WINDOW_S = 24
#: …that overlap by this much; the middle of an overlap is where one gives way to the next
OVERLAP_S = 4
#: a silence of this length between words ends a segment
_SEGMENT_PAUSE_MS = 700


@dataclass(frozen=True)
class Recogniser:
    """A `Transcriber` from an artefact folder.

    Attributes:
        metadata: what `metadata.json` says.
    """

    model_version: str
    front_end: FrontEnd
    tokenizer: Tokenizer
    metadata: dict[str, Any]
    folder: Path
    _session: Any = field(repr=False)

    @classmethod
    def load(cls, folder: Path, *, threads: int = 1) -> Recogniser:
        """Loads a model, once its files, front end and tokenizer are what it was exported with.

        Raises:
            NotFoundError: `model.missing`.
            IntegrityError: `model.damaged`, `model.format`, `model.front_end`, `model.tokenizer`.
        """
        folder = Path(folder)
        metadata = read_metadata(folder)
        front_end, tokenizer = load_parts(folder, metadata)
        session = session_for(folder / MODEL, threads=threads)
        return cls(metadata["model_version"], front_end, tokenizer, metadata, folder, session)

    def transcribe(self, samples: np.ndarray) -> Transcription:
        """What is said in (n,) float32 samples in [-1, 1] at 16,000 Hz, of any length, in flat memory."""
        parts = [
            (span, self._tokens(samples[span.start : span.end], span.start)) for span in windows(len(samples))
        ]
        return self._transcription(join_windows(parts), len(samples))

    def transcribe_many(self, clips: Sequence[np.ndarray]) -> list[Transcription]:
        """Each clip as `transcribe` hears it."""
        return [self.transcribe(samples) for samples in clips]

    def log_probs(self, samples: np.ndarray) -> np.ndarray:
        """(T, vocab) log-probabilities of one stretch, a row each 40 ms; blank is 0."""
        features = self.front_end.compute(samples)
        if len(features) < 4:
            return np.zeros((0, self.tokenizer.vocab_size), np.float32)
        return run_model(self._session, features[None])[0]

    def _tokens(self, samples: np.ndarray, start_sample: int) -> list[Token]:
        return read_greedily(
            self.log_probs(samples),
            start_ms=samples_to_ms(start_sample),
            frame_ms=self.metadata["frame_ms"],
        )

    def _transcription(self, tokens: Sequence[Token], samples: int) -> Transcription:
        words = words_of(tokens, self.tokenizer, end_ms=samples_to_ms(samples))
        return Transcription(
            text=" ".join(word.text for word in words),
            confidence=_mean([token.confidence for token in tokens]),
            segments=tuple(_segments(words)),
            words=tuple(words),
            language=self.metadata.get("language", ""),
            model_version=self.model_version,
        )


def windows(samples: int) -> Iterator[Span]:
    """The stretches a recording is heard in; all of it at once where it is short."""
    length, step = WINDOW_S * CANONICAL_RATE_HZ, (WINDOW_S - OVERLAP_S) * CANONICAL_RATE_HZ
    start = 0
    while True:
        yield Span(start, min(start + length, samples))
        if start + length >= samples:
            return
        start += step


def _segments(words: Sequence) -> Iterator[Segment]:
    """Words between pauses, together."""
    run: list = []
    for word in words:
        if run and word.start_ms - run[-1].end_ms >= _SEGMENT_PAUSE_MS:
            yield _segment(run)
            run = []
        run.append(word)
    if run:
        yield _segment(run)


def _segment(words: Sequence) -> Segment:
    return Segment(
        " ".join(word.text for word in words),
        words[0].start_ms,
        words[-1].end_ms,
        _mean([word.confidence for word in words]),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else 0.0
