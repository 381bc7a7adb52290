"""What a vector and a filter must be, for every index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from phonoloop.core.errors import InputError
from phonoloop.core.ports import VectorPoint


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
