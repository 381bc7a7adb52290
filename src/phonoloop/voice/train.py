"""Training of a voice: Piper in a process of its own, each epoch scored as it comes, the disk kept bounded.

OUT/run.json                    which dataset and settings this is a run of
OUT/epochs/epoch-0001/          see `piper_launcher`; with `score.json` where it was scored
OUT/cache/<dataset_id>/         Piper's spectrograms; gone when the training is done
OUT/log.txt                     what Piper said

The last epochs and the best keep everything; of the others the figures stay, and of some the previews.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phonoloop.core.errors import (
    CancelledError,
    ConfigError,
    ConflictError,
    InputError,
    PhonoloopError,
    ResourceError,
    UnavailableError,
)
from phonoloop.core.files import disk_error, write_whole
from phonoloop.core.ids import content_id
from phonoloop.core.speech import Transcriber
from phonoloop.jobs.process import Command, Process
from phonoloop.jobs.progress import Eta, Failure, Report
from phonoloop.training.progress import OnProgress, Progress, ignore_progress
from phonoloop.voice.datasets import PIPER, WAVS, Dataset, read_dataset
from phonoloop.voice.evaluate import (
    PREVIEWS,
    EpochScore,
    Reference,
    read_score,
    reference_of,
    score_epoch,
    sentences_of,
)
from phonoloop.voice.model import TrainSettings, piper_model

LAUNCHER = Path(__file__).with_name("piper_launcher.py")
RUN, EPOCHS, CACHE, LOG, JOB, TEMPORARY = "run.json", "epochs", "cache", "log.txt", "job.json", "tmp"
STATE, EPOCH = "state.ckpt", "epoch.json"
_NEEDED = ("piper", "lightning", "librosa", "torch", "onnx")
_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
#: changing these does not make another run
_OF_NO_ACCOUNT = ("epochs", "threads", "device", "keep_last", "keep_best", "sentences")
_HEAVY = (STATE, "voice.onnx", "voice.onnx.json", "golden.json")
#: epochs that keep their previews besides those that keep everything, at most
_MOST_PREVIEWS = 32
_POLL_S, _PATIENCE_S, _DYING_S = 0.2, 60.0, 30.0
_SIGKILL = -9
#: what it does before the first epoch, and which share of the whole that is taken for
PREPARE, _PREPARING, _LOOK_EVERY_S = "prepare", 0.01, 2.0
_ERRORS: Mapping[str, type[PhonoloopError]] = {
    "cancelled": CancelledError,
    "resource.disk": ResourceError,
    "job.out_of_memory": ResourceError,
    "voice.no_piper": UnavailableError,
    "voice.checkpoint": InputError,
    "voice.diverged": InputError,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceResult:
    """A trained voice.

    Attributes:
        folder: of the best epoch, with `voice.onnx`, its JSON, `golden.json`, `state.ckpt` and `previews/`.
        epoch: which that is. epochs: how many were trained.
        score: of the best epoch.
        sentences: what every epoch said.
        history: of every epoch `epoch`, `steps`, losses, what its sentences scored together, and `sentences`:
            each one's scores. A figure that is no number is None.
    """

    dataset_id: str
    folder: Path
    epoch: int
    epochs: int
    score: EpochScore
    sentences: tuple[str, ...]
    history: tuple[Mapping[str, Any], ...]

    def figures(self) -> dict[str, Any]:
        """For the card."""
        heard_by = self.score.heard_by or "nothing"
        figures = {name: round(value, 4) for name, value in self.score.figures().items()}
        return {"epochs": self.epochs, "best_epoch": self.epoch, "heard_by": heard_by, **figures}


def require_piper() -> None:
    """Raises UnavailableError `voice.no_piper` where the extra is not installed."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UnavailableError(
            f"voices are trained by Piper, which is not installed here (missing: {', '.join(missing)})",
            code="voice.no_piper",
            hint="pip install 'phonoloop[piper]'",
        )


def run_key(dataset_id: str, settings: TrainSettings) -> str:
    """The id of a run: of all that its epochs depend on."""
    told = {name: value for name, value in asdict(settings).items() if name not in _OF_NO_ACCOUNT}
    return content_id([dataset_id, told])


