"""What was changed in a text, where, by which rule: the value every text stage hands on.

A stage never returns a bare string. It returns `Rewritten`: the new text and the corrections
that lead to it, so that a person can see each change and take one back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from phonoloop.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Correction:
    """One change: the characters [start, end) of the input text became `after`.

    Attributes:
        start, end: character positions in the text before any change; equal for an insertion.
        before: `text[start:end]`, so that a correction can be read without the text.
        after: what stands there now; may be empty.
        rule: dotted name of what did it, e.g. `number.cardinal`.
        confidence: in [0, 1]; 1.0 for rules that cannot be wrong about what was meant.
    """

    start: int
    end: int
    before: str
    after: str
    rule: str
    confidence: float = 1.0

    def to_dict(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A text after a stage, and every change that was made to it, ordered by `start`.

    Holds for every stage: `apply(input, rewritten.corrections) == rewritten.text`.
    """

    text: str
    corrections: tuple[Correction, ...] = ()

    @property
    def confidence(self) -> float:
        """That of the least certain change; 1.0 when nothing changed."""
        return min((change.confidence for change in self.corrections), default=1.0)


def apply(text: str, corrections: Iterable[Correction]) -> str:
    """The text with the corrections made.

    Raises:
        InputError: `correction.mismatch`: a correction does not belong to this text (its
            `before` does not stand there), or it overlaps the one before.
    """
    parts: list[str] = []
    done = 0
    for change in sorted(corrections, key=lambda c: (c.start, c.end)):
        _check(text, change, done)
        parts += (text[done : change.start], change.after)
        done = change.end
    parts.append(text[done:])
    return "".join(parts)


def compose(text: str, first: Iterable[Correction], second: Iterable[Correction]) -> tuple[Correction, ...]:
    """The corrections of two stages in a row as one list against the first stage's input.

    `second` is about the text that `first` gives. A change that touches an earlier one is merged
    with it: the rules are joined by `+` and the lower confidence stands.

    Raises:
        InputError: `correction.mismatch`, as for `apply`.
    """
    edits = sorted(first, key=lambda c: (c.start, c.end))
    middle = apply(text, edits)
    later = sorted(second, key=lambda c: (c.start, c.end))
    final = apply(middle, later)
    return tuple(_merged(text, final, _groups(edits, later)))


def _check(text: str, change: Correction, done: int) -> None:
    inside = done <= change.start <= change.end <= len(text)
    if not inside or text[change.start : change.end] != change.before:
        raise InputError(
            f"the correction of {change.before!r} at {change.start} does not belong to this text",
            code="correction.mismatch",
            hint="Corrections count characters of the text before any of them was made",
        )


@dataclass(slots=True)
class _Group:
    """Touching changes of both stages: where they stand in the input, the middle and the output."""

    start: int
    end: int
    middle_end: int
    out_start: int
    out_end: int
    rules: list[str]
    confidence: float


def _groups(edits: list[Correction], later: list[Correction]) -> list[_Group]:
    """Sweeps both lists by their place in the middle text and joins what overlaps there."""
    marks = [(s, e, len(c.before) - (e - s), 0, c) for c, s, e in _in_output(edits)]
    marks += [(c.start, c.end, 0, len(c.after) - len(c.before), c) for c in later]
    groups: list[_Group] = []
    to_input = to_output = 0  # what to add to a middle position outside of every group
    for start, end, in_delta, out_delta, change in sorted(marks, key=lambda m: (m[0], m[1])):
        if not groups or start > groups[-1].middle_end:
            groups.append(_Group(start + to_input, 0, start, start + to_output, 0, [], 1.0))
        group = groups[-1]
        to_input, to_output = to_input + in_delta, to_output + out_delta
        group.middle_end = max(group.middle_end, end)
        group.end, group.out_end = group.middle_end + to_input, group.middle_end + to_output
        group.rules.append(change.rule)
        group.confidence = min(group.confidence, change.confidence)
    return groups


def _in_output(edits: list[Correction]) -> Iterable[tuple[Correction, int, int]]:
    shift = 0
    for change in edits:
        start = change.start + shift
        yield change, start, start + len(change.after)
        shift += len(change.after) - len(change.before)


def _merged(text: str, final: str, groups: list[_Group]) -> Iterable[Correction]:
    for group in groups:
        before, after = text[group.start : group.end], final[group.out_start : group.out_end]
        if before != after:
            rule = "+".join(dict.fromkeys(group.rules))
            yield Correction(group.start, group.end, before, after, rule, group.confidence)
