"""From a dataset of clips to an installed, judged detector: the training job of wake words.

The job's child process calls `run_wakeword`. Every step can be killed and is taken up again: the run is
found by its job, the build by its folder, the model by its run.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phonoloop import __version__
from phonoloop.app.bootstrap import App
from phonoloop.app.champion import artefact_dir
from phonoloop.app.overrides import merged, nested
from phonoloop.app.training import MAX_ATTEMPTS, SLOT, Report, ShouldStop
from phonoloop.app.wakeword_models import KIND as MODEL_KIND
from phonoloop.app.wakeword_models import find_detector, prefix
from phonoloop.core import events, ids
from phonoloop.core.clock import utc_now
from phonoloop.core.events import Event
from phonoloop.data.manifest import ManifestRow, parse_manifest
from phonoloop.data.model import Snapshot, Split
from phonoloop.data.snapshot import get_snapshot
from phonoloop.jobs import queue
from phonoloop.jobs.model import Job
from phonoloop.registry import promote
from phonoloop.registry.model import EpochMetric, Model, TrainingRun
from phonoloop.wakeword import datasets
from phonoloop.wakeword.datasets_freeze import freeze_clips
from phonoloop.wakeword.datasets_metrics import require_gate

if TYPE_CHECKING:  # it brings torch along, which queueing a job does not need
    from phonoloop.training.progress import Progress
    from phonoloop.wakeword.build import BuildRequest, BuildResult
    from phonoloop.wakeword.config import WakeRecipe

KIND = "train.wakeword"
#: below a run's folder: the clips as they were when the job was asked for
FROZEN = "dataset"
METADATA, ARTIFACTS = "metadata.json", "artifacts.json"
#: of a run's folder, what goes when its job has ended
_LEFTOVERS = (FROZEN, "features", "draft")


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeWish:
    """What to train.

    Attributes:
        recipe: a name or a file; the settings' where empty.
        overrides: values of the recipe that are to be others, as nested mappings or with dotted names
            (`optim.epochs`).
        negative_datasets: all their clips are negatives, whatever their labels say of their own phrase.
        initial: a detector to start from: a model, a run or `current`; from fresh weights where empty.
        synthesise: without it recordings alone are learned from.
    """

    dataset_id: str
    recipe: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    negative_datasets: tuple[str, ...] = ()
    initial: str = ""
    synthesise: bool = True


def submit_wakeword(app: App, wish: WakeWish) -> Job:
    """Freezes the clips and queues a training on them.

    Raises:
        NotFoundError: `dataset.missing`, `model.missing`, `model.no_champion`.
        InputError: `dataset.gate`, counting what is missing. ConfigError: the recipe cannot be used.
    """
    recipe = recipe_for(app, wish)
    context = app.wake_datasets
    dataset = datasets.get(context, wish.dataset_id)
    require_gate(dataset, context.rules)
    others = [datasets.get(context, name) for name in wish.negative_datasets if name != wish.dataset_id]
    frozen = freeze_clips(dataset, others)
    app.blobs.put(frozen.snapshot.manifests[Split.TRAIN], frozen.manifest)
    params = {
        "dataset_id": dataset.dataset_id,
        "snapshot_id": frozen.snapshot.snapshot_id,
        "recipe": recipe,
        "initial": "",
        "synthesise": wish.synthesise,
        "left_out": list(frozen.left_out),
    }
    with app.records.transaction() as tx:
        tx.add(frozen.snapshot)
        if wish.initial:
            params["initial"] = find_detector(tx, wish.initial).model_id
        return queue.submit(tx, kind=KIND, slot=SLOT, params=params, max_attempts=MAX_ATTEMPTS)


def recipe_for(app: App, wish: WakeWish) -> dict[str, Any]:
    """The recipe with the wish's values, checked, as JSON values.

    How many clips are needed is the settings' to say, which the dataset was held against.
    """
    from phonoloop.wakeword.config import load_recipe, recipe_from_dict, recipe_to_dict

    settings = app.settings
    base = recipe_to_dict(load_recipe(wish.recipe or settings.wakeword_recipe))
    gate = {
        "min_positives": settings.wakeword_min_positives,
        "min_negatives": settings.wakeword_min_negatives,
    }
    own: dict[str, Any] = {"gate": gate}
    if settings.device != "auto":
        own["device"] = settings.device
    if settings.threads:
        own["threads"] = settings.threads
    wanted = merged(merged(base, own), nested(wish.overrides))
    return recipe_to_dict(recipe_from_dict(wanted))


# ---------------------------------------------------------------- the job


def run_wakeword(app: App, job: Job, report: Report, should_stop: ShouldStop) -> dict[str, Any]:
    """Builds, installs and judges; returns what a person wants to know of it.

    Raises:
        InputError, ConfigError, UnavailableError, CancelledError: as `wakeword.build.build`.
    """
    from phonoloop.app.wakeword_judging import judge_detector

    report("prepare", 0.0, {}, None)
    run = _begin(app, job)
    model = _model_of(app, run)
    if model is None:
        missing = lay_out_clips(app, run)
        built = _build(app, run, job, report, should_stop)
        model = _publish(app, run, built, [*job.params.get("left_out", ()), *missing])
    report("compare", 0.96, {}, None)
    judged = judge_detector(app, run, model)
    _finish(app, run)
    return {
        "run_id": run.run_id,
        "model_id": model.model_id,
        "verdict": model.metrics["verdict"],
        "measured": model.metrics["measured"],
        "warnings": model.metrics["warnings"],
        "promoted": judged.promoted,
        "reason": judged.reason,
    }


def _begin(app: App, job: Job) -> TrainingRun:
    """The run of this job: the one an earlier attempt began, or a new one."""
    with app.records.transaction() as tx:
        begun = tx.find(TrainingRun, job_id=job.job_id)
        if begun:
            return begun[0]
        recipe = dict(job.params["recipe"])
        run = TrainingRun(
            run_id=ids.run_id(utc_now(), lambda name: tx.get(TrainingRun, name) is not None),
            kind=MODEL_KIND,
            job_id=job.job_id,
            snapshot_id=job.params["snapshot_id"],
            recipe=recipe,
            seed=recipe["seed"],
            code_version=__version__,
            initial_model_id=job.params.get("initial", ""),
        )
        tx.put(run)
        data = {"run_id": run.run_id, "snapshot_id": run.snapshot_id, "kind": MODEL_KIND}
        tx.emit(Event(events.TRAINING_STARTED, run.run_id, data))
    return run


def _model_of(app: App, run: TrainingRun) -> Model | None:
    with app.records.transaction() as tx:
        return next(iter(tx.find(Model, run_id=run.run_id, kind=MODEL_KIND)), None)


def snapshot_of(app: App, run: TrainingRun) -> tuple[Snapshot, list[ManifestRow]]:
    snapshot = get_snapshot(app.records, run.snapshot_id)
    key = snapshot.manifests[Split.TRAIN]
    return snapshot, parse_manifest(app.blobs.get(key), name=key)


def lay_out_clips(app: App, run: TrainingRun) -> list[str]:
    """The frozen clips and their labels below the run's folder, sharing the bytes of the dataset's files.

    Done once: a later attempt finds them as they were.

    Returns:
        What is gone meanwhile, as sentences.
    """
    folder = app.run_dir(run.run_id) / FROZEN
    labels = folder / "labels.json"
    if labels.exists():
        return []
    _, rows = snapshot_of(app, run)
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    found = {}
    for row in rows:
        source, name = app.data_dir / row.audio_filepath, str(row.extras["wake_clip"])
        if source.is_file():
            _share(source, folder / "clips" / f"{name}.wav")
            known = {key: row.extras[key] for key in ("label", "licence", "distance_m") if key in row.extras}
            found[name] = {**known, "speaker": row.speaker, "snr_db": row.extras["snr_db"]}
    labels.write_text(json.dumps({"clips": found}, ensure_ascii=False, indent=1), encoding="utf-8")
    gone = len(rows) - len(found)
    return [f"{gone} clips were removed for ever between asking and training"] if gone else []


def _share(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # a file system that knows no links: a copy is as good
        shutil.copyfile(source, target)


def _build(app: App, run: TrainingRun, job: Job, report: Report, should_stop: ShouldStop) -> BuildResult:
    from phonoloop.app.voice_speaking import voices_named
    from phonoloop.app.voices import voices_at_hand
    from phonoloop.wakeword.build import build

    request = build_request(app, run, job)
    teller = _Teller(app, run, report)
    piper = voices_named(app, app.settings.piper_voices)
    with voices_at_hand(piper, workers=request.recipe.workers) as (phonemiser, synthesizers):
        return build(
            request,
            synthesizers=synthesizers,
            phonemiser=phonemiser,
            decoder=app.decoder,
            on_progress=teller,
            should_stop=should_stop,
        )


def build_request(app: App, run: TrainingRun, job: Job) -> BuildRequest:
    """What the job's build is asked for: the same however often it is taken up again."""
    from phonoloop.wakeword.build import BuildRequest
    from phonoloop.wakeword.inputs import Sources

    snapshot, _ = snapshot_of(app, run)
    return BuildRequest(
        phrase=str(snapshot.rules["phrase"]),
        language=str(snapshot.rules["language"]) or app.settings.language,
        out_dir=app.run_dir(run.run_id),
        recipe=recipe_of(run),
        # labels lie beside the clips and count for more than the folder they are in
        sources=Sources(positives=(app.run_dir(run.run_id) / FROZEN / "clips",)),
        synthesise=bool(job.params.get("synthesise", True)),
        continue_from=_initial_dir(app, run),
    )