def train_voice(
    dataset: Path,
    settings: TrainSettings,
    out_dir: Path,
    *,
    transcriber: Transcriber | None = None,
    on_progress: OnProgress = ignore_progress,
    should_stop: Callable[[], bool] = lambda: False,
) -> VoiceResult:
    """Trains, or goes on after the last whole epoch of the run in `out_dir`.

    Args:
        transcriber: hears what each epoch says; without one the best epoch is chosen by pace and artefacts.
        should_stop: asked often; a stopped run keeps its whole epochs.

    Raises:
        UnavailableError: `voice.no_piper`; `job.still_running`, another process trains in this folder.
        ConflictError: `voice.other_run`, the folder holds a run of another dataset or of other settings.
        InputError: `voice.checkpoint`, `voice.diverged`, `voice.no_training_clips`. As `read_dataset`.
        ConfigError: `config.missing`, `warm_start` names no file.
        ResourceError: `resource.disk`, `job.out_of_memory`, `voice.training_died`. CancelledError.
    """
    require_piper()
    run = _Run(read_dataset(dataset), settings, out_dir, transcriber)
    run.claim()
    run.score_all()
    if run.last_epoch() < settings.epochs:
        _train(run, on_progress, should_stop)
    run.score_all()
    run.clean()
    result = run.result()
    on_progress(Progress("done", run.last_epoch(), settings.epochs, fraction=1.0))
    return result


def _train(run: _Run, on_progress: OnProgress, should_stop: Callable[[], bool]) -> None:
    eta = Eta(run.last_epoch() / run.settings.epochs)
    process = _started(run.command())
    try:
        for report in _reports(process, should_stop, run.prepared):
            if report.stage == "epoch":
                run.score_all()
            on_progress(_progress(run, report, eta))
    except BaseException:
        process.kill()
        process.wait()
        raise
    code = process.wait()
    if process.result is None:
        raise _stopped() if should_stop() else _failed(process, code)


def _started(command: Command) -> Process:
    """Where a training was killed just now, its Piper may take a moment to be gone."""
    deadline_s = time.monotonic() + _DYING_S
    while True:
        try:
            return Process(command)
        except UnavailableError as error:
            if error.code != "job.still_running" or time.monotonic() > deadline_s:
                raise
        time.sleep(_POLL_S)


def _reports(
    process: Process, should_stop: Callable[[], bool], prepared: Callable[[], Report]
) -> Iterator[Report]:
    """Until it ends; asks it to stop once, and ends it where it does not within a minute.

    Args:
        prepared: how far Piper's preparation is, of which it says nothing itself.
    """
    asked, stage, look_s = 0, "", 0.0
    going = True
    while going:
        reports, going = process.reports(_POLL_S)
        yield from reports
        stage = reports[-1].stage if reports else stage
        if stage == PREPARE and time.monotonic() >= look_s:
            look_s = time.monotonic() + _LOOK_EVERY_S
            yield prepared()
        if going and (asked or should_stop()):
            if not asked:
                process.terminate()
            asked += 1
            if asked * _POLL_S > _PATIENCE_S:
                process.kill()


def _progress(run: _Run, report: Report, eta: Eta) -> Progress:
    if report.stage == PREPARE:
        return Progress(PREPARE, fraction=_PREPARING * report.progress, metrics=report.metrics)
    epochs = run.settings.epochs
    done = report.stage == "epoch"
    metrics = {name: value for name, value in report.metrics.items() if isinstance(value, float)}
    # the launcher may be in a later epoch by now
    epoch = int(report.metrics["epoch"]) if done else min(epochs, int(report.progress * epochs) + 1)
    if done and (score := read_score(run.folder(epoch))) is not None:
        metrics |= score.figures()
    return Progress(
        stage="train" if done else report.stage,
        epoch=epoch,
        epochs=epochs,
        step=int(report.metrics.get("steps") or 0),
        fraction=_PREPARING + (1.0 - _PREPARING) * report.progress,
        eta_s=eta.at(report.progress),
        metrics=metrics,
        epoch_done=done,
    )


def _stopped() -> CancelledError:
    return CancelledError("the training was asked to stop", hint="Start it again: it goes on where it was")


