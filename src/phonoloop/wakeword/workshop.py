"""The folder of a wake word's job: what began in it, its log, how far it is."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phonoloop.core.clock import utc_now
from phonoloop.core.errors import ConflictError, IntegrityError
from phonoloop.core.files import disk_error, write_whole
from phonoloop.core.ids import run_id, slug
from phonoloop.jobs.progress import Eta
from phonoloop.training.progress import OnProgress, Progress

CONFIG, LOG, DOUBTS, REPORT = "config.json", "log.txt", "doubts.json", "report.json"
EXPORT, SYNTHETIC, FEATURES, DRAFT, FIGURES = "export", "synthetic", "features", "draft", "figures"
CROSS = "cross"
#: stage → the share of the whole that it takes, about
STAGES = {
    "check": 0.02,
    "synthesise": 0.17,
    "features": 0.35,
    "train": 0.12,
    "cross": 0.24,
    "export": 0.03,
    "judge": 0.07,
}


@dataclass
class Workshop:
    """A job under way in `folder`."""

    folder: Path
    on_progress: OnProgress
    should_stop: Callable[[], bool]
    _stage: str = ""
    _eta: Eta = field(default_factory=Eta)

    def begin(self, stage: str) -> Callable[[float], None]:
        """The next stage; gives what its share is told to."""
        self._stage = stage
        self.log(f"stage {stage}")
        self.tell(0.0)
        return self.tell

    def tell(self, share: float, progress: Progress | None = None) -> None:
        """How far the stage is, 0 to 1; of a training also where it is in that."""
        names = list(STAGES)
        before = sum(STAGES[name] for name in names[: names.index(self._stage)])
        fraction = min(1.0, before + STAGES[self._stage] * share)
        eta_s = self._eta.at(fraction)
        inner = progress or Progress(self._stage)
        self.on_progress(
            Progress(
                self._stage,
                epoch=inner.epoch,
                epochs=inner.epochs,
                step=inner.step,
                fraction=fraction,
                eta_s=eta_s,
                metrics=inner.metrics,
                epoch_done=inner.epoch_done,
            )
        )
        if inner.epoch_done:
            figures = ", ".join(f"{name} {value:.4g}" for name, value in inner.metrics.items())
            self.log(f"{inner.stage} epoch {inner.epoch}: {figures}")

    def log(self, line: str) -> None:
        """A line in log.txt, with the time. Raises ResourceError `resource.disk`."""
        stamp = utc_now().strftime("%Y-%m-%d %H:%M:%S")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / LOG).open("a", encoding="utf-8") as file:
                file.write(f"{stamp} {line}\n")
        except OSError as error:
            raise disk_error(self.folder / LOG, error) from error


def claim(folder: Path, wanted: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """Writes config.json, or reads it where the same job began here before.

    Args:
        wanted: JSON values that decide the job. name: what a new job's model is named after.

    Returns:
        The same with `model_id` and `began_at`.

    Raises:
        ConflictError: `training.other_recipe`, another job lies here.
        IntegrityError: `training.config`, the file cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CONFIG
    if not path.is_file():
        began = utc_now()
        # a name may be taken in the folder where models are installed; the time tells them apart
        config = {**wanted, "model_id": f"{slug(name, otherwise='wake')}-{run_id(began, lambda _: False)}"}
        config["began_at"] = began.astimezone(datetime.UTC).isoformat(timespec="seconds")
        write_whole(path, json.dumps(config, ensure_ascii=False, indent=1).encode())
        return config
    config = read_config(folder)
    for key, value in json.loads(json.dumps(wanted)).items():
        if config.get(key) != value:
            raise ConflictError(
                f"a job with another {key} lies here",
                code="training.other_recipe",
                subject=str(folder),
                hint="Take another folder, or give what the job began with",
            )
    return config


def read_config(folder: Path) -> dict[str, Any]:
    """Raises IntegrityError `training.config`."""
    try:
        return dict(json.loads((folder / CONFIG).read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise IntegrityError(
            f"the job's description cannot be read ({error})",
            code="training.config",
            subject=str(folder / CONFIG),
            hint="Delete the folder and start again",
        ) from error
