"""What a job's child process tells its runner: one JSON object a line on standard output.

{"stage": "train", "progress": 0.25, "eta_s": 90.0, "metrics": {"loss": 1.5}}
{"result": {"model_id": "asr-20261120-101500"}}
{"error": {"code": "audio.corrupt", "message": "…", "hint": "…", "retryable": false}}
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """How far it is.

    Attributes:
        stage: in a word.
        progress: 0 to 1.
        eta_s: seconds until it is done, where it can be estimated.
        metrics: what it measured, JSON values.
    """

    stage: str
    progress: float
    eta_s: float | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str
    hint: str = ""
    retryable: bool = False

    def as_error(self) -> dict[str, str]:
        """The form in which a job keeps it."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


Line = Report | Result | Failure


def to_line(line: Line) -> str:
    """One line of JSON, without its line break. Numbers that JSON has no word for become null."""
    return json.dumps(_finite(_as_json(line)), ensure_ascii=False, allow_nan=False)


def parse_line(text: str) -> Line | None:
    """What a line says; None for one that is not of this protocol (a library that prints)."""
    try:
        raw = json.loads(text)
    except ValueError:
        return None
    if not isinstance(raw, dict):
        return None
    if isinstance(raw.get("result"), dict):
        return Result(raw["result"])
    if isinstance(raw.get("error"), dict):
        return _failure(raw["error"])
    return _report(raw) if "stage" in raw else None


def _as_json(line: Line) -> dict[str, Any]:
    if isinstance(line, Result):
        return {"result": dict(line.values)}
    if isinstance(line, Failure):
        return {"error": {**line.as_error(), "retryable": line.retryable}}
    return {
        "stage": line.stage,
        "progress": line.progress,
        "eta_s": line.eta_s,
        "metrics": dict(line.metrics),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _failure(raw: Mapping[str, Any]) -> Failure:
    return Failure(
        code=_text(raw.get("code")) or "internal",
        message=_text(raw.get("message")) or "it did not say why",
        hint=_text(raw.get("hint")),
        retryable=raw.get("retryable") is True,
    )


def _report(raw: Mapping[str, Any]) -> Report:
    metrics = raw.get("metrics")
    return Report(
        stage=_text(raw["stage"]),
        progress=min(1.0, max(0.0, _number(raw.get("progress")) or 0.0)),
        eta_s=_number(raw.get("eta_s")),
        metrics=metrics if isinstance(metrics, dict) else {},
    )


def _text(value: Any) -> str:
    """As text that records can keep: no NUL, no half surrogate pairs."""
    return str(value or "").replace("\0", "").encode("utf-8", "replace").decode()


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


class Eta:
    """Seconds to go, from the pace since it was made; a resumed job starts above 0.

    Args:
        start: the progress it starts from, 0 to 1.
        clock: seconds, monotonic.
    """

    def __init__(self, start: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._start = start
        self._clock = clock
        self._began_s = clock()

    def at(self, progress: float) -> float | None:
        """None until there is a pace to go by."""
        done = progress - self._start
        if done <= 0:
            return None
        return max(0.0, (1.0 - progress) * (self._clock() - self._began_s) / done)
