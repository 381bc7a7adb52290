"""A training job, its runner and trainer killed together and its newest checkpoint damaged each time: it ends
as if undisturbed."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import train_worker
from train_worker import job_of, kill_group, settings, start, submit, wait_for

from phonoloop.app.bootstrap import App, open_app
from phonoloop.jobs.model import Job, JobState
from phonoloop.registry.model import Champion, EpochMetric, Model, TrainingRun, Verdict

pytest.importorskip("torch", reason="training (extra `train`) is not installed")

#: what can be waited for, and how far along each stage is
STAGES = ("prepare", "train", "export", "judge")
RANKS = {"prepare": 1, "train": 2, "validate": 2, "average": 3, "done": 3, "export": 4, "judge": 5}


def run_calmly(data: Path) -> dict[str, Any]:
    with open_app(settings(data)) as app:
        job_id, process = submit(app), start(data)
        try:
            wait_for(lambda: job_of(app, job_id).state.ended)
        finally:
            kill_group(process)
        return ended(app, job_id)


def ended(app: App, job_id: str) -> dict[str, Any]:
    """What shall be the same however often it was killed."""
    job = job_of(app, job_id)
    assert job.state is JobState.SUCCEEDED, dict(job.error)
    with app.records.transaction() as tx:
        (run,), (model,) = tx.find(TrainingRun), tx.find(Model)
        (verdict,), (champion,) = tx.find(Verdict), tx.find(Champion)
        metrics = {m.epoch: (m.values["loss"], m.values["val_loss"]) for m in tx.find(EpochMetric)}
    weights = (app.data_dir / model.artefacts / "model.pt").read_bytes()
    assert champion.model_id == model.model_id == verdict.candidate_id
    left = [
        p.name for p in app.run_dir(run.run_id).iterdir() if p.name.startswith((".", "checkpoints", "artef"))
    ]
    app.records.drain_outbox(app.bus)
    events = Counter(entry.event.type for entry in app.bus.tail(limit=10_000))
    return {
        "weights": sha256(weights).hexdigest(),
        "losses": metrics,
        "run": run.state,
        "decision": verdict.decision,
        "left over": left,
        "training events": {name: n for name, n in events.items() if name.startswith(("training", "model"))},
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    return train_worker.prepare(tmp_path_factory.mktemp("training") / "data")


@pytest.fixture(scope="module")
def undisturbed(prepared, tmp_path_factory) -> dict[str, Any]:
    data = tmp_path_factory.mktemp("calm") / "data"
    shutil.copytree(prepared, data)
    return run_calmly(data)


def run_killed(data: Path, strikes: list[tuple[str, float]]) -> tuple[dict[str, Any], list[str]]:
    """Killed in each of these stages, so many seconds into it, then left alone; what was struck."""
    struck = []
    with open_app(settings(data)) as app:
        job_id = submit(app)
        for stage, delay_s in strikes:
            process, seen = start(data), job_of(app, job_id).attempt
            wait_for(lambda seen=seen, stage=stage: in_stage(job_of(app, job_id), seen, stage))
            time.sleep(delay_s)
            kill_group(process)
            damage_newest_checkpoint(data)
            struck.append("ended" if job_of(app, job_id).state.ended else job_of(app, job_id).stage)
        process = start(data)
        try:
            wait_for(lambda: job_of(app, job_id).state.ended)
        finally:
            kill_group(process)
        return ended(app, job_id), struck


def damage_newest_checkpoint(data: Path) -> None:
    """As a disk does. The one before is taken; where there is none, a person is asked."""
    found = sorted((data / "runs").glob("*/checkpoints/[!.]*"), key=lambda path: path.stat().st_mtime_ns)
    if len(found) > 1:
        whole = found[-1].read_bytes()
        found[-1].write_bytes(whole[: len(whole) // 2] + b"damaged" + whole[len(whole) // 2 + 7 :])


def in_stage(job: Job, seen: int, stage: str) -> bool:
    """In a new attempt, and there already or further."""
    return job.state.ended or (job.attempt > seen and RANKS.get(job.stage, 0) >= RANKS[stage])


def check(prepared: Path, data: Path, expected: dict[str, Any], strikes: list[tuple[str, float]]) -> None:
    shutil.copytree(prepared, data)
    found, struck = run_killed(data, strikes)
    assert found == expected
    assert expected["left over"] == []
    assert set(expected["training events"].values()) == {1}
    assert struck.count("ended") == 0, struck


def test_killed_three_times_it_ends_with_the_same_model(prepared, undisturbed, tmp_path):
    check(prepared, tmp_path / "data", undisturbed, [("train", 0.1), ("train", 0.7), ("export", 0.5)])


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(4))
def test_killed_often_it_ends_with_the_same_model(prepared, undisturbed, tmp_path, seed):
    chance = random.Random(seed)
    strikes = [(chance.choice(STAGES), chance.uniform(0, 1)) for _ in range(6)]
    check(prepared, tmp_path / "data", undisturbed, strikes)
