"""What a vector and a filter must be, for every index."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from phonoloop.core.errors import InputError
from phonoloop.core.ports import Range, VectorPoint


def _invalid(why: str, subject: str = "") -> InputError:
    return InputError(
        f"this vector cannot be indexed: {why}",
        code="vector.invalid",
        subject=subject,
        hint="Every vector of an index comes from the same embedding model",
    )


def direction(vector: np.ndarray, dimensions: int | None, subject: str = "") -> np.ndarray:
    """The vector at length 1: (d,) float32.

    Raises:
        InputError: `vector.invalid`, where it is zero, not finite, or not (dimensions,).
    """
    values = np.asarray(vector, np.float32)
    if values.ndim != 1 or values.size == 0:
        raise _invalid(f"its shape is {values.shape}, not (d,)", subject)
    if dimensions is not None and values.size != dimensions:
        raise _invalid(f"it has {values.size} numbers, the others have {dimensions}", subject)
    length = float(np.linalg.norm(values.astype(np.float64)))
    if not np.isfinite(length) or length == 0.0:
        raise _invalid("it is zero or not finite, so it has no direction", subject)
    return (values / length).astype(np.float32)


def last_of_each(points: Sequence[VectorPoint]) -> list[VectorPoint]:
    return list({point.point_id: point for point in points}.values())


def check_equals(equals: Mapping[str, Any] | None) -> dict[str, str | int | bool]:
    """The filter as a dictionary.

    Raises:
        InputError: `vector.filter`, where a value is not text, a whole number or a truth value.
    """
    for name, value in (equals or {}).items():
        if not isinstance(value, (str, int)):
            raise InputError(
                f"payloads cannot be compared with {value!r}",
                code="vector.filter",
                subject=name,
                hint="Filter by text, whole numbers, true or false",
            )
    return dict(equals or {})


def check_ranges(ranges: Mapping[str, Range] | None) -> dict[str, Range]:
    """The ranges as a dictionary, without those that have no bound.

    Raises:
        InputError: `vector.filter`, where a bound is no number.
    """
    for name, bounds in (ranges or {}).items():
        if not all(bound is None or _is_number(bound) for bound in bounds):
            raise InputError(
                f"payloads cannot lie between {bounds[0]!r} and {bounds[1]!r}",
                code="vector.filter",
                subject=name,
                hint="Give numbers, or None for no bound",
            )
    return {name: bounds for name, bounds in (ranges or {}).items() if bounds != (None, None)}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_within(value: Any, bounds: Range) -> bool:
    """Whether a payload's value is a number in a range."""
    low, high = bounds
    return _is_number(value) and (low is None or value >= low) and (high is None or value < high)
