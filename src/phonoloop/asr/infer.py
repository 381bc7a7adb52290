"""Recognising with an exported model: onnxruntime and numpy, no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.asr.artefact import MODEL, STREAM_MODEL, load_parts, read_metadata, run_model
from phonoloop.asr.calibration import CALIBRATION, Calibration, read_calibration
from phonoloop.asr.decode import Token, join_windows, read_greedily, tokens_of, words_of
from phonoloop.asr.streaming import OnnxStream
from phonoloop.audio.features import FrontEnd, StreamingFrontEnd
from phonoloop.core.errors import UnavailableError
from phonoloop.core.speech import Segment, Span, Transcription, Word
from phonoloop.core.units import CANONICAL_RATE_HZ, samples_to_ms
from phonoloop.text.tokens import Tokenizer
from phonoloop.training.artefacts import session_for

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
        calibration: of its confidences; None for a model that was exported without one.
    """

    model_version: str
    front_end: FrontEnd
    tokenizer: Tokenizer
    metadata: dict[str, Any]
    folder: Path
    _session: Any = field(repr=False)
    calibration: Calibration | None = None

    @classmethod
    def load(cls, folder: Path, *, threads: int = 1) -> Recogniser:
        """Loads a model, once its files, front end and tokenizer are what it was exported with.

        Raises:
            NotFoundError: `model.missing`.
            IntegrityError: `model.damaged`, `model.format`, `model.front_end`, `model.tokenizer`,
                `calibration.damaged`.
        """
        folder = Path(folder)
        metadata = read_metadata(folder)
        front_end, tokenizer = load_parts(folder, metadata)
        session = session_for(folder / MODEL, threads=threads)
        calibration = read_calibration(folder / CALIBRATION) if CALIBRATION in metadata["files"] else None
        return cls(
            metadata["model_version"],
            front_end,
            tokenizer,
            metadata,
            folder,
            session,
            calibration=calibration,
        )

    @property
    def calibrated(self) -> bool:
        """Whether its confidences are probabilities of being right."""
        return self.calibration is not None

    def transcribe(self, samples: np.ndarray) -> Transcription:
        """What is said in (n,) float32 samples in [-1, 1] at 16,000 Hz, of any length, in flat memory."""
        parts = [
            (span, self._tokens(samples[span.start : span.end], span.start)) for span in windows(len(samples))
        ]
        return self.transcription_of(join_windows(parts), len(samples))

    def transcribe_many(self, clips: Sequence[np.ndarray]) -> list[Transcription]:
        """Each clip as `transcribe` hears it."""
        return [self.transcribe(samples) for samples in clips]

    def log_probs(self, samples: np.ndarray) -> np.ndarray:
        """(T, vocab) log-probabilities of one stretch, a row each 40 ms; blank is 0."""
        features = self.front_end.compute(samples)
        if len(features) < 4:
            return np.zeros((0, self.tokenizer.vocab_size), np.float32)
        return run_model(self._session, features[None])[0]

    def stream(self, *, chunk_ms: int | None = None) -> RecognitionStream:
        """Hears while somebody speaks, in chunks of `chunk_ms` (the recipe's own where not given).

        Raises:
            UnavailableError: `streaming.no_model`, for a model that was exported without one.
        """
        chunk_ms = chunk_ms or self.metadata["serve_chunk_ms"]
        chunks = OnnxStream(self._stream_session, chunk_ms=chunk_ms, left_ms=self.metadata["left_ms"])
        return RecognitionStream(self, chunks)

    @cached_property
    def _stream_session(self) -> Any:
        path = self.folder / STREAM_MODEL
        if STREAM_MODEL not in self.metadata["files"]:
            raise UnavailableError(
                "this model cannot stream: it was exported without a streaming part",
                code="streaming.no_model",
                subject=str(path),
                hint="Train a model that is not bidirectional",
            )
        return session_for(path, threads=1)

    def _tokens(self, samples: np.ndarray, start_sample: int) -> list[Token]:
        return read_greedily(
            self.log_probs(samples),
            start_ms=samples_to_ms(start_sample),
            frame_ms=self.metadata["frame_ms"],
        )

    def transcription_of(self, tokens: Sequence[Token], samples: int) -> Transcription:
        """Tokens of a recording of so many samples, as words and segments."""
        words = [
            self._calibrated(word) for word in words_of(tokens, self.tokenizer, end_ms=samples_to_ms(samples))
        ]
        return Transcription(
            text=" ".join(word.text for word in words),
            confidence=_mean([word.confidence for word in words]),
            segments=tuple(_segments(words)),
            words=tuple(words),
            language=self.metadata.get("language", ""),
            model_version=self.model_version,
            calibrated=self.calibrated,
        )

    def _calibrated(self, word: Word) -> Word:
        return replace(word, confidence=self.calibration(word.confidence)) if self.calibration else word


class RecognitionStream:
    """One utterance while it is spoken. Log-probabilities do not depend on how samples are cut."""

    def __init__(self, recogniser: Recogniser, chunks: OnnxStream) -> None:
        self._recogniser, self._chunks = recogniser, chunks
        self._front_end = StreamingFrontEnd(recogniser.front_end)
        self._best: list[np.ndarray] = []
        self._sure: list[np.ndarray] = []
        self._samples = 0

    def push(self, samples: np.ndarray) -> Transcription:
        """(n,) more float32 samples at 16,000 Hz, to all that was heard so far."""
        self._samples += len(samples)
        self._keep(self._chunks.push(self._front_end.push(samples)))
        return self._so_far()

    def finish(self) -> Transcription:
        """Ends the utterance and hears what is left of it."""
        self._keep(self._chunks.push(self._front_end.flush()))
        self._keep(self._chunks.flush())
        return self._so_far()

    def _keep(self, log_probs: np.ndarray) -> None:
        self._best.append(log_probs.argmax(axis=1))
        self._sure.append(np.exp(log_probs.max(axis=1, initial=-np.inf)))

    def _so_far(self) -> Transcription:
        best, sure = np.concatenate(self._best), np.concatenate(self._sure)
        tokens = tokens_of(best, sure, frame_ms=self._recogniser.metadata["frame_ms"])
        return self._recogniser.transcription_of(tokens, self._samples)


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
