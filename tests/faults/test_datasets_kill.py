"""Two processes write to a dataset of clips and are killed with SIGKILL, at random moments and before each
single step: labels, clips and metrics agree afterwards, and nothing that was confirmed is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from kills import killed_before

from phonoloop.adapters.blobs_local import LocalBlobStore
from phonoloop.adapters.bus_sql import SqlEventBus
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.adapters.sql_database import Database
from phonoloop.audio.vad import EnergyDetector
from phonoloop.core.clock import utc_now
from phonoloop.core.errors import ConflictError, NotFoundError
from phonoloop.core.events import DATASET_CHANGED
from phonoloop.data.model import AuditEntry
from phonoloop.testing.intake import PlainDecoder, babble, write_sound
from phonoloop.wakeword import datasets
from phonoloop.wakeword.datasets import DatasetContext, NewDataset
from phonoloop.wakeword.datasets_add import add_file
from phonoloop.wakeword.datasets_metrics import metrics_of
from phonoloop.wakeword.datasets_said import About, Label, Wish

ROUNDS, WRITERS = 6, 2


def opened(root: Path) -> DatasetContext:
    return DatasetContext(
        SqlRecords(f"sqlite:///{root / 'records.sqlite'}"),
        LocalBlobStore(root),
        root=root,
        decoder=PlainDecoder(),
        detector=EnergyDetector(),
    )


def make(root: Path) -> None:
    context = opened(root)
    datasets.create(context, "computer", NewDataset(phrase="computer"), actor="test")
    context.records.close()


# ---------------------------------------------------------------- at random moments


class Diary:
    """What a writer was about to do, and what was confirmed to it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, **line: object) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def writer(root: Path, number: int, round_: int) -> None:
    """Adds, labels, deletes and restores its own clips, until it is killed."""
    context, rng = opened(root), random.Random(100 * round_ + number)
    diary, mine = Diary(root / f"diary-{number}"), []
    for step in range(10_000):
        act = rng.choice(("add", "add", "add", "label", "delete", "restore")) if mine else "add"
        name = "" if act == "add" else rng.choice(mine)
        diary.write(begin=act, clip=name)
        if act == "add":
            path = root / "offered" / f"{number}-{round_}-{step}"
            write_sound(path, babble(hash((number, round_, step)) % 2**32, 0.2), container="wav")
            clip = add_file(context, "computer", path, About(label=Label.NEGATIVE), actor=f"w{number}").clip
            mine.append(name := clip.clip_id)
        elif act == "delete":
            datasets.delete_clips(context, [name], actor="w")
        else:
            datasets.restore_clips(context, [name], actor="w")
            if act == "label":
                datasets.change_clip(context, name, Wish(label=Label.NOISE), actor="w")
        diary.write(done=act, clip=name)


def run_and_kill(root: Path, round_: int, alive_s: float) -> None:
    children = []
    for number in range(WRITERS):
        child = os.fork()
        if child == 0:
            try:
                writer(root, number, round_)
            finally:
                os._exit(1)
        children.append(child)
    time.sleep(alive_s)
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "it ended before it was killed"


def confirmed(root: Path) -> tuple[dict[str, str], set[str]]:
    """Clip → what was confirmed last; and the clips that something unconfirmed was begun with."""
    last: dict[str, str] = {}
    unsure: set[str] = set()
    for number in range(WRITERS):
        lines = [json.loads(line) for line in (root / f"diary-{number}").read_text().splitlines()]
        for line, following in zip(lines, [*lines[1:], {}], strict=True):
            if "done" in line:
                last[line["clip"]] = line["done"]
            elif "done" not in following:
                unsure.add(line["clip"])
    return last, unsure


def test_two_writers_killed_at_random_moments_lose_nothing_and_leave_nothing(tmp_path):
    make(tmp_path)
    rng = random.Random(4)
    for round_ in range(ROUNDS):
        run_and_kill(tmp_path, round_, rng.uniform(0.4, 1.2))
        check_whole(tmp_path)
        context = opened(tmp_path)
        clips = datasets.get(context, "computer").clips
        context.records.close()
        last, unsure = confirmed(tmp_path)
        for name, act in last.items():
            assert name in clips
            if name not in unsure:
                assert clips[name].deleted == (act == "delete")
                assert act != "label" or clips[name].label is Label.NOISE
    assert len(last) > ROUNDS  # the kills did interrupt something