def _failed(process: Process, code: int) -> PhonoloopError:
    failure = process.failure
    if failure is None:
        how = "it was killed, perhaps for want of memory" if code == _SIGKILL else f"it ended with {code}"
        failure = Failure(
            "voice.training_died",
            f"the training is gone: {how}",
            f"Run it again. Its log: {process.log_tail()}",
        )
    kind = _ERRORS.get(failure.code, ResourceError if code == _SIGKILL else UnavailableError)
    return kind(failure.message, code=failure.code, hint=failure.hint)


@dataclass(slots=True)
class _Run:
    """A run's folder."""

    dataset: Dataset
    settings: TrainSettings
    out: Path
    transcriber: Transcriber | None
    _reference: Reference | None = None

    def claim(self) -> None:
        """Takes the folder, or finds its own run in it."""
        if self.settings.warm_start and not Path(self.settings.warm_start).is_file():
            subject = self.settings.warm_start
            raise ConfigError("there is no such checkpoint", code="config.missing", subject=subject)
        if not self.dataset.rows("train"):
            raise InputError(
                "the dataset has no clip to train on",
                code="voice.no_training_clips",
                subject=str(self.dataset.folder),
                hint="Lower dataset.val_pct, or give more recordings",
            )
        key = run_key(self.dataset.dataset_id, self.settings)
        kept = self.out / RUN
        if kept.is_file() and json.loads(kept.read_text("utf-8"))["run"] != key:
            raise ConflictError(
                "a run of another dataset or of other settings is in this folder",
                code="voice.other_run",
                subject=str(self.out),
                hint="Name another folder, or delete this one",
            )
        told = {"run": key, "dataset": self.dataset.dataset_id, "settings": asdict(self.settings)}
        write_whole(kept, json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n")

    def folder(self, epoch: int) -> Path:
        return self.out / EPOCHS / f"epoch-{epoch:04d}"

    def epochs(self) -> list[int]:
        """That are whole, in order."""
        return sorted(int(path.parent.name[6:]) for path in self.out.glob(f"{EPOCHS}/epoch-*/{EPOCH}"))

    def last_epoch(self) -> int:
        return max(self.epochs(), default=0)

    def kept_epochs(self) -> list[int]:
        """That have their checkpoint still."""
        return [epoch for epoch in self.epochs() if (self.folder(epoch) / STATE).is_file()]

    def sentences(self) -> tuple[str, ...]:
        """Those of the run's first epoch, whatever the recipe says later: scores are compared."""
        path = self.out / JOB
        if path.is_file():
            return tuple(json.loads(path.read_text("utf-8"))["sentences"])
        return sentences_of(self.dataset, self.settings.sentences)

    def score_all(self) -> None:
        """Scores what has not been, then drops what is not kept."""
        for epoch in self.kept_epochs():
            self._score(epoch)
        self._prune()

    def _score(self, epoch: int) -> None:
        self._reference = self._reference or reference_of(self.dataset)
        score_epoch(
            self.folder(epoch),
            self.sentences(),
            self._reference,
            epoch=epoch,
            language=self.dataset.language,
            transcriber=self.transcriber,
        )

    def scores(self) -> list[EpochScore]:
        """Of the epochs that are kept, best first; of equals the later."""
        found = [score for epoch in self.kept_epochs() if (score := read_score(self.folder(epoch)))]
        return sorted(found, key=lambda score: (score.score, -score.epoch))

    def _prune(self) -> None:
        """An epoch that came while others were scored waits for its own score."""
        epochs, best = self.epochs(), [one.epoch for one in self.scores()[: self.settings.keep_best]]
        kept = {*best, *epochs[-self.settings.keep_last :]}
        every = 1
        while len(epochs) // every > _MOST_PREVIEWS:
            every *= 2
        kept |= {epoch for epoch in epochs if read_score(self.folder(epoch)) is None}
        for epoch in (epoch for epoch in epochs if epoch not in kept):
            for name in _HEAVY:
                (self.folder(epoch) / name).unlink(missing_ok=True)
            if epoch % every:
                shutil.rmtree(self.folder(epoch) / PREVIEWS, ignore_errors=True)

    def command(self) -> Command:
        """Writes what Piper is asked for."""
        temporary = self.out / TEMPORARY
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            temporary.mkdir(parents=True)
            (self.out / EPOCHS).mkdir(exist_ok=True)
            self._fresh_cache()
        except OSError as error:
            raise disk_error(self.out, error) from error
        job = self.out / JOB
        write_whole(job, json.dumps(self._job(), ensure_ascii=False, indent=1).encode())
        return Command(
            argv=(sys.executable, "-P", str(LAUNCHER), str(job.resolve())),
            log_path=self.out / LOG,
            environment=self._environment(temporary),
        )

    def _environment(self, temporary: Path) -> dict[str, str]:
        """Checkpoints pass through TMPDIR, which elsewhere may be small; nothing is asked of a network."""
        found = {"TMPDIR": str(temporary.resolve()), "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
        if self.settings.threads:
            found["OMP_NUM_THREADS"] = str(self.settings.threads)
        return found

    def _fresh_cache(self) -> None:
        """Piper names what it keeps by row and the first letters of the text: of another dataset, even of
        a corrected one, nothing may be left."""
        cache = self.out / CACHE
        cache.mkdir(exist_ok=True)
        for path in cache.iterdir():
            if path.name != self.dataset.dataset_id:
                shutil.rmtree(path)
        self._cache().mkdir(exist_ok=True)

    def prepared(self) -> Report:
        """By the spectrograms that are in Piper's cache, which it makes last of each clip."""
        made = sum(entry.name.endswith(".spec.pt") for entry in os.scandir(self._cache()))
        clips = len(self.dataset.clips)
        return Report(PREPARE, made / clips, metrics={"prepared": float(made), "clips": float(clips)})

    def _cache(self) -> Path:
        return self.out / CACHE / self.dataset.dataset_id

    def _job(self) -> dict[str, Any]:
        settings, dataset = self.settings, self.dataset
        folder = dataset.folder.resolve()
        return {
            "name": dataset.name,
            "metadata": str(folder / PIPER),
            "audio": str(folder / WAVS),
            "cache": str(self._cache().resolve()),
            "epochs_folder": str((self.out / EPOCHS).resolve()),
            "espeak_voice": settings.espeak_voice or dataset.language,
            "model": piper_model(settings, len(dataset.speakers)) | {"sample_rate": dataset.rate_hz},
            "batch": settings.batch,
            "seed": settings.seed,
            "epochs": settings.epochs,
            "threads": settings.threads,
            "device": "gpu" if settings.device == "cuda" else settings.device,
            "precision": _PRECISIONS[settings.precision],
            "warm_start": str(Path(settings.warm_start).resolve()) if settings.warm_start else "",
            "train_rows": dataset.rows("train"),
            "val_rows": dataset.rows("val"),
            "sentences": self.sentences(),
            "describe": {
                "dataset": dataset.name,
                "language": {"code": dataset.language},
                "audio": {"sample_rate": dataset.rate_hz, "quality": settings.quality},
            },
        }

    def clean(self) -> None:
        """What only a training needs, and what kills left half written."""
        for name in (CACHE, TEMPORARY):
            shutil.rmtree(self.out / name, ignore_errors=True)
        for path in sorted(self.out.rglob(".*")):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def result(self) -> VoiceResult:
        best = self.scores()[0]
        history = [self._figures(epoch) for epoch in self.epochs()]
        return VoiceResult(
            dataset_id=self.dataset.dataset_id,
            folder=self.folder(best.epoch),
            epoch=best.epoch,
            epochs=len(history),
            score=best,
            sentences=self.sentences(),
            history=tuple(history),
        )

    def _figures(self, epoch: int) -> dict[str, Any]:
        told = json.loads((self.folder(epoch) / EPOCH).read_text("utf-8"))
        score = read_score(self.folder(epoch))
        if score is None:
            return _rounded(told)
        sentences = [_rounded(one.figures()) for one in score.sentences]
        return _rounded(told | score.figures()) | {"sentences": sentences}


def _rounded(figures: Mapping[str, float]) -> dict[str, float | None]:
    """For JSON, which has no word for what is no number."""
    return {name: round(value, 5) if math.isfinite(value) else None for name, value in figures.items()}


def log_of(out_dir: Path) -> Path:
    """What Piper said."""
    return out_dir / LOG


def checkpoints(out_dir: Path) -> list[str]:
    """Names of the epochs whose checkpoint is kept, relative to `out_dir`, oldest first."""
    return [os.path.relpath(path, out_dir) for path in sorted(out_dir.glob(f"{EPOCHS}/epoch-*/{STATE}"))]
