"""Where per-epoch figures go: `metrics.jsonl` and TensorBoard, without doubles after a resume."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phonoloop.core.files import write_whole


class MetricSink:
    """Writes one JSON line and one TensorBoard point an epoch.

    A resumed run repeats epochs whose checkpoint was not reached: `first_epoch` says from where, and
    the lines from there on are dropped first.
    """

    def __init__(self, out_dir: Path, *, first_epoch: int = 1) -> None:
        self._path = out_dir / "metrics.jsonl"
        self._board_dir = out_dir / "tensorboard"
        self._lines = [line for line in read_metrics(out_dir) if line["epoch"] < first_epoch]
        self._first_epoch = first_epoch
        self._board: Any = None

    def write(self, epoch: int, values: Mapping[str, float]) -> None:
        self._lines.append({"epoch": epoch} | {name: _finite(value) for name, value in values.items()})
        text = "".join(json.dumps(line) + "\n" for line in self._lines)
        write_whole(self._path, text.encode())
        for name, value in values.items():
            self._writer().add_scalar(name, value, epoch)
        self._writer().flush()

    def _writer(self) -> Any:
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter  # slow to import, needed once

            self._board = SummaryWriter(str(self._board_dir), purge_step=self._first_epoch)
        return self._board

    def close(self) -> None:
        if self._board is not None:
            self._board.close()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def read_metrics(out_dir: Path) -> list[dict[str, Any]]:
    """The epochs written so far, first to last."""
    path = out_dir / "metrics.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
