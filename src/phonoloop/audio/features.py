"""The acoustic front end: log mel filter bank energies, the same in training, export and serving.

kaldi-native-fbank computes them, without dither, frame by frame from the samples
alone. So a stream gives what a file gives, and nothing has to be known about a
whole utterance: the scaling is by constants, which are part of the front end.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any, Self

import kaldi_native_fbank as knf
import numpy as np

from phonoloop.core.errors import ConfigError
from phonoloop.core.ids import content_id

#: changes whenever the same settings give other numbers
_ALGORITHM = "kaldi-native-fbank/1"
_INT16_SCALE = np.float32(32768.0)  # what Kaldi's energies count in
_FRAMES_A_BLOCK = 6000


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """Settings of the front end, and the batch computation.

    Attributes:
        high_hz: upper edge of the highest mel band; 0 means half the sample rate.
        floor: log energies below are raised to it. It is about what rounding to 16 bits leaves, so that
            digital silence does not look different from a very quiet room.
        mean, std: taken off and divided by; those of speech at -23 LUFS, over all bands.
    """

    sample_rate_hz: int = 16_000
    n_mels: int = 80
    frame_ms: int = 25
    hop_ms: int = 10
    low_hz: float = 20.0
    high_hz: float = 0.0
    preemphasis: float = 0.97
    window: str = "povey"
    floor: float = 0.0
    mean: float = 14.0
    std: float = 4.5

    @property
    def frame_samples(self) -> int:
        return self.sample_rate_hz * self.frame_ms // 1000

    @property
    def hop_samples(self) -> int:
        return self.sample_rate_hz * self.hop_ms // 1000

    def frames(self, samples: int) -> int:
        """How many frames that many samples give: only whole ones."""
        return max(0, (samples - self.frame_samples) // self.hop_samples + 1)

    def compute(self, samples: np.ndarray) -> np.ndarray:
        """Features of a whole utterance.

        Args:
            samples: float32 (n,) in [-1, 1] at `sample_rate_hz`.

        Returns:
            float32 (frames(n), n_mels).
        """
        stream = StreamingFrontEnd(self)
        block = _FRAMES_A_BLOCK * self.hop_samples
        parts = [stream.push(samples[start : start + block]) for start in range(0, samples.size, block)]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else self.no_frames()

    def no_frames(self) -> np.ndarray:
        return np.zeros((0, self.n_mels), np.float32)

    @property
    def hash(self) -> str:
        """Of the settings and of how features are computed; equal hashes mean equal features."""
        return content_id(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        return {"algorithm": _ALGORITHM, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Self:
        """The inverse of `to_dict`; settings left out have their defaults.

        Raises:
            ConfigError: config.unknown_key, config.front_end (another way of computing features).
        """
        given = dict(settings)
        algorithm = given.pop("algorithm", _ALGORITHM)
        if algorithm != _ALGORITHM:
            raise ConfigError(
                f"its features are computed by {algorithm}, and this version has {_ALGORITHM}",
                code="config.front_end",
                hint="Use the version of Phonoloop that made it, or train again",
            )
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(given.keys() - known):
            raise ConfigError(
                f"the front end has no setting {unknown[0]}",
                code="config.unknown_key",
                subject=unknown[0],
                hint=f"It has {', '.join(sorted(known))}",
            )
        return cls(**given)


class StreamingFrontEnd:
    """Features of audio that comes in pieces: the same frames as `FrontEnd.compute`, at any size of piece.

    One utterance at a time, one thread at a time.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        self.front_end = front_end
        self._start()

    def _start(self) -> None:
        self._bank = knf.OnlineFbank(_options(self.front_end))
        self._given = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take float32 (n,) in [-1, 1]; the frames that are complete now and were not before, (k, n_mels)."""
        if samples.size:
            scaled = np.asarray(samples, np.float32) * _INT16_SCALE
            self._bank.accept_waveform(self.front_end.sample_rate_hz, scaled.tolist())
        return self._new_frames()

    def flush(self) -> np.ndarray:
        """End the utterance: the frames that were held back (k, n_mels). The next push begins another one."""
        self._bank.input_finished()
        frames = self._new_frames()
        self._start()
        return frames

    def _new_frames(self) -> np.ndarray:
        ready = self._bank.num_frames_ready
        count = ready - self._given
        if count == 0:
            return self.front_end.no_frames()
        frames = np.stack([self._bank.get_frame(index) for index in range(self._given, ready)])
        self._bank.pop(count)  # or an endless stream would keep them all
        self._given = ready
        return _scaled(frames, self.front_end)


def _scaled(log_energies: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    np.maximum(log_energies, np.float32(front_end.floor), out=log_energies)
    log_energies -= np.float32(front_end.mean)
    log_energies *= np.float32(1 / front_end.std)
    return log_energies


@functools.lru_cache(maxsize=16)
def _options(front_end: FrontEnd) -> knf.FbankOptions:
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = front_end.sample_rate_hz
    options.frame_opts.frame_length_ms = front_end.frame_ms
    options.frame_opts.frame_shift_ms = front_end.hop_ms
    options.frame_opts.preemph_coeff = front_end.preemphasis
    options.frame_opts.window_type = front_end.window
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = front_end.n_mels
    options.mel_opts.low_freq = front_end.low_hz
    options.mel_opts.high_freq = front_end.high_hz
    return options
