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
from phonoloop.wakeword.frontend import FrontNet, LogMel, weights_hash
from phonoloop.wakeword.layers import Shapes, State
from phonoloop.wakeword.model_config import SAMPLE_RATE_HZ, ModelRecipe

_ALGORITHM = "sliding-ast/1"
_HOP_MS = 10
_FRAMES_A_STEP = 8
#: our energies are of int16-scaled samples, the extractor's of samples in [-1, 1]
_LOG_SCALE = 2 * math.log(32768.0)
_LEAST_ENERGY = 1.192092955078125e-07


class SlidingAst(FrontNet):
    """Samples to a vector every 80 ms: the AST's pooled output over the last `ast_ms`.

    A state of zeros is what endless digital silence leaves.
    """

    feature_rate = 1

    def __init__(self, recipe: ModelRecipe) -> None:
        super().__init__()
        base, extractor = _load(recipe.backbone)
        self.frames = recipe.ast_ms // _HOP_MS
        _cut_positions(base, self.frames, recipe.backbone)
        self.base = base.requires_grad_(not recipe.freeze_base)
        self.feature_count = int(base.config.hidden_size)
        self.mel = LogMel(_front_end(base.config, extractor), hann=True)

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
            "weights_sha256": weights_hash(self.base),
        }


def _load(name: str) -> tuple[nn.Module, Any]:
    """The model and its feature extractor, from a folder (then without a network) or by a hub name."""
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
        extractor = ASTFeatureExtractor.from_pretrained(name, local_files_only=local)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"no AST can be loaded ({str(error).strip().splitlines()[0]})",
            code="config.backbone",
            subject=name,
            hint="Name a folder with config.json, preprocessor_config.json and model.safetensors",
        ) from error
    return base.eval(), extractor


def _front_end(config: Any, extractor: Any) -> FrontEnd:
    """The extractor's features, with its zeros at the loudness of ours."""
    if extractor.sampling_rate != SAMPLE_RATE_HZ or config.num_mel_bins != extractor.num_mel_bins:
        raise ConfigError(
            f"its features are {extractor.num_mel_bins} bands at {extractor.sampling_rate} Hz, which does "
            f"not fit {config.num_mel_bins} bands at {SAMPLE_RATE_HZ} Hz",
            code="config.backbone",
            subject="preprocessor_config.json",
        )
    mean, std = (extractor.mean, 2 * extractor.std) if extractor.do_normalize else (0.0, 1.0)
    return FrontEnd(
        n_mels=config.num_mel_bins,
        floor=math.log(_LEAST_ENERGY) + _LOG_SCALE,
        mean=mean + _LOG_SCALE,
        std=std,
    )


def _cut_positions(base: nn.Module, frames: int, name: str) -> None:
    """Keeps the places of the first `frames`, as its authors do for shorter clips."""
    bands, columns = base.embeddings.get_shape(base.config)
    wanted = (frames - base.config.patch_size) // base.config.time_stride + 1
    if not 1 <= wanted <= columns:
        raise ConfigError(
            f"it sees up to {base.config.max_length * _HOP_MS} ms, not {frames * _HOP_MS}",
            code="config.backbone",
            subject=name,
            hint="Change model.ast_ms",
        )
    places = base.embeddings.position_embeddings.data
    grid = places[:, 2:].reshape(1, bands, columns, -1)[:, :, :wanted]
    kept = torch.cat([places[:, :2], grid.reshape(1, bands * wanted, -1)], dim=1)
    base.embeddings.position_embeddings = nn.Parameter(kept)
    base.config.max_length = frames