def check_whole(root: Path) -> None:
    """Everything agrees after the next open, whatever was cut short."""
    context = opened(root)
    dataset = datasets.get(context, "computer")
    folder = root / "datasets" / "computer"
    assert {path.name for path in folder.iterdir()} <= {"clips", "labels.json", "metrics.json", ".lock"}
    files = [path.name for path in (folder / "clips").iterdir()] if dataset.clips else []
    assert sorted(files) == sorted(f"{name}.wav" for name in dataset.clips)
    metrics = json.loads((folder / "metrics.json").read_bytes())
    assert metrics == json.loads(json.dumps(metrics_of(dataset, context.rules)))
    bus = SqlEventBus(context.records)
    while context.records.drain_outbox(bus):
        pass
    events = [e.event for e in bus.tail(limit=100_000)]
    told = [e.data["revision"] for e in events if (e.type, e.subject) == (DATASET_CHANGED, "computer")]
    assert sorted(told) == list(range(1, dataset.revision + 1))
    with context.records.transaction() as tx:
        entries = [e for e in tx.find(AuditEntry) if e.detail.get("dataset_id") == "computer"]
    assert {entry.detail["revision"] for entry in entries} == set(range(1, dataset.revision + 1))
    added = Counter(entry.subject for entry in entries if entry.action == "clip.added")
    assert set(added.values()) <= {1}
    assert set(dataset.clips) <= set(added)
    context.records.close()


# ---------------------------------------------------------------- before each single step


def offer(root: Path, seed: int) -> Path:
    return write_sound(root / "offered" / str(seed), babble(seed, 0.2), container="wav")


def add(root: Path) -> None:
    context = opened(root)
    about = About(label=Label.NEGATIVE, speaker="An")
    add_file(context, "computer", offer(root, 9), about, actor="test")
    context.records.close()


def purge(root: Path) -> None:
    context = opened(root)
    later = utc_now() + timedelta(days=1)
    datasets.purge(context, "computer", older_than_days=0.5, actor="test", now=later)
    context.records.close()


def forget(root: Path) -> None:
    context = opened(root)
    datasets.forget_in_datasets(context, "An", actor="test")
    context.records.close()


def create(root: Path) -> None:
    context = opened(root)
    datasets.create(context, "other", NewDataset(phrase="other"), actor="test")
    context.records.close()


def prepare(root: Path) -> None:
    make(root)
    context = opened(root)
    about = About(label=Label.NEGATIVE)
    for seed, speaker in ((1, "An"), (2, "Binh"), (3, "An")):
        added = add_file(
            context, "computer", offer(root, seed), replace(about, speaker=speaker), actor="test"
        )
        if seed == 2:
            datasets.delete_clips(context, [added.clip.clip_id], actor="test")
    context.records.close()


@pytest.mark.parametrize("act", [add, purge, forget, create])
def test_killed_before_any_step_everything_agrees_and_done_again_it_ends_the_same(act, tmp_path):
    for step in range(40):
        root = tmp_path / str(step)
        root.mkdir()
        prepare(root)
        was_killed = killed_at(root, step, act)
        check_whole(root)
        with suppress(ConflictError):  # what was made is there already
            act(root)
        check_whole(root)
        check_ended(root, act)
        if not was_killed:
            assert step >= 4
            return
    raise AssertionError("it never came to its end")


def check_ended(root: Path, act) -> None:
    context = opened(root)
    clips = datasets.get(context, "computer").clips.values()
    speakers = Counter(clip.speaker for clip in clips)
    expected = {
        add: {"An": 3, "Binh": 1},
        purge: {"An": 2},
        forget: {"Binh": 1},
        create: {"An": 2, "Binh": 1},
    }
    assert speakers == expected[act]
    if act is create:
        assert datasets.get(context, "other").revision == 1
    context.records.close()


def killed_at(root: Path, step: int, act) -> bool:
    """Acts in a process that dies before that write or deletion; False where it came to its end."""
    places = ((LocalBlobStore, "put"), (LocalBlobStore, "delete"), (Path, "unlink"), (Database, "write"))
    return killed_before(step, places, lambda: act(root))


def test_a_dataset_whose_making_was_killed_is_not_there(tmp_path):
    (tmp_path / "datasets" / "computer").mkdir(parents=True)
    (tmp_path / "datasets" / "computer" / ".writing").touch()
    context = opened(tmp_path)
    assert datasets.all_datasets(context) == []
    with pytest.raises(NotFoundError):
        datasets.get(context, "computer")
    datasets.create(context, "computer", NewDataset(phrase="computer"), actor="test")
    context.records.close()
