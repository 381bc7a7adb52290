"""The speech embedding of openWakeWord (Apache-2.0), found, checked and rebuilt as a streaming module.

It is Google's speech_embedding (Lin et al. 2020, arXiv 2002.01322) as two ONNX files. openWakeWord
runs the second over 76 frames at every step, of which 68 are those of the step before. Its
convolutions neither pad time nor look past what they have seen, so two remembered columns in front of
each of eleven convolutions give the same numbers for an eighth of the work.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phonoloop.core.errors import NotFoundError
from phonoloop.core.ids import sha256_hex
from phonoloop.wakeword.embedding_files import CONV, LEAK, MELS, POOL, Layer, SpeechWeights
from phonoloop.wakeword.frontend import FrontNet, Spectrum, is_trained
from phonoloop.wakeword.layers import Packed, Shapes, State, Streaming

MEL_FILE, EMBEDDING_FILE = "melspectrogram.onnx", "embedding_model.onnx"
_PACKAGE = "openwakeword"
#: changes whenever the same files give other numbers
_ALGORITHM = "speech-embedding/1"
#: Decibels of a band (of int16-scaled energies) below which it is raised to this. The original raises
#: to 80 dB below the loudest band of the whole input, which a stream cannot know. This is about what
#: rounding to 16 bits leaves, so that digital silence looks like a very quiet room.
FLOOR_DB = 0.0
_HOP_SAMPLES = 160
_INT16_SCALE = 32768.0
#: openWakeWord hands decibels / 10 + 2 to the network
_DB_SCALE, _DB_SHIFT = 0.1, 2.0
_DB_PER_NEPER = 4.342944819032518
#: steps of 8 frames after which nothing of the beginning is left in 76 frames
_SETTLED_STEPS = 16


@dataclass(frozen=True, slots=True)
class EmbeddingFiles:
    """The two files.

    Attributes:
        source: where they come from, for people: a folder, or the package.
        mel_sha256, embedding_sha256: part of what the front-end is.
    """

    mel: Path
    embedding: Path
    source: str
    mel_sha256: str
    embedding_sha256: str


def find_speech_embedding(path: str | Path | None = None) -> EmbeddingFiles | None:
    """The files in the named folder, else in the installed `openwakeword` package, which is not imported.

    Its phrase models are never touched: their licence is non-commercial.

    Raises:
        NotFoundError: `embedding.missing`, where a folder is named that does not hold both.
    """
    if path is not None and str(path):
        return _files(Path(path), str(path), named=True)
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "resources" / "models"
    return _files(folder, f"the package {_PACKAGE}", named=False)


def _files(folder: Path, source: str, *, named: bool) -> EmbeddingFiles | None:
    mel, embedding = folder / MEL_FILE, folder / EMBEDDING_FILE
    missing = [path.name for path in (mel, embedding) if not path.is_file()]
    if not missing:
        hashes = sha256_hex(mel.read_bytes()), sha256_hex(embedding.read_bytes())
        return EmbeddingFiles(mel, embedding, source, *hashes)
    if not named:
        return None
    raise NotFoundError(
        f"the folder has no {' and no '.join(missing)}",
        code="embedding.missing",
        subject=source,
        hint="Both come with openwakeword 0.4.0, in resources/models",
    )


class SpeechEmbedding(FrontNet):
    """Samples to 96 numbers every 80 ms, of the last 0.77 s.

    A state of zeros is what endless digital silence leaves: caches are kept as differences from that,
    so that the first second of a stream is no special case.
    """

    feature_rate = 1

    def __init__(self, weights: SpeechWeights, files: EmbeddingFiles) -> None:
        super().__init__()
        self.files = files
        self.mel = SpeechMel(weights)
        self.columns = Packed(Columns(weights.layers))
        self.feature_count = weights.layers[-1].weight.shape[0]
        self.register_buffer("quiet", torch.zeros(1, *self.columns.state_shapes[0]))
        self.quiet.copy_(self._after_silence())

    @property
    def state_shapes(self) -> Shapes:
        return (*self.mel.state_shapes, *self.columns.state_shapes)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        heard, known = state
        frames, (heard,) = self.mel.step(x, (heard,))
        vectors, (known,) = self.columns.step(frames, (known + self.quiet,))
        return vectors, (heard, known - self.quiet)

    @torch.no_grad()
    def _after_silence(self) -> Tensor:
        """The packed caches (1, numbers) once the beginning is forgotten."""
        frames = self.mel(torch.zeros(1, _SETTLED_STEPS * 8 * _HOP_SAMPLES))
        return self.columns.step(frames, self.columns.initial_state(1))[1][0]

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "speech-embedding",
            "algorithm": _ALGORITHM,
            "floor_db": FLOOR_DB,
            "mel_sha256": self.files.mel_sha256,
            "embedding_sha256": self.files.embedding_sha256,
            "trained_further": is_trained(self),
        }


class SpeechMel(Streaming):
    """Samples in [-1, 1] to mel frames (B, T, 32) as the embedding wants them, one every 10 ms.

    The original's window of 400 samples stands in a frame of 512; without the zeros around it a frame
    ends where its window ends, 56 samples earlier.
    """

    def __init__(self, weights: SpeechWeights) -> None:
        super().__init__()
        kernel = weights.mel_kernel * _INT16_SCALE
        self.spectrum = Spectrum(kernel, weights.mel_filters, hop_samples=_HOP_SAMPLES)
        self.state_shapes = self.spectrum.state_shapes

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        energies, kept = self.spectrum.step(x, state)
        logs = energies.clamp(min=10 ** (FLOOR_DB / 10)).log()
        return (logs * (_DB_PER_NEPER * _DB_SCALE) + _DB_SHIFT).transpose(1, 2), kept


class Columns(Streaming):
    """Mel frames (B, 8 k, 32) to embeddings (B, k, 96)."""

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Column(layer) for layer in layers if layer.kind != POOL)
        self.pools = _pools_after(layers)
        self.state_shapes = _cache_shapes(layers)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """The first axis of a layer's image is time, the second frequency."""
        kept, caches = [], iter(state)
        x = x.unsqueeze(1).contiguous(memory_format=torch.channels_last)  # twice as fast on a CPU
        for layer, pool in zip(self.layers, self.pools, strict=True):
            if layer.over_time:
                x = torch.cat([next(caches), x], dim=2)
                kept.append(x[:, :, -2:])
            x = layer(x)
            x = F.max_pool2d(x, pool) if pool else x
        return x.squeeze(3).transpose(1, 2), tuple(kept)


