"""Where in a clip the phrase is, and which of a recording is worth hearing."""

from __future__ import annotations

import numpy as np

from phonoloop.audio.vad import frame_levels_db
from phonoloop.core.speech import Span
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.wakeword.clips import WakeClip

_FRAME = 160  # 10 ms
_SMOOTH = 3
_BELOW_PEAK_DB = 26.0
_ABOVE_FLOOR_DB = 8.0
_QUIET_DB = -70.0
#: a pause within a phrase; what lies beyond a longer one is something else
_PAUSE_FRAMES = 35
#: digital zeros for longer than this are no recording of anything
_ZEROS = CANONICAL_RATE_HZ // 10


def phrase_span(clip: WakeClip) -> Span | None:
    """From the first to the last sound of the phrase, in samples; None where there is no sound.

    The phrase is the stretch with the most energy, as bounded by pauses of 350 ms. Sound is what is
    within 26 dB of the loudest frame and 8 dB above the quietest. Where the clip says at which sample
    its phrase ends, that is believed.
    """
    span = loudest_span(clip.samples)
    if span is None or clip.phrase_end is None:
        return span
    return Span(min(span.start, clip.phrase_end), clip.phrase_end)


def loudest_span(samples: np.ndarray) -> Span | None:
    """As `phrase_span`, of float32 (n,) samples."""
    levels = _smoothed(frame_levels_db(samples, _FRAME))
    heard = levels[levels > -99.0]
    if not heard.size or heard.max() < _QUIET_DB:
        return None
    peak, floor = float(heard.max()), float(np.percentile(heard, 10))
    # in a clip that was cut at the phrase's ends there is no floor to stand above
    least = min(max(peak - _BELOW_PEAK_DB, floor + _ABOVE_FLOOR_DB), peak - 6.0)
    runs = _runs(levels >= least)
    best = max(runs, key=lambda run: float(np.sum(10 ** (levels[run[0] : run[1]] / 10))))
    return Span(best[0] * _FRAME, min(best[1] * _FRAME, samples.size))


def _smoothed(levels: np.ndarray) -> np.ndarray:
    if levels.size < _SMOOTH:
        return levels
    powers = np.convolve(10 ** (levels / 10), np.full(_SMOOTH, 1 / _SMOOTH), mode="same")
    return 10 * np.log10(np.maximum(powers, 1e-10))


def _runs(active: np.ndarray) -> list[tuple[int, int]]:
    """[start, end) of every run of true frames, over gaps of less than a pause."""
    at = np.flatnonzero(active)
    breaks = np.flatnonzero(np.diff(at) > _PAUSE_FRAMES)
    starts, ends = np.append(0, breaks + 1), np.append(breaks, at.size - 1)
    return [(int(at[first]), int(at[last]) + 1) for first, last in zip(starts, ends, strict=True)]


def without_zeros(pcm: np.ndarray) -> np.ndarray:
    """int16 (n,) without its stretches of 100 ms and more of digital zeros, which are no sound at all."""
    if not pcm.size:
        return pcm
    edges = np.flatnonzero(np.diff(np.concatenate(([False], pcm == 0, [False])).astype(np.int8)))
    keep = np.ones(pcm.size, bool)
    for start, end in edges.reshape(-1, 2):
        if end - start >= _ZEROS:
            keep[start:end] = False
    return pcm[keep]
