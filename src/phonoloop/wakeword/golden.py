"""That what is exported hears what torch hears: over whole recordings, and in pieces of any size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.training.artefacts import GOLDEN, check_same, largest_difference, session_for
from phonoloop.wakeword.artefact import AUDIO, INT8_STREAM_MODEL, MODEL, SCORES, STREAM_MODEL
from phonoloop.wakeword.infer import ScoreStream, StreamGraph

if TYPE_CHECKING:
    from phonoloop.wakeword.model import WakeNet

#: 10, 80, 160 and 1,000 ms, and sizes that fit nothing
PIECES = (160, 1_280, 2_560, 16_000, 37, 1_281, 5_003)
#: recordings that are kept with the model, and how much of each
_KEPT, _KEPT_S = 6, 4
_BATCH, _BATCH_SAMPLES = 4, CANONICAL_RATE_HZ


def golden_audio(given: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What a model is checked on: sounds made here, then the recordings given; float32 (n,) each."""
    made = [_sweep_in_noise(seconds, seed) for seed, seconds in enumerate((0.33, 1.0, 2.71, 6.1))]
    long_enough = [np.asarray(one, np.float32) for one in given if len(one) >= CANONICAL_RATE_HZ // 2]
    return [*made, *long_enough]


def _sweep_in_noise(duration_s: float, seed: int) -> np.ndarray:
    """A tone that rises and falls, with syllables' loudness, over noise; begins in digital silence."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(duration_s * CANONICAL_RATE_HZ)) / CANONICAL_RATE_HZ
    frequency_hz = 300 + 250 * np.sin(2 * np.pi * 0.7 * time_s + seed)
    tone = sum(np.sin(k * 2 * np.pi * np.cumsum(frequency_hz) / CANONICAL_RATE_HZ) / k for k in range(1, 8))
    loudness = 0.2 * np.maximum(0, np.sin(2 * np.pi * 3.1 * time_s)) * (time_s > 0.1)
    noise = 0.01 * rng.standard_normal(time_s.size) * (time_s > 0.05)
    return (tone * loudness + noise).astype(np.float32)


def check_same_everywhere(model: WakeNet, folder: Path, audio: Sequence[np.ndarray]) -> float:
    """Writes golden.npz: recordings, with torch's scores of them. Gives the largest difference between
    those and ONNX's, over whole recordings, in batches and in pieces.

    Raises:
        IntegrityError: `export.differs`, above 1e-4.
    """
    kept = [samples[: _KEPT_S * CANONICAL_RATE_HZ] for samples in audio[:_KEPT]]
    expected = [_torch_scores(model, samples[None])[0] for samples in kept]
    arrays = {f"audio_{i}": samples for i, samples in enumerate(kept)}
    arrays |= {f"scores_{i}": scores for i, scores in enumerate(expected)}
    np.savez(folder / GOLDEN, **arrays)
    differences = [
        *_over_wholes(folder / MODEL, kept, expected),
        *_in_pieces(folder / STREAM_MODEL, kept, expected, step_samples=model.step_samples),
        _in_a_batch(model, folder / MODEL, audio),
    ]
    worst = max(differences)
    check_same(worst, subject=folder)
    return worst


def check_int8(folder: Path, stream: np.ndarray, *, step_samples: int) -> dict[str, float]:
    """How far the int8 scores are from the float ones along a stream (n,)."""
    names = STREAM_MODEL, INT8_STREAM_MODEL
    graphs = [StreamGraph.open(folder / name, step_samples=step_samples) for name in names]
    one, other = (ScoreStream(graph).push(stream) for graph in graphs)
    apart = np.abs(one - other)
    return {
        "worst_difference": float(apart.max()),
        "mean_difference": float(apart.mean()),
        "highest": float(other.max()),
        "highest_in_float": float(one.max()),
        "seconds": round(len(stream) / CANONICAL_RATE_HZ, 1),
    }


@contextmanager
def one_thread() -> Iterator[None]:
    """A step of a small network is too little work to share: threads that wait for each other took ten
    times as long where other programs run too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
def _torch_scores(model: WakeNet, audio: np.ndarray) -> np.ndarray:
    """(batch, samples) to (batch, steps)."""
    return torch.sigmoid(model(torch.from_numpy(np.ascontiguousarray(audio)))).numpy()


def _over_wholes(path: Path, audio: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> list[float]:
    session = session_for(path, threads=1)
    heard = [session.run([SCORES], {AUDIO: samples[None]})[0][0] for samples in audio]
    return [largest_difference(one, other) for one, other in zip(heard, expected, strict=True)]


def _in_a_batch(model: WakeNet, path: Path, audio: Sequence[np.ndarray]) -> float:
    joined = np.concatenate(audio)
    batch = np.resize(joined, (_BATCH, _BATCH_SAMPLES))
    heard = session_for(path, threads=1).run([SCORES], {AUDIO: batch})[0]
    return largest_difference(heard, _torch_scores(model, batch))


def _in_pieces(
    path: Path, audio: Sequence[np.ndarray], expected: Sequence[np.ndarray], *, step_samples: int
) -> list[float]:
    graph = StreamGraph.open(path, step_samples=step_samples)
    return [
        largest_difference(in_pieces(graph, samples, piece), scores)
        for piece in PIECES
        for samples, scores in zip(audio, expected, strict=True)
    ]


def in_pieces(graph: StreamGraph, samples: np.ndarray, piece: int) -> np.ndarray:
    """The scores of a recording that comes `piece` samples at a time."""
    stream = ScoreStream(graph)
    starts = range(0, len(samples), piece)
    return np.concatenate([stream.push(samples[start : start + piece]) for start in starts])
