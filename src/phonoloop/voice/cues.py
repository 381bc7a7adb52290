"""What tells that something is heard behind a speaker, second by second. See `background`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from phonoloop.voice.beats import onsets, regularity
from phonoloop.voice.combs import Combs, find_combs
from phonoloop.voice.data import RATE_HZ
from phonoloop.voice.frames import FRAMES_A_SECOND, halved
from phonoloop.voice.partials import find_partials

#: how long the windows of each cue are; one begins every second
WINDOW_S: Mapping[str, int] = {"partials": 3, "beat": 10, "pure": 10, "combs": 10}
#: in less nothing can be told
MIN_S = 3
_CHAPTER_S, _OVERLAP_S = 100, 10
#: weight of the frames with two combs that do not last
_FLEETING = 0.3
#: frames count as loud down to so much below the loudest tenth
_QUIETER_DB = 25.0
#: with less speech in a window, a few wrong frames would be a large share of it
_MIN_LOUD_FRAMES = 4 * FRAMES_A_SECOND
#: a held vowel is shorter
_MIN_PURE_FRAMES = 6 * FRAMES_A_SECOND


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """Of a recording.

    Attributes:
        scores: by the cue's name, float32 (windows,), of the windows that begin at 0 s, 1 s, …
        samples: of the recording.
    """

    scores: Mapping[str, np.ndarray]
    samples: int


def measure_cues(blocks: Iterable[np.ndarray]) -> Tracks:
    """Of float32 blocks (n,) at 22,050 Hz. Memory is that of two minutes and of a few numbers a second."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in WINDOW_S}
    samples = 0
    for chapter in _chapters(blocks):
        samples += chapter.samples.size if chapter.last else _CHAPTER_S * RATE_HZ
        for name, values in _measured(chapter).items():
            parts[name].append(np.array(values, np.float32))
    return Tracks({name: np.concatenate(found) for name, found in parts.items()}, samples)


@dataclass(frozen=True, slots=True, eq=False)
class _Chapter:
    """110 seconds, the last ten of which the next one begins with; or, at the end, what is left."""

    samples: np.ndarray
    last: bool

    def windows(self, window_s: int) -> list[slice]:
        """Of frames: those that begin here and not in the next; all of a short recording."""
        seconds = self.samples.size // RATE_HZ
        count = max(1, seconds - window_s + 1) if self.last else _CHAPTER_S
        starts = range(count if seconds >= MIN_S else 0)
        return [slice(at * FRAMES_A_SECOND, (at + window_s) * FRAMES_A_SECOND) for at in starts]


def _chapters(blocks: Iterable[np.ndarray]) -> Iterator[_Chapter]:
    step, whole = _CHAPTER_S * RATE_HZ, (_CHAPTER_S + _OVERLAP_S) * RATE_HZ
    waiting = np.zeros(0, np.float32)
    for block in blocks:
        waiting = np.concatenate((waiting, block))
        while waiting.size > whole:
            yield _Chapter(waiting[:whole], last=False)
            waiting = waiting[step:]
    yield _Chapter(waiting, last=True)


def _measured(chapter: _Chapter) -> dict[str, list[float]]:
    low = halved(chapter.samples)
    partials, combs, rises = find_partials(low), find_combs(low), onsets(chapter.samples)
    weights, loud = _double_weights(combs)
    return {
        "partials": [_mean(partials.lasting[at]) for at in chapter.windows(WINDOW_S["partials"])],
        "beat": [max(map(regularity, rises[at].T)) for at in chapter.windows(WINDOW_S["beat"])],
        "pure": [_share(partials.pure[at], _MIN_PURE_FRAMES) for at in chapter.windows(WINDOW_S["pure"])],
        "combs": [
            float(weights[at].sum() / max(loud[at].sum(), _MIN_LOUD_FRAMES))
            for at in chapter.windows(WINDOW_S["combs"])
        ],
    }


def _double_weights(combs: Combs) -> tuple[np.ndarray, np.ndarray]:
    """How much each frame tells of two voices, float32; and bool, which frames are loud."""
    if combs.double.size == 0:
        return np.zeros(0, np.float32), np.zeros(0, bool)
    loud = combs.levels_db > np.quantile(combs.levels_db, 0.9) - _QUIETER_DB
    weights = combs.lasting + np.float32(_FLEETING) * combs.double
    return np.where(loud, weights, 0).astype(np.float32), loud


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0


def _share(values: np.ndarray, least: int) -> float:
    return _mean(values) if values.size >= least else 0.0
