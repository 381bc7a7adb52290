"""From recordings to an installed voice: on the command line in any folder, or as a job in the data folder.

The job's child process calls `run_voice`. Every step can be killed and is taken up again: the build by its
folder, the installed voice by what was exported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phonoloop.app.bootstrap import App
from phonoloop.app.overrides import merged, nested
from phonoloop.app.training import MAX_ATTEMPTS, SLOT, Report, ShouldStop
from phonoloop.app.voice_models import install
from phonoloop.app.voice_runs import begin_run, keep_epoch
from phonoloop.app.voice_workshops import RECORDINGS, about_of, folder_of, recordings, work_dir
from phonoloop.core.errors import ConfigError, InputError
from phonoloop.jobs import queue
from phonoloop.jobs.model import Job
from phonoloop.registry.model import TrainingRun
from phonoloop.voice.layout import MANIFEST

if TYPE_CHECKING:
    from phonoloop.training.progress import Progress
    from phonoloop.voice.build import BuildRequest

KIND = "train.voice"
UNTIL = ("segment", "transcribe", "dataset", "train")


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceWish:
    """What to build of a voice that was begun.

    Attributes:
        until: one of `UNTIL`.
        recipe: a name or a file; `default` where empty.
        overrides: values of the recipe that are to be others, as nested mappings or with dotted names
            (`train.epochs`).
    """

    name: str
    until: str = "train"
    recipe: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)


def recipe_for(name: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with other values, checked, as JSON values. Raises ConfigError."""
    from phonoloop.voice.config import load_recipe, recipe_from_dict, recipe_to_dict

    base = recipe_to_dict(load_recipe(name or "default"))
    return recipe_to_dict(recipe_from_dict(merged(base, nested(overrides))))


def submit_voice(app: App, wish: VoiceWish) -> Job:
    """Queues a build.

    Raises:
        NotFoundError: `voice.not_begun`. InputError: `voice.no_recordings`. ConfigError: the recipe.
        UnavailableError: `voice.no_piper`.
    """
    folder = folder_of(app, wish.name)
    if not recordings(folder):
        raise InputError(
            "it has no recordings yet",
            code="voice.no_recordings",
            subject=wish.name,
            hint="POST them to /v1/voices/{name}/recordings",
        )
    if wish.until not in UNTIL:
        raise ConfigError(
            f"there is no stage {wish.until!r}",
            code="voice.until",
            subject=wish.name,
            hint=f"Say one of {', '.join(UNTIL)}",
        )
    if wish.until == "train":
        from phonoloop.voice.train import require_piper

        require_piper()
    params = {"voice": wish.name, "until": wish.until, "recipe": recipe_for(wish.recipe, wish.overrides)}
    with app.records.transaction() as tx:
        return queue.submit(tx, kind=KIND, slot=SLOT, params=params, max_attempts=MAX_ATTEMPTS)


def run_voice(app: App, job: Job, report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Builds, and installs what was trained; returns what a person wants to know of it.

    Raises:
        As `voice.build.build`.
    """
    from phonoloop.app.voice_tools import voice_tools
    from phonoloop.voice.build import build

    request = request_of(app, job)
    with voice_tools(app.settings, request, app) as tools:
        teller = _Teller(app, job, request.out_dir / MANIFEST, report)
        built = build(request, tools, on_progress=teller, should_stop=should_stop)
    found = {name: built.report[name] for name in ("name", "until", "clips", "hours", "manifest_id")}
    found |= {"refused_recordings": built.report["refused_recordings"], "warnings": built.report["warnings"]}
    if job.params["until"] != "train":
        return found
    model = install(app, request.out_dir, job_id=job.job_id)
    return found | {
        "model_id": model.model_id,
        "run_id": model.run_id,
        "training": built.report["training"],
    }


class _Teller:
    """Tells the runner; from where it trains there is a run, with what its epochs measured."""

    def __init__(self, app: App, job: Job, manifest: Path, report: Report) -> None:
        self._app, self._job, self._manifest, self._report = app, job, manifest, report
        self._run: TrainingRun | None = None

    def __call__(self, progress: Progress) -> None:
        self._report(progress.stage, 0.99 * progress.fraction, progress.metrics, progress.eta_s)
        if progress.stage == "train" and self._run is None:
            manifest = json.loads(self._manifest.read_text("utf-8"))
            self._run = begin_run(self._app, manifest, self._job.params["recipe"], job_id=self._job.job_id)
        if progress.epoch_done:
            with self._app.records.transaction() as tx:
                keep_epoch(tx, self._run, progress.epoch, progress.metrics)


def request_of(app: App, job: Job) -> BuildRequest:
    """What the job's build is asked for: the same however often it is taken up again."""
    from phonoloop.voice.build import BuildRequest, Until
    from phonoloop.voice.config import recipe_from_dict

    name = job.params["voice"]
    about = about_of(app, name)
    return BuildRequest(
        inputs=(folder_of(app, name) / RECORDINGS,),
        name=name,
        language=about.language,
        out_dir=work_dir(app, name),
        recipe=recipe_from_dict(job.params["recipe"]),
        until=Until(job.params["until"]),
        given=about.given,
        job_id=job.job_id,
    )
