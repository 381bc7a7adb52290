"""Where and how precisely to compute, and the small parts of an optimiser step that trainings share."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Numerics:
    """Where and how precisely to compute."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)


def choose_numerics(device: str, precision: str, local_rank: int = 0) -> Numerics:
    """`auto` takes a GPU where there is one, and bf16 where the processor computes in it."""
    if device == "auto":
        device = f"cuda:{local_rank}" if torch.cuda.is_available() else "cpu"
    place = torch.device(device)
    named = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    return Numerics(place, named[precision] if precision in named else _best_dtype(place))


def _best_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def adamw(
    model: nn.Module, *, lr: float, weight_decay: float, betas: tuple[float, float] = (0.9, 0.999)
) -> torch.optim.AdamW:
    """Weight decay on matrices only; norms and biases are left alone."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, foreach=True)


def follow(average: dict[str, Tensor], now: dict[str, Tensor], decay: float) -> None:
    """Moves an exponential moving average of weights, in place; what only counts is copied."""
    for name, tensor in now.items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor, 1.0 - decay)
        else:
            average[name].copy_(tensor)


@dataclass
class Sums:
    """What an epoch adds up."""

    values: dict[str, float] = field(default_factory=dict)

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self.values[name] = self.values.get(name, 0.0) + value

    def mean(self, name: str, over: str) -> float:
        return self.values.get(name, 0.0) / max(self.values.get(over, 0.0), 1e-9)
