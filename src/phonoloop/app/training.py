"""From accepted clips to a judged model: the training job of the recogniser.

The job's child process calls `run_training`. Every step can be killed and is taken up again: the run
is found by its job, the training by its checkpoints, the model by its run.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from phonoloop import __version__
from phonoloop.app.bootstrap import App
from phonoloop.app.champion import artefact_dir
from phonoloop.app.given import freeze_given
from phonoloop.app.judging import judge_model
from phonoloop.app.views import find_model
from phonoloop.core import events, ids
from phonoloop.core.clock import utc_now
from phonoloop.core.errors import InputError, PhonoloopError
from phonoloop.core.events import Event
from phonoloop.data import snapshot as snapshots
from phonoloop.data.manifest import ManifestRow
from phonoloop.data.model import Split
from phonoloop.jobs import queue
from phonoloop.jobs.model import Job
from phonoloop.registry import card, promote
from phonoloop.registry.model import EpochMetric, Model, TrainingRun

log = logging.getLogger(__name__)

KIND = "train.asr"
SLOT = "trainer"
#: a long training may meet many power cuts; one that always crashes is given up all the same
MAX_ATTEMPTS = 20

#: called with a stage, a share from 0 to 1, what was measured, and the seconds to go where they are known
Report = Callable[[str, float, Mapping[str, Any], float | None], None]
ShouldStop = Callable[[], bool]


def submit_training(
    app: App,
    *,
    recipe: str | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    initial: str = "",
    manifest: Path | None = None,
    cause: str = "",
) -> Job:
    """Queues a training.

    Args:
        recipe: a name or a file; the settings' where None. It is checked here, before it waits.
        seed, epochs: the recipe's where None.
        initial: the model to start from, by id or `champion`; from scratch where empty.
        manifest: train on this file's rows instead of the curated ones.
        cause: one cause starts one job; without one, every call does.

    Raises:
        ConfigError: the recipe cannot be used. NotFoundError: no such recipe, model or manifest.
    """
    from phonoloop.asr.config import check, load_recipe, recipe_to_dict

    wishes = {name: value for name, value in {"seed": seed, "epochs": epochs}.items() if value is not None}
    loaded = replace(load_recipe(recipe or app.settings.asr_recipe), **wishes)
    check(loaded)
    params: dict[str, Any] = {"recipe": recipe_to_dict(loaded), "initial": ""}
    if manifest is not None:
        params["snapshot_id"] = freeze_given(app, manifest).snapshot_id
    with app.records.transaction() as tx:
        if initial:
            params["initial"] = find_model(tx, initial).model_id
        return queue.submit(tx, kind=KIND, slot=SLOT, params=params, cause=cause, max_attempts=MAX_ATTEMPTS)


def run_training(app: App, job: Job, report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Trains, exports, registers and judges; returns what a person wants to know of it.

    Raises:
        InputError: `training.no_data`. CancelledError: when asked to stop; it can be resumed.
    """
    report("prepare", 0.0, {}, None)
    run = _begin(app, job)
    model = _model_of(app, run)
    if model is None:
        folder = _train_and_export(app, run, report, should_stop)
        model = _publish(app, run, folder)
    report("judge", 0.97, {}, None)
    verdict = judge_model(app, model.model_id)
    if verdict and verdict.promoted:
        _tune_language_model(app, model)
    _finish(app, run, model)
    return {
        "run_id": run.run_id,
        "model_id": model.model_id,
        "decision": verdict.decision.value if verdict else "",
        "promoted": bool(verdict and verdict.promoted),
        "reason": verdict.reason if verdict else "",
    }


def _begin(app: App, job: Job) -> TrainingRun:
    """The run of this job: the one an earlier attempt began, or a new one on a fresh snapshot."""
    with app.records.transaction() as tx:
        begun = tx.find(TrainingRun, job_id=job.job_id)
    if begun:
        return begun[0]
    snapshot_id = job.params.get("snapshot_id") or app.freeze().snapshot.snapshot_id
    recipe = dict(job.params["recipe"])
    with app.records.transaction() as tx:
        run = TrainingRun(
            run_id=ids.run_id(utc_now(), lambda name: tx.get(TrainingRun, name) is not None),
            kind="asr",
            job_id=job.job_id,
            snapshot_id=snapshot_id,
            recipe=recipe,
            seed=recipe["seed"],
            code_version=__version__,
            initial_model_id=job.params.get("initial", ""),
        )
        tx.put(run)
        tx.emit(
            Event(events.TRAINING_STARTED, run.run_id, {"run_id": run.run_id, "snapshot_id": snapshot_id})
        )
    return run


def _model_of(app: App, run: TrainingRun) -> Model | None:
    with app.records.transaction() as tx:
        return tx.get(Model, model_id_of(run))


def model_id_of(run: TrainingRun) -> str:
    return f"{run.kind}-{run.run_id}"


