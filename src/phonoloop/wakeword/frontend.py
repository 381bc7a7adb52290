"""Log mel filter bank energies as a module, so that the exported graph begins with samples.

It computes what `phonoloop.audio.features.FrontEnd` (kaldi-native-fbank) computes. A frame's mean,
pre-emphasis, window and Fourier transform are all linear, so they are one matrix: a strided
convolution with two rows (real, imaginary) for every frequency that a mel filter asks for.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from phonoloop.audio.features import FrontEnd
from phonoloop.core.ids import content_id
from phonoloop.wakeword.layers import State, Streaming
from phonoloop.wakeword.model_config import STEP_MS

_INT16_SCALE = 32768.0  # what Kaldi's energies count in
_AT_A_TIME = 8


class FrontNet(Streaming):
    """Samples (B, k · 1,280) in [-1, 1] to features (B, k · feature_rate, feature_count).

    Attributes:
        feature_rate: feature vectors in a step of 80 ms.
        feature_count: numbers in each.
    """

    feature_rate: int
    feature_count: int

    def forward(self, x: Tensor) -> Tensor:
        """Features of whole recordings. Without gradients they are computed a few at a time, which is twice
        as fast: what is between two layers stays in the processor's cache."""
        if torch.is_grad_enabled():
            return super().forward(x)
        return torch.cat([super(FrontNet, self).forward(some) for some in x.split(_AT_A_TIME)])

    def to_dict(self) -> dict[str, Any]:
        """Everything that decides the numbers it gives."""
        raise NotImplementedError

    @property
    def hash(self) -> str:
        """Equal hashes mean equal features."""
        return content_id(self.to_dict())


class Spectrum(Streaming):
    """Energies in bands: (B, samples) to (B, bands, frames), a frame for every whole hop.

    Before the first sample are zeros; a frame ends where its hop ends.

    Args:
        kernel: (2 · frequencies, frame_samples), applied to a frame.
        filters: (bands, 2 · frequencies), applied to the squares.
    """

    def __init__(self, kernel: np.ndarray, filters: np.ndarray, *, hop_samples: int) -> None:
        super().__init__()
        self.hop_samples = hop_samples
        self.past_samples = kernel.shape[1] - hop_samples
        self.state_shapes = ((self.past_samples,),)
        self.register_buffer("kernel", torch.from_numpy(kernel).float().unsqueeze(1))
        self.register_buffer("filters", torch.from_numpy(filters).float().unsqueeze(2))

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if torch.is_autocast_enabled(x.device.type):  # energies span more than half precision does
            with torch.autocast(x.device.type, enabled=False):
                return self._step(x, state)
        return self._step(x, state)

    def _step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        seen = torch.cat([state[0], x], dim=1)
        waves = F.conv1d(seen.unsqueeze(1), self.kernel, stride=self.hop_samples)
        return F.conv1d(waves * waves, self.filters), (seen[:, -self.past_samples :],)


class LogMel(FrontNet):
    """The front-end of the networks that start from nothing."""

    def __init__(self, settings: FrontEnd, *, hann: bool = False) -> None:
        super().__init__()
        self.settings, self.hann = settings, hann
        self.feature_rate = STEP_MS // settings.hop_ms
        self.feature_count = settings.n_mels
        self.spectrum = Spectrum(*_matrices(settings, hann=hann), hop_samples=settings.hop_samples)
        self.state_shapes = self.spectrum.state_shapes

    @property
    def silence(self) -> float:
        """What digital silence gives in every band."""
        return (self.settings.floor - self.settings.mean) / self.settings.std

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        energies, kept = self.spectrum.step(x, state)
        logs = energies.clamp(min=float(np.exp(self.settings.floor))).log()
        return ((logs - self.settings.mean) * (1 / self.settings.std)).transpose(1, 2), kept

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "log-mel", "hann": self.hann, **self.settings.to_dict()}


def _matrices(settings: FrontEnd, *, hann: bool) -> tuple[np.ndarray, np.ndarray]:
    """The kernel and filters of `Spectrum`, with only the frequencies that a filter asks for."""
    size = 1 << (settings.frame_samples - 1).bit_length()
    filters = mel_filters(settings, size)
    used = np.flatnonzero(filters.any(axis=0))
    angles = 2 * np.pi / size * np.outer(used, np.arange(settings.frame_samples))
    waves = np.concatenate([np.cos(angles), np.sin(angles)])
    return waves @ _frame_matrix(settings, hann=hann), np.tile(filters[:, used], (1, 2))


def _frame_matrix(settings: FrontEnd, *, hann: bool) -> np.ndarray:
    """(n, n): what Kaldi does to a frame before the Fourier transform."""
    n = settings.frame_samples
    no_mean = np.eye(n) - 1 / n
    emphasis = np.eye(n) - settings.preemphasis * np.eye(n, k=-1)
    emphasis[0, 0] -= settings.preemphasis
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / (n - 1))
    if not hann:
        window = window**0.85  # Povey's
    return _INT16_SCALE * window[:, None] * (emphasis @ no_mean)


def mel_filters(settings: FrontEnd, fft_size: int) -> np.ndarray:
    """(n_mels, fft_size / 2) triangles, equally wide in mel, as Kaldi draws them."""
    nyquist = settings.sample_rate_hz / 2
    high_hz = settings.high_hz if settings.high_hz > 0 else nyquist + settings.high_hz
    low, high = _mel(settings.low_hz), _mel(high_hz)
    width = (high - low) / (settings.n_mels + 1)
    left = low + width * np.arange(settings.n_mels)[:, None]
    at = _mel(np.arange(fft_size // 2) * settings.sample_rate_hz / fft_size)
    return np.maximum(0, np.minimum((at - left) / width, (left + 2 * width - at) / width))


def _mel(hz: float | np.ndarray) -> np.ndarray:
    return 1127.0 * np.log1p(np.asarray(hz) / 700.0)


def is_trained(module: nn.Module) -> bool:
    """Whether anything in it is."""
    return any(parameter.requires_grad for parameter in module.parameters())


def weights_hash(module: nn.Module) -> str:
    """Of every parameter and buffer."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
