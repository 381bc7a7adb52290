"""The clips of a voice that are worth a look, and what a person says of them, as JSON values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonoloop.core.clock import utc_now
from phonoloop.core.errors import InputError
from phonoloop.voice import review
from phonoloop.voice.metadata import read_texts
from phonoloop.voice.review import Reviewer, read_corrections, review_queue, settled
from phonoloop.voice.texts import ClipText
from phonoloop.voice.transcribe import TranscribeSettings

ACTIONS = ("accept", "correct", "reject", "undo")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewWish:
    """`action`: one of `ACTIONS`; `text`: what is said, for `correct`; `by`: who says so."""

    action: str
    text: str = ""
    by: str = ""


def _nothing_rare(texts: Sequence[ClipText]) -> dict[str, float]:
    return {}


def review_view(
    folder: Path,
    *,
    limit: int,
    min_trust: float | None = None,
    rarity: Callable[[Sequence[ClipText]], Mapping[str, float]] = _nothing_rare,
) -> dict[str, Any]:
    """
    Args:
        min_trust: what is trusted less is left out of the training; the default's where None.
        rarity: of the sounds of clips, see `coverage.rarity`; rarer clips gain more.

    Raises:
        NotFoundError: `voice.no_transcripts`. IntegrityError: `voice.transcript`, `voice.correction`.
    """
    least = TranscribeSettings().min_trust if min_trust is None else min_trust
    texts = settled(read_texts(folder), read_corrections(folder))
    waiting = review_queue(texts, min_trust=least, rarity=rarity(texts))
    return {
        "clips": len(texts),
        "waiting": len(waiting),
        "listed": [text_view(one.text) | {"gain_s": one.gain_s} for one in waiting[:limit]],
    }


def review_clip(folder: Path, clip_id: str, wish: ReviewWish) -> dict[str, Any]:
    """Keeps what a person says of one clip, and gives it as it is then.

    Raises:
        InputError: `voice.review`, there is no such action; `voice.no_text`.
        NotFoundError: `voice.no_clip`, `voice.no_transcripts`. ConflictError: `voice.busy`.
        ResourceError: `resource.disk`.
    """
    reviewer = Reviewer(wish.by, utc_now().isoformat(timespec="seconds"))
    if wish.action == "correct":
        return text_view(review.correct(folder, clip_id, wish.text, reviewer))
    if wish.action == "undo":
        return text_view(review.undo(folder, [clip_id])[0])
    if wish.action == "accept":
        return text_view(review.accept(folder, [clip_id], reviewer)[0])
    if wish.action == "reject":
        return text_view(review.reject(folder, [clip_id], reviewer)[0])
    raise InputError(
        f"nothing is called {wish.action[:40]!r}",
        code="voice.review",
        subject=clip_id[:80],
        hint=f"Say one of {', '.join(ACTIONS)}",
    )


def text_view(text: ClipText) -> dict[str, Any]:
    """A clip with its text, how far that is trusted, and why not further."""
    return {
        "clip": text.clip_id,
        "text": text.text,
        "origin": text.origin.value,
        "rejected": text.rejected,
        "duration_s": round(text.duration_s, 3),
        "speaker": text.speaker,
        "trust": text.trust.score,
        "quality": text.quality,
        "second": text.heard.second,
        "doubts": [
            {"kind": one.kind, "factor": one.factor, "detail": one.detail} for one in text.trust.doubts
        ],
    }
