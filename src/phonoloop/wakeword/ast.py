"""An Audio Spectrogram Transformer (Gong et al. 2021, arXiv 2104.01778) as a backbone, by `transformers`.

It sees a window of the last `ast_ms` and is computed anew at every step, so it costs a hundred times
what the other kinds cost: for machines with power to spare. Its features are made as its own feature
extractor makes them (Kaldi's filter bank with a Hann window), but inside the graph.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from phonoloop.audio.features import FrontEnd
from phonoloop.core.errors import ConfigError
from phonoloop.wakeword.frontend import FrontNet, LogMel, is_trained, weights_hash
from phonoloop.wakeword.layers import Shapes, State
from phonoloop.wakeword.model_config import SAMPLE_RATE_HZ, ModelRecipe

_ALGORITHM = "sliding-ast/1"
_HOP_MS = 10
_FRAMES_A_STEP = 8
#: our energies are of int16-scaled samples, the extractor's of samples in [-1, 1]
_LOG_SCALE = 2 * math.log(32768.0)
_LEAST_ENERGY = 1.192092955078125e-07
#: what ASTFeatureExtractor takes for settings that its file leaves out
_EXTRACTION = {
    "num_mel_bins": 128,
    "sampling_rate": SAMPLE_RATE_HZ,
    "do_normalize": True,
    "mean": -4.2677393,
    "std": 4.5689974,
}


class SlidingAst(FrontNet):
    """Samples to a vector every 80 ms: the AST's pooled output over the last `ast_ms`.

    A state of zeros is what endless digital silence leaves.
    """

    feature_rate = 1

    def __init__(self, recipe: ModelRecipe) -> None:
        super().__init__()
        base, extraction = _load(recipe.backbone)
        self.weights_sha256 = weights_hash(base)
        self.frames = _cut_positions(base, recipe.ast_ms // _HOP_MS, recipe.backbone)
        self.base = base.requires_grad_(not recipe.freeze_base)
        self.feature_count = int(base.config.hidden_size)
        self.mel = LogMel(_front_end(base.config, extraction), hann=True)

    @property
    def state_shapes(self) -> Shapes:
        return (*self.mel.state_shapes, (self.frames - _FRAMES_A_STEP, self.mel.feature_count))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        heard, known = state
        new, (heard,) = self.mel.step(x, (heard,))
        seen = torch.cat([known + self.mel.silence, new], dim=1)
        vectors = self._vectors(self._windows(seen))
        past = seen[:, seen.shape[1] - (self.frames - _FRAMES_A_STEP) :]
        return vectors.reshape(x.shape[0], -1, self.feature_count), (heard, past - self.mel.silence)

    def _windows(self, seen: Tensor) -> Tensor:
        """(B · k, frames, mels) of (B, frames - 8 + 8 k, mels)."""
        steps = (seen.shape[1] - self.frames) // _FRAMES_A_STEP + 1
        starts = torch.arange(steps, device=seen.device) * _FRAMES_A_STEP
        inside = torch.arange(self.frames, device=seen.device)
        windows = seen[:, starts[:, None] + inside]
        return windows.reshape(-1, self.frames, self.mel.feature_count)

    def _vectors(self, windows: Tensor) -> Tensor:
        return self.base(windows).pooler_output

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "ast",
            "algorithm": _ALGORITHM,
            "frames": self.frames,
            "mel": self.mel.to_dict(),
            "weights_sha256": self.weights_sha256,
            "trained_further": is_trained(self),
        }


def _load(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """The model and its extractor's settings, from a folder (then without a network) or by a hub name."""
    try:
        from transformers import ASTFeatureExtractor, ASTModel
    except ImportError as error:
        raise ConfigError(
            "an AST needs the package transformers",
            code="config.missing_package",
            hint="Install phonoloop[embedders]",
        ) from error
    local = Path(name).is_dir()
    try:
        base = ASTModel.from_pretrained(name, local_files_only=local, use_safetensors=True)
        extraction, _ = ASTFeatureExtractor.get_feature_extractor_dict(name, local_files_only=local)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"no AST can be loaded ({str(error).strip().splitlines()[0]})",
            code="config.backbone",
            subject=name,
            hint="Name a folder with config.json, preprocessor_config.json and model.safetensors",
        ) from error
    return base.eval(), _EXTRACTION | extraction


def _front_end(config: Any, extraction: dict[str, Any]) -> FrontEnd:
    """The extractor's features, with its zeros at the loudness of ours."""
    bands, rate_hz = extraction["num_mel_bins"], extraction["sampling_rate"]
    if (bands, rate_hz) != (config.num_mel_bins, SAMPLE_RATE_HZ):
        raise ConfigError(
            f"its features are {bands} bands at {rate_hz} Hz, which does not fit "
            f"{config.num_mel_bins} bands at {SAMPLE_RATE_HZ} Hz",
            code="config.backbone",
            subject="preprocessor_config.json",
        )
    normal = extraction["do_normalize"]
    return FrontEnd(
        n_mels=bands,
        floor=math.log(_LEAST_ENERGY) + _LOG_SCALE,
        mean=_LOG_SCALE + (extraction["mean"] if normal else 0.0),
        std=2 * extraction["std"] if normal else 1.0,
    )


def _cut_positions(base: nn.Module, most_frames: int, name: str) -> int:
    """Keeps the places of the first frames, as its authors do for shorter clips.

    Gives how many frames the remaining patches cover: all of them are heard, to the last.
    """
    patch, stride = base.config.patch_size, base.config.time_stride
    least_ms, most_ms = patch * _HOP_MS, base.config.max_length * _HOP_MS
    if not least_ms <= most_frames * _HOP_MS <= most_ms:
        raise ConfigError(
            f"it sees {least_ms} to {most_ms} ms, not {most_frames * _HOP_MS}",
            code="config.backbone",
            subject=name,
            hint="Change model.ast_ms",
        )
    bands, columns = base.embeddings.get_shape(base.config)
    kept = (most_frames - patch) // stride + 1
    places = base.embeddings.position_embeddings.data
    grid = places[:, 2:].reshape(1, bands, columns, -1)[:, :, :kept]
    both = torch.cat([places[:, :2], grid.reshape(1, bands * kept, -1)], dim=1)
    base.embeddings.position_embeddings = nn.Parameter(both)
    base.config.max_length = patch + stride * (kept - 1)
    return base.config.max_length