def recipe_of(run: TrainingRun) -> WakeRecipe:
    from phonoloop.wakeword.config import recipe_from_dict

    return recipe_from_dict(run.recipe)


def _initial_dir(app: App, run: TrainingRun) -> Path | None:
    if not run.initial_model_id:
        return None
    with app.records.transaction() as tx:
        return artefact_dir(app.blobs, find_detector(tx, run.initial_model_id))


class _Teller:
    """Tells the runner, writes stages to the job's log, keeps what epochs measured."""

    def __init__(self, app: App, run: TrainingRun, report: Report) -> None:
        self._app, self._run, self._report = app, run, report
        self._stage = ""

    def __call__(self, progress: Progress) -> None:
        self._report(progress.stage, 0.01 + 0.94 * progress.fraction, progress.metrics, progress.eta_s)
        if progress.stage != self._stage:
            self._stage = progress.stage
            self._log(f"stage {progress.stage}")
        if progress.epoch_done:
            figures = ", ".join(f"{name} {value:.4g}" for name, value in progress.metrics.items())
            self._log(f"epoch {progress.epoch} of {progress.epochs}: {figures}")
            self._keep(progress)

    def _log(self, line: str) -> None:
        print(f"{utc_now():%Y-%m-%d %H:%M:%S} {line}", file=sys.stderr, flush=True)

    def _keep(self, progress: Progress) -> None:
        run_id = self._run.run_id
        with self._app.records.transaction() as tx:
            tx.put(
                EpochMetric(
                    metric_id=f"{run_id}/{progress.epoch:04d}",
                    run_id=run_id,
                    epoch=progress.epoch,
                    values=dict(progress.metrics),
                )
            )


