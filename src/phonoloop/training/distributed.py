"""The few things a run under `torchrun` does differently from one in a single process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class World:
    """This process among those that train together."""

    rank: int = 0
    local_rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        return self.rank == 0


def world_from_environment() -> World:
    """What `torchrun` set; a world of one where it did not start us."""
    get = os.environ.get
    return World(int(get("RANK", "0")), int(get("LOCAL_RANK", "0")), int(get("WORLD_SIZE", "1")))


@contextlib.contextmanager
def joined(world: World) -> Iterator[None]:
    """The process group, for as long as it is needed."""
    if world.size == 1:
        yield
        return
    torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def wrap(model: nn.Module, world: World, device: torch.device) -> nn.Module:
    """The model as the processes share it."""
    if world.size == 1:
        return model
    ids = [device.index] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=ids)


def without_sync(model: nn.Module, enabled: bool) -> AbstractContextManager:
    """No gradient exchange, for all micro-batches of a step but the last."""
    if enabled and isinstance(model, nn.parallel.DistributedDataParallel):
        return model.no_sync()
    return contextlib.nullcontext()


def from_main(world: World, values: dict[str, float]) -> dict[str, float]:
    """The main process's figures, in every process, so that all decide alike."""
    if world.size == 1:
        return values
    box = [values]
    torch.distributed.broadcast_object_list(box, src=0)
    return box[0]
