"""`phonoloop text train-restorer`: adapts the restorer to a user's own texts, judges it, perhaps uses it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonoloop import __version__
from phonoloop.app.bootstrap import App
from phonoloop.core import ids
from phonoloop.core.clock import utc_now
from phonoloop.core.errors import InputError, NotFoundError
from phonoloop.data.model import Clip, ClipStatus, Provenance, Split
from phonoloop.registry.judge import PairedUtterance, compare
from phonoloop.registry.model import Decision
from phonoloop.registry.rule import PromotionRule
from phonoloop.text.restorer import Restorer
from phonoloop.text.restorer_measure import LineResult, kept, restored
from phonoloop.text.restorer_train import adapt
from phonoloop.text.syllables import parse, strip_marks

OnShare = Callable[[float, str], None]
#: every so many-th block of lines is held out; a block is what is resampled
_FOLDS, _BLOCKS = 5, 300
#: lines of which fewer words than this have marks teach nothing
_LEAST_MARKED = 0.3
#: more than this share of correct words changed, and a restorer is not used
MOST_CHANGED = 0.001


@dataclass(frozen=True, slots=True)
class RestorerOutcome:
    """Attributes:
    used: whether it is in use now; `reason` says why or why not.
    report: as it is stored beside the model.
    """

    restorer_id: str
    used: bool
    reason: str
    report: dict[str, Any]


def train_restorer(
    app: App, files: Sequence[Path], on_share: OnShare = lambda share, words: None
) -> RestorerOutcome:
    """Adapts the restorer in use to correct texts: files, or the transcripts that people wrote.

    A fifth of the text is held out. The new one is used if it restores that part better, by the paired
    test that also judges recognisers, and changes no more than 0.1 % of it where nothing is missing.

    Raises:
        InputError: `restorer.no_text`, `restorer.not_utf8`. NotFoundError: `restorer.no_file`.
    """
    on_share(0.05, "reading texts")
    lines, sources = _texts(app, files)
    learnt, held_out = split(lines)
    present = app.restorers.in_use()
    on_share(0.2, "counting")
    metadata = {**present.restorer.model.metadata, "adapted": _about(sources, present.restorer_id)}
    candidate = Restorer(
        adapt(present.restorer.model, learnt, metadata, on_progress=lambda s, w: on_share(0.3 + s / 2, w))
    )
    on_share(0.8, "comparing")
    found = judge(present.restorer, candidate, held_out)
    restorer_id = ids.run_id(utc_now(), app.restorers.taken)
    report = {"restorer_id": restorer_id, **metadata["adapted"], "lines": len(learnt), **found}
    app.restorers.keep(restorer_id, candidate.model, report)
    if found["used"]:
        app.restorers.use(restorer_id)
    return RestorerOutcome(restorer_id, found["used"], found["reason"], report)


def _about(sources: Sequence[dict[str, Any]], parent: str) -> dict[str, Any]:
    return {
        "created_at": utc_now().isoformat(),
        "code_version": __version__,
        "parent": parent,
        "sources": list(sources),
    }


def split(lines: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """What is learnt from, and the held-out blocks: consecutive lines, since neighbours are alike.
    Lines that are held out are not learnt from elsewhere either."""
    size = max(1, len(lines) // _BLOCKS)
    blocks = [list(lines[at : at + size]) for at in range(0, len(lines), size)]
    held_out = [block for at, block in enumerate(blocks) if at % _FOLDS == 0]
    taken = {line for block in held_out for line in block}
    learnt = [line for at, block in enumerate(blocks) if at % _FOLDS for line in block if line not in taken]
    return learnt, held_out


def judge(present: Restorer, candidate: Restorer, held_out: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Compares two restorers on blocks of held-out text: JSON values, `used` and `reason` among them."""
    pairs = [
        _pair(number, at, old, new)
        for number, block in enumerate(held_out)
        for at, (old, new) in enumerate(
            zip(restored(present, block), restored(candidate, block), strict=True)
        )
    ]
    comparison = compare(pairs, PromotionRule())
    everything = [line for block in held_out for line in block]
    changed = sum(result.wrong for result in kept(candidate, everything))
    words = sum(pair.words for pair in pairs)
    gentle = changed <= MOST_CHANGED * words
    before, after = (_share(words, sum(errors)) for errors in _errors(pairs))
    reason = _reason(comparison.decision, words, before, after) if gentle else _too_eager(changed, words)
    return {
        "used": comparison.decision is Decision.BETTER and gentle,
        "reason": reason,
        "held_out_syllables": words,
        "accuracy_before": before,
        "accuracy_after": after,
        "changed_in_correct_text": changed,
        "decision": str(comparison.decision),
    }


