"""From log-probabilities to tokens with times, and from tokens to words. No torch here."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phonoloop.core.speech import Span, Word
from phonoloop.core.units import samples_to_ms
from phonoloop.text.tokens import BLANK_ID, Tokenizer


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was heard; times count from the recording's start."""

    id: int
    start_ms: int
    end_ms: int
    confidence: float


def read_greedily(log_probs: np.ndarray, *, start_ms: int = 0, frame_ms: int = 40) -> list[Token]:
    """The best token of each frame of (T, vocab), runs taken as one, blanks left out."""
    best = log_probs.argmax(axis=1)
    sure = np.exp(log_probs[np.arange(len(best)), best])
    return tokens_of(best, sure, start_ms=start_ms, frame_ms=frame_ms)


def tokens_of(best: np.ndarray, sure: np.ndarray, *, start_ms: int = 0, frame_ms: int = 40) -> list[Token]:
    """Best tokens (T,) with their probabilities (T,) to tokens with times.

    A token's confidence is the mean probability of its frames.
    """
    if not len(best):
        return []
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    ends = np.append(starts[1:], len(best))
    return [
        Token(
            int(best[a]), start_ms + int(a) * frame_ms, start_ms + int(b) * frame_ms, float(sure[a:b].mean())
        )
        for a, b in zip(starts, ends, strict=True)
        if best[a] != BLANK_ID
    ]


def join_windows(parts: Sequence[tuple[Span, list[Token]]]) -> list[Token]:
    """Tokens of overlapping windows: each window is believed up to the middle of its overlaps.

    The border is moved to the widest gap between tokens near that middle, so that no word is cut.
    """
    kept: list[Token] = []
    border_ms = -1
    for i, (span, tokens) in enumerate(parts):
        last = i == len(parts) - 1
        end_ms = 1 << 62 if last else _border(tokens, Span(parts[i + 1][0].start, span.end))
        kept += [token for token in tokens if border_ms <= _middle(token) < end_ms]
        border_ms = end_ms
    return kept


def _middle(token: Token) -> float:
    return (token.start_ms + token.end_ms) / 2


def _border(tokens: Sequence[Token], overlap: Span) -> float:
    """The middle of the widest gap between tokens in the inner half of the overlap."""
    start_ms, end_ms = samples_to_ms(overlap.start), samples_to_ms(overlap.end)
    quarter = (end_ms - start_ms) / 4
    low, high = start_ms + quarter, end_ms - quarter
    inner = [_middle(token) for token in tokens if low < _middle(token) < high]
    marks = [low, *inner, high]
    _, at = max((b - a, (a + b) / 2) for a, b in itertools.pairwise(marks))
    return at


def words_of(tokens: Sequence[Token], tokenizer: Tokenizer, *, end_ms: int) -> list[Word]:
    """Words with times. A word's confidence is the mean of its tokens'.

    Tokens are grouped at the spaces that they decode to: a character tokenizer has the space as a
    token of its own, a BPE one at the beginning of a token.
    """
    groups: list[list[Token]] = []
    fresh = True
    for token in tokens:
        piece = _piece(tokenizer, token.id)
        if not piece.strip():
            fresh = True
            continue
        if fresh or piece[0] == " ":
            groups.append([])
        groups[-1].append(token)
        fresh = piece[-1] == " "
    return [_word(group, tokenizer, end_ms) for group in groups]


def _piece(tokenizer: Tokenizer, token_id: int) -> str:
    """What a token adds to a text that has begun."""
    lead = _lead(tokenizer)
    return tokenizer.decode([lead, token_id])[len(tokenizer.decode([lead])) :]


def _lead(tokenizer: Tokenizer) -> int:
    return min(2, tokenizer.vocab_size - 1)


def _word(tokens: Sequence[Token], tokenizer: Tokenizer, end_ms: int) -> Word:
    text = tokenizer.decode([token.id for token in tokens]).strip()
    confidence = float(np.mean([token.confidence for token in tokens]))
    return Word(text, tokens[0].start_ms, min(tokens[-1].end_ms, end_ms), confidence)
