"""Strips as a network hears them, computed once and kept in shards: training then takes seconds.

FOLDER/
  <pool>-<shard>.<ear>.npy    float16 (n, …): what an ear makes of the strips
  <pool>-<shard>.ends.npy     int32 (n,): where the phrase ends in each, -1 where it is not said

A shard that is there is whole, so what a kill leaves is gone on from.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from phonoloop.core.errors import CancelledError
from phonoloop.training.checkpoint import write_whole
from phonoloop.wakeword.model import WakeNet

SHARD_STRIPS = 64
NO_END = -1


def fold_pool(fold: int) -> str:
    """The name of the strips cut from a fold's recordings."""
    return f"recorded_{fold}"


class Ear(Protocol):
    """What is kept of audio (n, samples), float32: an array (n, …)."""

    def __call__(self, audio: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True, slots=True, eq=False)
class FrontEar:
    """The features of a network's front, float16 (n, T, F)."""

    model: WakeNet

    def __call__(self, audio: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return self.model.front(torch.from_numpy(audio)).numpy().astype(np.float16)


def keep_audio(audio: np.ndarray) -> np.ndarray:
    """The samples themselves, for networks whose front is trained: float16 holds 11 bits of them."""
    return audio.astype(np.float16)


@dataclass(frozen=True, slots=True, eq=False)
class PoolPlan:
    """Strips of one kind.

    Attributes:
        make: index → float32 (samples,) and the sample at which the phrase ends, or `NO_END`; a function
            of the index alone.
        held_out: nothing is learned from it.
    """

    name: str
    count: int
    make: Callable[[int], tuple[np.ndarray, int]]
    held_out: bool = False

    @property
    def shards(self) -> range:
        return range(-(-self.count // SHARD_STRIPS))

    def indices(self, shard: int) -> range:
        return range(shard * SHARD_STRIPS, min((shard + 1) * SHARD_STRIPS, self.count))


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Strips of one kind, as one ear heard them.

    Attributes:
        ends: (n,) int32. arrays: one for each shard, read from the disk as they are needed.
    """

    name: str
    ends: np.ndarray
    arrays: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.ends)

    def take(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """(k, …) float32."""
        parts = [self.arrays[int(i) // SHARD_STRIPS][int(i) % SHARD_STRIPS] for i in indices]
        return np.stack(parts).astype(np.float32)


def compute(
    plans: Sequence[PoolPlan],
    ears: Mapping[str, Ear],
    folder: Path,
    *,
    workers: int,
    on_done: Callable[[float], None],
    should_stop: Callable[[], bool],
) -> None:
    """Makes the shards that are missing, in threads: what takes time leaves the interpreter's lock.

    Args:
        on_done: called with the share of the strips that are done.

    Raises:
        CancelledError: `training.cancelled`.
        ResourceError: `resource.disk`.
    """
    missing = [
        (plan, shard)
        for plan in plans
        for shard in plan.shards
        if not all(_path(folder, plan.name, shard, kind).is_file() for kind in (*ears, "ends"))
    ]
    total = sum(len(plan.shards) for plan in plans)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _in_threads(
            [lambda p=plan, s=shard: _make_shard(p, s, ears, folder) for plan, shard in missing],
            workers=workers,
            on_done=lambda done: on_done((total - len(missing) + done) / max(1, total)),
            should_stop=should_stop,
        )
    finally:
        torch.set_num_threads(threads)


def _in_threads(
    tasks: Sequence[Callable[[], None]],
    *,
    workers: int,
    on_done: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> None:
    """Runs all; no more are begun once one has failed or somebody asked to stop."""
    waiting, running, done = iter(tasks), set(), 0
    with ThreadPoolExecutor(workers, thread_name_prefix="strips") as threads:
        while True:
            running |= _begin(threads, waiting, 2 * workers - len(running))
            if not running:
                return
            ended, running = wait(running, timeout=0.5, return_when=FIRST_EXCEPTION)
            for future in ended:
                future.result()
            done += len(ended)
            on_done(done)
            if should_stop():
                raise CancelledError(
                    "it was stopped while audio was prepared",
                    code="training.cancelled",
                    hint="Start it again to go on from there",
                )


def _begin(threads: ThreadPoolExecutor, waiting: Iterable[Callable[[], None]], most: int) -> set[Future]:
    return {threads.submit(task) for _, task in zip(range(most), waiting, strict=False)}


def _make_shard(plan: PoolPlan, shard: int, ears: Mapping[str, Ear], folder: Path) -> None:
    made = [plan.make(index) for index in plan.indices(shard)]
    audio = np.stack([samples for samples, _ in made])
    for kind, ear in ears.items():
        _write(_path(folder, plan.name, shard, kind), ear(audio))
    _write(_path(folder, plan.name, shard, "ends"), np.array([end for _, end in made], np.int32))


def _path(folder: Path, pool: str, shard: int, kind: str) -> Path:
    return folder / f"{pool}-{shard:05d}.{kind}.npy"


def _write(path: Path, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_whole(path, buffer.getvalue())


def open_pool(plan: PoolPlan, kind: str, folder: Path) -> Pool:
    """What `compute` made of a plan, as one ear heard it."""
    ends = [np.load(_path(folder, plan.name, shard, "ends"), allow_pickle=False) for shard in plan.shards]
    arrays = [
        np.load(_path(folder, plan.name, shard, kind), mmap_mode="r", allow_pickle=False)
        for shard in plan.shards
    ]
    return Pool(plan.name, np.concatenate(ends) if ends else np.zeros(0, np.int32), tuple(arrays))
