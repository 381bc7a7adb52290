"""Forgetting a speaker everywhere: recordings, clips of wake words, predictions, the models' cards."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from phonoloop.app import voice_jobs, voice_models, wakeword_models
from phonoloop.app.bootstrap import App
from phonoloop.app.voice_workshops import forget_in_voices, voices_of
from phonoloop.app.wakeword_training import FROZEN
from phonoloop.core.errors import ConflictError
from phonoloop.core.ports import Transaction
from phonoloop.data.forget import Forgotten, forget_speaker
from phonoloop.data.stores import Stores
from phonoloop.jobs import queue
from phonoloop.jobs.model import Job
from phonoloop.registry import card, lineage
from phonoloop.registry.model import Model, Prediction, TrainingRun
from phonoloop.wakeword.datasets import forget_in_datasets

log = logging.getLogger(__name__)


def forget(app: App, name: str, *, actor: str) -> Forgotten:
    """See `forget_speaker`; what models heard in the speaker's clips goes too, and the speaker's clips in
    datasets of wake words, and what unfinished trainings on them had written; so do their recordings for
    voices, with all that was made of them but what is installed, which is marked."""

    def mark_models(tx: Transaction, speaker_id: str) -> list[str]:
        for prediction in tx.find(Prediction, speaker_id=speaker_id):
            tx.delete(Prediction, prediction.prediction_id)
        marked = lineage.mark_models_of_speaker(tx, app.blobs, speaker_id, actor=actor)
        return [model.model_id for model in marked]

    kept_in = [app.inbox.parent / folder for folder in ("processed", "rejected")]
    stores = Stores(app.records, app.blobs)
    done = forget_speaker(stores, name, actor=actor, mark_models=mark_models, kept_in=kept_in)
    clips = forget_in_datasets(app.wake_datasets, done.speaker_id, actor=actor)
    for folder in _runs_with(app, done.speaker_id):
        _drop_run(app, folder)
    _stop_voices(app, voices_of(app, done.speaker_id))
    forget_in_voices(app, done.speaker_id)
    for model_id in done.models:
        _write_card(app, model_id)
    return replace(done, wake_clips=clips)


def _runs_with(app: App, speaker_id: str) -> Iterator[Path]:
    """Folders of wake-word trainings that have not ended, in which the speaker is heard."""
    for labels in (app.data_dir / "runs").glob(f"*/{FROZEN}/labels.json"):
        clips = json.loads(labels.read_bytes())["clips"].values()
        if any(clip["speaker"] == speaker_id for clip in clips):
            yield labels.parent.parent


def _drop_run(app: App, folder: Path) -> None:
    """The training is asked to stop; what it kept of the clips goes. It cannot go on without them."""
    with app.records.transaction() as tx:
        run = tx.get(TrainingRun, folder.name)
        try:
            if run is not None:
                queue.request_cancel(tx, run.job_id)
        except ConflictError as error:
            log.info("%s: %s", folder.name, error)  # it has ended, and left this behind
    # what a process that is about to stop still writes goes when its job has ended
    shutil.rmtree(folder, ignore_errors=True)


def _stop_voices(app: App, names: Sequence[str]) -> None:
    """Builds that wait or run are of recordings that are gone."""
    with app.records.transaction() as tx:
        for job in tx.find(Job, kind=voice_jobs.KIND):
            if not job.state.ended and job.params["voice"] in names:
                queue.request_cancel(tx, job.job_id)


def _write_card(app: App, model_id: str) -> None:
    with app.records.transaction() as tx:
        model = tx.get(Model, model_id)
        if model.kind == wakeword_models.KIND:
            wakeword_models.write_card(app.blobs, model)
            return
        if model.kind == voice_models.KIND:
            voice_models.write_card(app.blobs, model)
            return
        text = card.model_card(tx, app.blobs, model_id)
    app.blobs.put(model.artefacts + "card.md", text.encode())
