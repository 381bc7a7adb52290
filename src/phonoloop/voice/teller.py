"""How far a voice is: told to whoever listens, and written to its log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from phonoloop.core.clock import utc_now
from phonoloop.core.errors import CancelledError
from phonoloop.core.files import disk_error
from phonoloop.jobs.progress import Eta
from phonoloop.training.progress import OnProgress, Progress

LOG = "log.txt"
#: stage → the share of the whole that it takes, about; a build that ends earlier counts up to its last
STAGES = {
    "ingest": 0.04,
    "separate": 0.02,
    "mark": 0.02,
    "segment": 0.02,
    "process": 0.06,
    "transcribe": 0.08,
    "dataset": 0.01,
    "train": 0.75,
}


@dataclass
class Teller:
    """A build under way in `folder`, whose last stage is `last`."""

    folder: Path
    last: str
    on_progress: OnProgress
    should_stop: Callable[[], bool]
    _stage: str = ""
    _eta: Eta = field(default_factory=Eta)

    def begin(self, stage: str) -> None:
        """Raises CancelledError `voice.cancelled`, ResourceError `resource.disk`."""
        self.look()
        self._stage = stage
        self.log(f"stage {stage}")
        self.tell(0.0)

    def tell(self, share: float, progress: Progress | None = None) -> None:
        """How far the stage is, 0 to 1; of a training also where it is in that."""
        fraction = min(1.0, (self._before(self._stage) + STAGES[self._stage] * share) / self._whole())
        told = progress or Progress(self._stage)
        self.on_progress(replace(told, stage=self._stage, fraction=fraction, eta_s=self._eta.at(fraction)))

    def look(self) -> None:
        """Raises CancelledError `voice.cancelled`, where somebody asked it to stop."""
        if self.should_stop():
            raise CancelledError(
                "it was asked to stop", code="voice.cancelled", hint="The same command goes on from here"
            )

    def _before(self, stage: str) -> float:
        names = list(STAGES)
        return sum(STAGES[name] for name in names[: names.index(stage)])

    def _whole(self) -> float:
        return self._before(self.last) + STAGES[self.last]

    def log(self, line: str) -> None:
        """A line in log.txt, with the time. Raises ResourceError `resource.disk`."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / LOG).open("a", encoding="utf-8") as file:
                file.write(f"{utc_now():%Y-%m-%d %H:%M:%S} {line}\n")
        except OSError as error:
            raise disk_error(self.folder / LOG, error) from error