# ---------------------------------------------------------------- what comes out


def _publish(app: App, run: TrainingRun, built: BuildResult, told: Sequence[str]) -> Model:
    """Stores every file of the export, its description last, then makes the model known: nobody sees half
    of one."""
    key = prefix(run.run_id)
    files = {path.name: path.read_bytes() for path in sorted(built.export_dir.iterdir()) if path.is_file()}
    description = files.pop(METADATA)
    report = json.dumps(built.report, ensure_ascii=False, indent=1).encode() + b"\n"
    model = Model(
        model_id=built.model_id,
        kind=MODEL_KIND,
        run_id=run.run_id,
        snapshot_id=run.snapshot_id,
        artefacts=key,
        files={name: ids.sha256_hex(data) for name, data in files.items()}
        | {METADATA: ids.sha256_hex(description)},
        metrics=_metrics(built.report, told),
    )
    lineage = json.dumps(artifacts(app, run, model, built.report), ensure_ascii=False, indent=1).encode()
    for name, data in {
        **files,
        "report.json": report,
        ARTIFACTS: lineage + b"\n",
        METADATA: description,
    }.items():
        app.blobs.put(key + name, data)
    (app.run_dir(run.run_id) / ARTIFACTS).write_bytes(lineage + b"\n")
    with app.records.transaction() as tx:
        promote.register(tx, model)
        data = {"run_id": run.run_id, "model_id": model.model_id, "snapshot_id": run.snapshot_id}
        tx.emit(Event(events.TRAINING_COMPLETED, run.run_id, data | {"kind": MODEL_KIND}))
    return model