class Column(nn.Module):
    """A convolution, then LeakyReLU bounded below."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        weight = torch.from_numpy(layer.weight.copy())
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(torch.from_numpy(layer.bias.copy())) if layer.bias is not None else None
        lowest = None if layer.lowest is None else torch.from_numpy(layer.lowest.copy())
        self.register_buffer("lowest", None if lowest is None else lowest.reshape(-1, 1, 1))
        self.over_time = layer.weight.shape[2] > 1
        self.padding = (0, layer.weight.shape[3] // 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight, self.bias, padding=self.padding)
        return x if self.lowest is None else torch.maximum(F.leaky_relu(x, LEAK), self.lowest)


def _pools_after(layers: Sequence[Layer]) -> list[tuple[int, int] | None]:
    """For every convolution, the pooling that follows it."""
    following = [*layers[1:], Layer(CONV)]
    return [
        after.pool if after.kind == POOL else None
        for layer, after in zip(layers, following, strict=True)
        if layer.kind == CONV
    ]


def _cache_shapes(layers: Sequence[Layer]) -> Shapes:
    """(channels, 2, bands) in front of every convolution over time."""
    bands, shapes = MELS, []
    for layer in layers:
        if layer.kind == POOL:
            bands //= layer.pool[1]
        elif layer.weight.shape[2] > 1:
            shapes.append((layer.weight.shape[1], 2, bands))
    return tuple(shapes)
