"""From decoded frames to mono int16 at one rate. Runs in the decoding child: numpy and soxr only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import soxr

from phonoloop.core.errors import AudioError

#: mono samples resampled and sent at a time: large enough that calls cost nothing, small in memory
BLOCK_SAMPLES = 1 << 18
MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 768_000


def too_long(max_duration_s: float) -> AudioError:
    return AudioError(
        f"it is longer than {max_duration_s:g} s",
        code="audio.too_long",
        hint="Cut it into shorter files, or raise the limit",
    )


def mean_of_planes(planes: list[np.ndarray], scale: float) -> np.ndarray:
    """Mean of the channels. `planes`: one array (n,) a channel; float32 (n,) comes back."""
    mixed = planes[0].astype(np.float32, copy=len(planes) > 1)
    for plane in planes[1:]:
        mixed += plane
    return _scaled(mixed, scale / len(planes))


def mean_of_columns(packed: np.ndarray, scale: float) -> np.ndarray:
    """Mean of the channels. `packed`: (n, channels); float32 (n,) comes back."""
    channels = packed.shape[1]
    if channels == 1:
        return _scaled(packed[:, 0].astype(np.float32), scale)
    return _scaled(packed.sum(axis=1, dtype=np.float32), scale / channels)


def _scaled(mixed: np.ndarray, factor: float) -> np.ndarray:
    if factor != 1.0:
        mixed *= np.float32(factor)
    return mixed


def to_pcm16(samples: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1] to int16, rounded to nearest; louder is clipped."""
    scaled = samples * np.float32(32768.0)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -32768.0, 32767.0, out=scaled)
    return scaled.astype("<i2")


class PcmSink:
    """Takes mono float32 at any rate, gives int16 blocks at `rate_hz` to `emit`.

    soxr at its HQ setting: it costs what libswresample's default costs (1.4 ms of
    CPU for 10 s at 44.1 kHz) and aliases far less. Memory stays at one block.

    Raises:
        AudioError: audio.too_long, audio.corrupt (a rate that cannot be).
    """

    def __init__(self, rate_hz: int, max_duration_s: float, emit: Callable[[np.ndarray], None]) -> None:
        self.rate_hz = rate_hz
        self.emitted = 0
        self.source_rate_hz = 0
        self.taken_s = 0.0
        self._max_duration_s = max_duration_s
        self._emit = emit
        self._resampler: soxr.ResampleStream | None = None
        self._waiting: list[np.ndarray] = []
        self._waiting_samples = 0

    def push(self, mono: np.ndarray, source_rate_hz: int) -> None:
        """Take `mono` (n,), float32; a rate other than the last one's starts a new stretch."""
        if source_rate_hz != self.source_rate_hz:
            self._change_rate(source_rate_hz)
        self._waiting.append(mono)
        self._waiting_samples += mono.size
        self.taken_s += mono.size / source_rate_hz
        if self.taken_s > self._max_duration_s:
            raise too_long(self._max_duration_s)
        if self._waiting_samples >= BLOCK_SAMPLES:
            self._work_off(last=False)

    def finish(self) -> None:
        """Give out what is still inside."""
        if self.source_rate_hz:
            self._work_off(last=True)

    def _change_rate(self, source_rate_hz: int) -> None:
        if not MIN_RATE_HZ <= source_rate_hz <= MAX_RATE_HZ:
            raise AudioError(
                f"its header gives a sample rate of {source_rate_hz} Hz",
                code="audio.corrupt",
                hint="Convert it again from the original",
            )
        self.finish()
        self.source_rate_hz = source_rate_hz
        same = source_rate_hz == self.rate_hz
        self._resampler = (
            None if same else soxr.ResampleStream(source_rate_hz, self.rate_hz, 1, "float32", quality="HQ")
        )

    def _work_off(self, *, last: bool) -> None:
        block = np.concatenate(self._waiting) if self._waiting else np.zeros(0, np.float32)
        self._waiting, self._waiting_samples = [], 0
        if not np.isfinite(block.sum()):  # float files can hold NaN, which a filter would spread
            block = np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=-1.0)
        if self._resampler is not None:
            block = self._resampler.resample_chunk(block, last=last)
        if block.size:
            self.emitted += block.size
            self._emit(to_pcm16(block))