def _metrics(report: Mapping[str, Any], told: Sequence[str]) -> dict[str, Any]:
    """What lists and decisions need; the whole report lies beside the model."""
    evaluation = report.get("evaluation", {})
    verdict = evaluation.get("verdict", {})
    return {
        "phrase": report["phrase"],
        "language": report["language"],
        "verdict": report["verdict"],
        "reasons": list(verdict.get("reasons", ())),
        "measured": list(measured(evaluation)),
        "figures": {name: evaluation[name] for name in ("misses", "false_accepts") if name in evaluation},
        "warnings": [*told, *report.get("warnings", ())],
    }


def measured(evaluation: Mapping[str, Any]) -> Iterator[str]:
    """The figures as sentences, each with what it was counted on."""
    if "misses" not in evaluation:
        return
    yield f"misses {evaluation['misses']['text']}"
    for snr_db, rate in evaluation.get("misses_at_snr_db", {}).items():
        yield f"with noise at {snr_db} dB {rate['text']}"
    yield f"false accepts {evaluation['false_accepts']['text']}"


def artifacts(app: App, run: TrainingRun, model: Model, report: Mapping[str, Any]) -> dict[str, Any]:
    """Where a detector comes from: dataset, clips, speakers, licences, recipe, code, files."""
    snapshot, rows = snapshot_of(app, run)
    return {
        "model_id": model.model_id,
        "run_id": run.run_id,
        "job_id": run.job_id,
        "made_at": utc_now().isoformat(),
        "code_version": run.code_version,
        "dataset": {"dataset_id": snapshot.rules["wakeword"], "content": snapshot.rules["content"]},
        "snapshot": {"snapshot_id": snapshot.snapshot_id, "manifest": snapshot.manifests[Split.TRAIN]},
        "clips": [str(row.extras["wake_clip"]) for row in rows],
        "speakers": sorted({row.speaker for row in rows} - {""}),
        "licences": dict(report.get("licences", {})),
        "recipe": dict(run.recipe),
        "seed": run.seed,
        "began_with": run.initial_model_id,
        "files": dict(model.files),
    }


def _finish(app: App, run: TrainingRun) -> None:
    with app.records.transaction() as tx:
        tx.put(replace(run, state="succeeded", ended_at=utc_now()))
    drop_leftovers(app, run.run_id)


def drop_leftovers(app: App, run_id: str) -> None:
    """What only a resume would need: above all the clips, which a person may want forgotten."""
    for name in _LEFTOVERS:
        shutil.rmtree(app.run_dir(run_id) / name, ignore_errors=True)
