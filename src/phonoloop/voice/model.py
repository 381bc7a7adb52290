"""The network of a voice: Piper's VITS in sizes to choose from, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from phonoloop.training.recipes import enforce
from phonoloop.voice.data import RATE_HZ

Quality = Literal["debug", "small", "medium", "high"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["fp32", "bf16"]

#: samples that the discriminators hear at once (of a debug voice half of it); no clip may be shorter
SEGMENT_SAMPLES = 8_192
#: samples a frame of the spectrogram
HOP_SAMPLES = 256

#: Piper's names for them. `medium` and `high` fit the checkpoints that Piper publishes under these names.
_SIZES: dict[str, dict[str, Any]] = {
    "debug": {
        "hidden_channels": 48,
        "inter_channels": 48,
        "filter_channels": 96,
        "n_layers": 2,
        "upsample_initial_channel": 64,
        "segment_size": 4096,
    },
    "small": {"hidden_channels": 96, "inter_channels": 96, "filter_channels": 384},
    "medium": {},
    "high": {
        "resblock": "1",
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        "upsample_rates": [8, 8, 2, 2],
        "upsample_initial_channel": 512,
        "upsample_kernel_sizes": [16, 16, 4, 4],
    },
}


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How a voice is trained.

    Attributes:
        quality: the size of the network. debug is for trying the way out; small is for weak devices.
        epochs: of the whole training; a run that is taken up again goes on to here.
        batch: clips a step.
        learning_rate, learning_rate_d: of the generator and of the discriminators.
        warm_start: a checkpoint of Piper's (.ckpt) to begin with, of the same quality; empty for none.
        threads: of torch; 0 leaves it to torch.
        keep_last, keep_best: so many epochs keep their checkpoint.
        sentences: what each epoch says, to be scored; none: texts of the validation split.
        espeak_voice: says how text sounds; empty for the dataset's language.
    """

    quality: Quality = "medium"
    epochs: int = 1000
    batch: int = 16
    learning_rate: float = 2e-4
    learning_rate_d: float = 1e-4
    seed: int = 1
    device: Device = "auto"
    precision: Precision = "fp32"
    threads: int = 0
    warm_start: str = ""
    keep_last: int = 2
    keep_best: int = 3
    sentences: tuple[str, ...] = ()
    espeak_voice: str = ""

    def __post_init__(self) -> None:
        """Raises ConfigError `config.wrong_value`."""
        enforce(
            (
                ("train.epochs", 1 <= self.epochs <= 9999, "epochs runs from 1 to 9999"),
                ("train.batch", 1 <= self.batch <= 256, "batch runs from 1 to 256"),
                ("train.learning_rate", 0 < self.learning_rate < 1, "learning_rate lies between 0 and 1"),
                ("train.learning_rate_d", 0 < self.learning_rate_d < 1, "it lies between 0 and 1"),
                ("train.threads", 0 <= self.threads <= 256, "threads runs from 0 to 256"),
                ("train.keep_last", self.keep_last >= 1, "the last epoch is kept, or nothing could resume"),
                ("train.keep_best", self.keep_best >= 1, "the best epoch is kept, or there were no voice"),
                ("train.sentences", len(self.sentences) <= 100, "at most 100 sentences can be spoken"),
            )
        )


def piper_model(settings: TrainSettings, speakers: int) -> dict[str, Any]:
    """The arguments of Piper's `VitsModel`."""
    return {
        "segment_size": SEGMENT_SAMPLES,
        **_SIZES[settings.quality],
        "sample_rate": RATE_HZ,
        "num_speakers": speakers,
        "hop_length": HOP_SAMPLES,
        "learning_rate": settings.learning_rate,
        "learning_rate_d": settings.learning_rate_d,
    }
