"""Learning rates as functions of progress: nothing to save, nothing to restore."""

from __future__ import annotations

import math


def one_cycle(progress: float, *, peak: float, warmup: float, start_div: float, end_div: float) -> float:
    """The OneCycle policy (Smith, arXiv 1708.07120): cosine up to the peak, cosine down.

    Args:
        progress: 0 at the first step, 1 at the end of training.
        warmup: the share of training in which the rate rises.
        start_div, end_div: peak over the first and over the last rate.
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < warmup:
        return _cosine(peak / start_div, peak, progress / warmup)
    return _cosine(peak, peak / end_div, (progress - warmup) / max(1.0 - warmup, 1e-9))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * share))
