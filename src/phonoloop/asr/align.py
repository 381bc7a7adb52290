"""Where in the audio a text is: forced alignment of tokens to frames. No torch here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phonoloop.asr.decode import Token
from phonoloop.core.errors import InputError
from phonoloop.text.tokens import BLANK_ID


def align_tokens(
    log_probs: np.ndarray, tokens: Sequence[int], *, start_ms: int = 0, frame_ms: int = 40
) -> list[Token]:
    """The most probable frames of each token of a text in (T, vocab) log-probabilities.

    The Viterbi path through tokens with a blank before, between and behind them (A. Graves et al.,
    "Connectionist temporal classification", ICML 2006). A token's confidence is the mean probability of
    its frames.

    Raises:
        InputError: `align.too_long`, where there are fewer frames than the tokens need.
    """
    if not tokens:
        return []
    if len(log_probs) < len(tokens):
        raise _too_long(len(tokens))
    labels = np.full(2 * len(tokens) + 1, BLANK_ID)
    labels[1::2] = tokens
    path = _best_path(log_probs[:, labels].astype(np.float64), labels)
    return [
        _token(log_probs, int(labels[place]), np.flatnonzero(path == place), start_ms, frame_ms)
        for place in range(1, len(labels), 2)
    ]


def _best_path(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The label's place for each of T frames; scores: (T, places)."""
    frames, places = scores.shape
    skips = np.zeros(places, bool)
    skips[3::2] = labels[3::2] != labels[1:-2:2]
    came = np.zeros((frames, places), np.int8)
    best = np.full(places, -np.inf)
    best[:2] = scores[0, :2]
    ways = np.full((3, places), -np.inf)
    for t in range(1, frames):
        ways[0] = best
        ways[1, 1:] = best[:-1]
        ways[2, 2:] = np.where(skips[2:], best[:-2], -np.inf)
        came[t] = ways.argmax(axis=0)
        best = ways.max(axis=0) + scores[t]
    return _trace(came, _last_place(best, places))


def _last_place(best: np.ndarray, places: int) -> int:
    place = places - 1 if best[-1] >= best[-2] else places - 2
    if not np.isfinite(best[place]):
        raise _too_long(places // 2)
    return place


def _too_long(tokens: int) -> InputError:
    return InputError(
        f"{tokens} tokens do not fit into this audio",
        code="align.too_long",
        hint="Give the audio that the text belongs to",
    )


def _trace(came: np.ndarray, place: int) -> np.ndarray:
    path = np.empty(len(came), np.int64)
    for t in range(len(came) - 1, -1, -1):
        path[t] = place
        place -= int(came[t, place])
    return path


def _token(log_probs: np.ndarray, label: int, frames: np.ndarray, start_ms: int, frame_ms: int) -> Token:
    first, last = int(frames[0]), int(frames[-1])
    sure = float(np.exp(log_probs[first : last + 1, label]).mean())
    return Token(label, start_ms + first * frame_ms, start_ms + (last + 1) * frame_ms, sure)
