"""Which network listens for a phrase: frozen, strict, checked before anything is built."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from phonoloop.audio.features import FrontEnd
from phonoloop.core.errors import ConfigError

SAMPLE_RATE_HZ = 16_000
#: a network gives one score for so much audio
STEP_MS = 80
STEP_SAMPLES = SAMPLE_RATE_HZ * STEP_MS // 1000

#: networks that start from nothing, on log-mel frames
OWN_KINDS = ("bcresnet", "matchboxnet", "marblenet")
_BANDS = "a BC-ResNet needs a multiple of 40 bands, since it halves them three times and parts them in 5"


def _front_end() -> FrontEnd:
    """Forty bands are wider than a recogniser's eighty, and rounding to 16 bits leaves more in them."""
    return FrontEnd(n_mels=40, floor=4.0)


@dataclass(frozen=True, slots=True)
class ModelRecipe:
    """The network.

    Attributes:
        kind: `auto` takes `embedding` where its files are found, else `bcresnet`.
        front_end: log-mel settings of `bcresnet`, `matchboxnet` and `marblenet`; the other kinds have
            that of their backbone.
        width: of a BC-ResNet, times the 8 channels it is counted in: 1, 1.5, 2, 3, 6, 8 in the paper.
        time_stride: over how many frames the first convolution of a BC-ResNet steps.
        dilations: over time, of the four stages of a BC-ResNet, in frames after that convolution; the
            paper's suit frames of 10 ms.
        blocks, repeats, channels: B × R × C of MatchboxNet and MarbleNet; `repeats` 0 takes the
            paper's, 1 and 2.
        pool_ms: over how much of the past these three average before they decide.
        backbone: of `embedding`, the folder of its two files, searched for where empty; of `ast`, a
            folder or a hub name.
        freeze_base: the backbone is not trained.
        head: what decides over the vectors of a backbone; `ensemble` is a `tcn` and an `attention` head whose
            logits are averaged.
        head_steps: how many of these vectors (80 ms each) it looks at.
        head_width: channels inside a head that is not `dense`.
        dense: widths of the `dense` head.
        ast_ms: of audio that an AST sees at each step.
        dropout: in a head or network.
    """

    kind: Literal["auto", "bcresnet", "matchboxnet", "marblenet", "embedding", "ast"] = "auto"
    front_end: FrontEnd = field(default_factory=_front_end)
    width: float = 1.5
    time_stride: int = 1
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    blocks: int = 3
    repeats: int = 0
    channels: int = 64
    pool_ms: int = 960
    backbone: str = ""
    freeze_base: bool = True
    head: Literal["attention", "se", "tcn", "dense", "ensemble"] = "attention"
    head_steps: int = 16
    head_width: int = 64
    dense: tuple[int, ...] = (256, 128)
    ast_ms: int = 1280
    dropout: float = 0.1


def check(model: ModelRecipe) -> None:
    """Raises ConfigError `config.wrong_value` for values that contradict each other."""
    for subject, holds, message in rules(model):
        if not holds:
            raise ConfigError(message, code="config.wrong_value", subject=subject)


def rules(model: ModelRecipe) -> list[tuple[str, bool, str]]:
    """(setting, whether it holds, what is wrong otherwise), for a recipe that has a section `model`."""
    needs_backbone = model.kind == "ast"
    may_be_bcresnet = model.kind in ("auto", "bcresnet")
    return [
        *_front_end_rules(model.front_end),
        ("model.front_end.n_mels", model.front_end.n_mels % 40 == 0 or not may_be_bcresnet, _BANDS),
        *_bcresnet_rules(model),
        ("model.blocks", 1 <= model.blocks <= 10, "between 1 and 10 blocks"),
        ("model.repeats", 0 <= model.repeats <= 10, "between 0 and 10 repeats"),
        ("model.channels", 4 <= model.channels <= 1024, "between 4 and 1,024 channels"),
        ("model.pool_ms", _whole_steps(model.pool_ms), f"a multiple of {STEP_MS} ms, up to 10 s"),
        ("model.backbone", bool(model.backbone) or not needs_backbone, "`ast` needs a folder or hub name"),
        ("model.head_steps", 1 <= model.head_steps <= 125, "a head looks at 1 to 125 steps"),
        ("model.head_width", 4 <= model.head_width <= 1024, "between 4 and 1,024 channels"),
        ("model.dense", all(width >= 1 for width in model.dense), "layers have a width of at least 1"),
        ("model.ast_ms", _whole_steps(model.ast_ms), f"a multiple of {STEP_MS} ms, up to 10 s"),
        ("model.dropout", 0 <= model.dropout < 1, "dropout is 0 or more and less than 1"),
    ]


def _bcresnet_rules(model: ModelRecipe) -> list[tuple[str, bool, str]]:
    stride, hop_ms = model.time_stride, model.front_end.hop_ms
    whole = 1 <= stride <= 4 and (hop_ms <= 0 or STEP_MS // hop_ms % stride == 0)
    far = len(model.dilations) == 4 and all(1 <= dilation <= 32 for dilation in model.dilations)
    return [
        ("model.width", 0.5 <= model.width <= 16, "a width is between 0.5 and 16"),
        ("model.time_stride", whole, f"1 to 4, and the frames of {STEP_MS} ms hold it whole"),
        ("model.dilations", far, "four of them, each between 1 and 32"),
    ]


def _whole_steps(duration_ms: int) -> bool:
    return 0 < duration_ms <= 10_240 and duration_ms % STEP_MS == 0


def _front_end_rules(front: FrontEnd) -> list[tuple[str, bool, str]]:
    hop_ms = front.hop_ms
    return [
        ("model.front_end.sample_rate_hz", front.sample_rate_hz == SAMPLE_RATE_HZ, "16,000 Hz only"),
        ("model.front_end.n_mels", 8 <= front.n_mels <= 128, "between 8 and 128 bands"),
        ("model.front_end.hop_ms", hop_ms > 0 and STEP_MS % hop_ms == 0, f"{STEP_MS} ms hold whole hops"),
        ("model.front_end.frame_ms", hop_ms <= front.frame_ms <= 64, "from a hop's length to 64 ms"),
        ("model.front_end.window", front.window == "povey", "only `povey` is inside the graph"),
        ("model.front_end.std", front.std > 0, "more than 0"),
    ]
