"""Randomness that is a function of where one is, not of what happened before.

Each optimiser step and each utterance draws from a generator that is seeded by the run's seed
and its own place (step; epoch and utterance id). So a resumed run, another number of workers
or another order of reading changes nothing.
"""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from any printable parts; equal parts give equal seeds on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(*parts: object) -> np.random.Generator:
    """A numpy generator for one place in a run."""
    return np.random.default_rng(derive_seed(*parts))


def seed_torch(*parts: object) -> None:
    """Seeds torch's global generators (dropout, initialisation) for one place in a run."""
    torch.manual_seed(derive_seed(*parts))


def seed_everything(seed: int) -> None:
    """Seeds the global generators of Python, numpy and torch at the start of a process."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