def _pair(block: int, at: int, old: LineResult, new: LineResult) -> PairedUtterance:
    return PairedUtterance(f"{block}:{at}", str(block), old.syllables, old.wrong, new.wrong)


def _share(words: int, wrong: int) -> float:
    return round(1 - wrong / words, 5) if words else 0.0


def _errors(pairs: Sequence[PairedUtterance]) -> tuple[list[int], list[int]]:
    return [pair.errors_champion for pair in pairs], [pair.errors_candidate for pair in pairs]


def _reason(decision: Decision, words: int, before: float, after: float) -> str:
    rule = PromotionRule()
    if words < rule.min_words:
        return f"{words} held-out words are too few to judge on: {rule.min_words} are needed"
    told = f"It restores {after:.2%} of {words:,} held-out words, the present one {before:.2%}"
    if decision is Decision.BETTER:
        return f"{told}: more than chance explains"
    if after <= before:
        return f"{told}: no better"
    return f"{told}: that may be chance, and more text of the kind would tell"


def _too_eager(changed: int, words: int) -> str:
    return f"It changed {changed} of {words} words that were right; {MOST_CHANGED:.1%} are allowed"


# ---------------------------------------------------------------- texts


def _texts(app: App, files: Sequence[Path]) -> tuple[list[str], list[dict[str, Any]]]:
    read = [_read(path) for path in files] if files else [_transcripts(app)]
    lines = [line for found, _ in read for line in found if has_marks(line)]
    if len(lines) < _FOLDS:
        raise InputError(
            f"{len(lines)} lines of Vietnamese with its marks are too few to learn from",
            code="restorer.no_text",
            hint="Name text files, or correct transcripts first: what machines wrote is not learnt from",
        )
    return lines, [source for _, source in read]


def has_marks(line: str) -> bool:
    """Whether a line is Vietnamese with its marks."""
    words = [word.strip(".,;:!?\"'()") for word in line.split()]
    known = [word for word in words if parse(word)]
    return sum(strip_marks(word) != word for word in known) > _LEAST_MARKED * len(words)


def _read(path: Path) -> tuple[list[str], dict[str, Any]]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError("there is no such file", code="restorer.no_file", subject=str(path)) from None
    try:
        lines = [line.strip() for line in data.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"line {line} is not UTF-8",
            code="restorer.not_utf8",
            subject=str(path),
            hint="Convert the file to UTF-8",
        ) from None
    return [line for line in lines if line], {"name": path.name, "sha256": hashlib.sha256(data).hexdigest()}


def _transcripts(app: App) -> tuple[list[str], dict[str, Any]]:
    """What people wrote about recordings of train speakers."""
    with app.records.transaction() as tx:
        clips = tx.find(Clip, split=Split.TRAIN, status=ClipStatus.ACCEPTED)
    by_people = (Provenance.HUMAN, Provenance.SIDECAR)
    lines = sorted({clip.text for clip in clips if clip.provenance in by_people})
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return lines, {"name": "transcripts of the train split", "sha256": digest}


__all__ = ["RestorerOutcome", "has_marks", "judge", "split", "train_restorer"]