def _train_and_export(app: App, run: TrainingRun, report: Report, should_stop: ShouldStop) -> Path:
    from phonoloop.asr.config import recipe_from_dict
    from phonoloop.asr.export import export
    from phonoloop.asr.train import train
    from phonoloop.asr.tuning import calibrate_artefact

    rows = snapshot_rows(app, run.snapshot_id)
    _require_speech(rows[Split.TRAIN], run)
    folder = app.run_dir(run.run_id)
    initial = _initial_dir(app, run)
    train(
        recipe_from_dict(run.recipe),
        train_rows=rows[Split.TRAIN],
        val_rows=rows[Split.VAL],
        audio_roots=[app.data_dir],
        out_dir=folder,
        on_progress=lambda progress: _on_progress(app, run, progress, report),
        should_stop=should_stop,
        initial_dir=initial,
    )
    report("export", 0.95, {}, None)
    artefacts = folder / "artefacts"
    shutil.rmtree(artefacts, ignore_errors=True)
    template = initial or _champion_dir(app, run.kind)
    export(folder, artefacts, model_version=model_id_of(run), template_dir=template)
    report("calibrate", 0.96, {}, None)
    if calibrate_artefact(artefacts, rows[Split.VAL], [app.data_dir]) is None:
        log.warning("%s: too few words in val to calibrate confidences on", model_id_of(run))
    return artefacts


def snapshot_rows(app: App, snapshot_id: str) -> dict[Split, list[ManifestRow]]:
    """A snapshot's manifest rows by split."""
    snapshot = snapshots.get_snapshot(app.records, snapshot_id)
    return {split: snapshots.snapshot_rows(app.ingest, snapshot, split) for split in Split}


def _require_speech(rows: Sequence[ManifestRow], run: TrainingRun) -> None:
    if not rows:
        raise InputError(
            "there is no clip to train on",
            code="training.no_data",
            subject=run.run_id,
            hint="Ingest recordings with transcripts of speakers in the train split; "
            "`phonoloop status` shows why clips are waiting or refused",
        )


def _on_progress(app: App, run: TrainingRun, progress: Any, report: Report) -> None:
    """Tells the runner; keeps what an epoch measured."""
    report(progress.stage, 0.02 + 0.92 * progress.fraction, progress.metrics, progress.eta_s)
    if progress.epoch_done:
        with app.records.transaction() as tx:
            tx.put(
                EpochMetric(
                    metric_id=f"{run.run_id}/{progress.epoch:04d}",
                    run_id=run.run_id,
                    epoch=progress.epoch,
                    values=dict(progress.metrics),
                )
            )


def _initial_dir(app: App, run: TrainingRun) -> Path | None:
    if not run.initial_model_id:
        return None
    with app.records.transaction() as tx:
        return artefact_dir(app.blobs, find_model(tx, run.initial_model_id))


def _champion_dir(app: App, kind: str) -> Path | None:
    """The champion's files, which save tracing a network of the same shape again."""
    with app.records.transaction() as tx:
        champion = promote.champion_of(tx, kind)
    if champion is None:
        return None
    try:
        return artefact_dir(app.blobs, champion)
    except PhonoloopError as error:  # a champion that cannot be had must not cost a finished training
        log.warning("%s gives no template for the export: %s", champion.model_id, error)
        return None


def _tune_language_model(app: App, model: Model) -> None:
    """The current language model's weights for the new champion; decoding falls back to defaults without."""
    from phonoloop.app.lm_training import tune_current
    from phonoloop.asr.infer import Recogniser

    try:
        tune_current(app, Recogniser.load(artefact_dir(app.blobs, model)))
    except PhonoloopError as error:  # the model is trained and promoted whatever a language model says
        log.warning("the language model is not tuned for %s: %s", model.model_id, error)


def _publish(app: App, run: TrainingRun, folder: Path) -> Model:
    """Stores every artefact, then makes the model visible: nobody sees half of one."""
    prefix = f"models/asr/{run.run_id}/"
    files = {path.name: ids.sha256_hex(path.read_bytes()) for path in sorted(folder.iterdir())}
    for name in files:
        app.blobs.put(prefix + name, folder / name)
    model = Model(
        model_id=model_id_of(run),
        kind=run.kind,
        run_id=run.run_id,
        snapshot_id=run.snapshot_id,
        artefacts=prefix,
        files=files,
    )
    with app.records.transaction() as tx:
        promote.register(tx, model)
        tx.emit(
            Event(
                events.TRAINING_COMPLETED,
                run.run_id,
                {"run_id": run.run_id, "model_id": model.model_id, "snapshot_id": run.snapshot_id},
            )
        )
    return model


def _finish(app: App, run: TrainingRun, model: Model) -> None:
    """Writes the card, closes the run and drops what only a resume would have needed."""
    with app.records.transaction() as tx:
        tx.put(replace(run, state="succeeded", ended_at=utc_now()))
        text = card.model_card(tx, app.blobs, model.model_id)
    app.blobs.put(model.artefacts + "card.md", text.encode())
    _drop_leftovers(app.run_dir(run.run_id))


def _drop_leftovers(folder: Path) -> None:
    """Also what attempts that were killed had not finished writing, which has a hidden name."""
    for leftover in [folder / "checkpoints", folder / "artefacts", *folder.glob(".*")]:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def cancel_job(app: App, job_id: str) -> Job:
    """Asks a job to stop. `NotFoundError` `job.missing`, `ConflictError` `job.ended`."""
    with app.records.transaction() as tx:
        return queue.request_cancel(tx, job_id)
