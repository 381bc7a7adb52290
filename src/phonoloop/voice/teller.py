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
#: part → the share of the whole that it takes, about; a build that ends earlier counts up to its last
PARTS = {"recordings": 0.16, "transcribe": 0.08, "dataset": 0.01, "train": 0.75}
#: stages that every recording goes through
OF_A_RECORDING = ("ingest", "separate", "mark", "segment", "process")
#: stages that a training tells of itself
OF_A_TRAINING = ("prepare", "train")


@dataclass
class Teller:
    """A build under way in `folder`, whose last part is `last`."""

    folder: Path
    last: str
    on_progress: OnProgress
    should_stop: Callable[[], bool]
    _stage: str = ""
    _eta: Eta = field(default_factory=Eta)

    def begin(self, stage: str, share: float = 0.0, about: str = "") -> None:
        """The next stage, with how far the part is that it belongs to.

        Raises:
            CancelledError: `voice.cancelled`. ResourceError: `resource.disk`.
        """
        self.look()
        self._stage = stage
        self.log(f"stage {stage} {about}".rstrip())
        self.tell(share)

    def tell(self, share: float, progress: Progress | None = None) -> None:
        """How far the part is, 0 to 1; of a training also where it is in that, in a stage of its own."""
        part = "recordings" if self._stage in OF_A_RECORDING else self._stage
        fraction = min(1.0, (_before(part) + PARTS[part] * share) / (_before(self.last) + PARTS[self.last]))
        told = progress or Progress(self._stage)
        stage = told.stage if told.stage in OF_A_TRAINING else self._stage
        self.on_progress(replace(told, stage=stage, fraction=fraction, eta_s=self._eta.at(fraction)))

    def look(self) -> None:
        """Raises CancelledError `voice.cancelled`, where somebody asked it to stop."""
        if self.should_stop():
            raise CancelledError(
                "it was asked to stop", code="voice.cancelled", hint="The same command goes on from here"
            )

    def log(self, line: str) -> None:
        """A line in log.txt, with the time. Raises ResourceError `resource.disk`."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / LOG).open("a", encoding="utf-8") as file:
                file.write(f"{utc_now():%Y-%m-%d %H:%M:%S} {line}\n")
        except OSError as error:
            raise disk_error(self.folder / LOG, error) from error


def _before(part: str) -> float:
    names = list(PARTS)
    return sum(PARTS[name] for name in names[: names.index(part)])
