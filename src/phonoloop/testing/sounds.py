"""Sounds for tests: made from a seed, the same on every machine.

float32 mono in [-1, 1] unless said otherwise; levels are RMS in dBFS (a full-scale
square wave has 0 dBFS).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from phonoloop.core.speech import Span
from phonoloop.core.units import CANONICAL_RATE_HZ

#: what `write_media` writes beside .wav and .ogg: file suffix to container and codec
CODECS = {
    ".mp3": ("mp3", "libmp3lame"),
    ".m4a": ("ipod", "aac"),
    ".mp4": ("mp4", "aac"),
    ".aac": ("adts", "aac"),
    ".opus": ("ogg", "libopus"),
    ".webm": ("webm", "libopus"),
    ".mkv": ("matroska", "libopus"),
    ".flac": ("flac", "flac"),
}
_OPUS_RATE_HZ = 48_000
_FORMANTS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))


@dataclass(frozen=True, slots=True, eq=False)
class SpeechLike:
    """Samples float32 (n,) and where in them somebody "speaks"."""

    samples: np.ndarray
    spans: tuple[Span, ...]

    @property
    def active(self) -> np.ndarray:
        """bool (n,): inside one of the spans."""
        mask = np.zeros(self.samples.size, bool)
        for span in self.spans:
            mask[span.start : span.end] = True
        return mask


def at_level(samples: np.ndarray, level_dbfs: float) -> np.ndarray:
    """Scaled so that the RMS is at `level_dbfs`; silence stays silence."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0
    return samples if rms == 0 else (samples * (10 ** (level_dbfs / 20) / rms)).astype(np.float32)


def silence(duration_s: float, rate_hz: int = CANONICAL_RATE_HZ) -> np.ndarray:
    return np.zeros(round(duration_s * rate_hz), np.float32)


def tone(
    frequency_hz: float, duration_s: float, *, rate_hz: int = CANONICAL_RATE_HZ, level_dbfs: float = -20.0
) -> np.ndarray:
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return at_level(np.sin(2 * np.pi * frequency_hz * time_s), level_dbfs)


def noise(
    duration_s: float, *, seed: int = 0, rate_hz: int = CANONICAL_RATE_HZ, level_dbfs: float = -40.0
) -> np.ndarray:
    """White noise."""
    samples = np.random.default_rng(seed).standard_normal(round(duration_s * rate_hz))
    return at_level(samples, level_dbfs)


def speech_like(
    duration_s: float,
    *,
    seed: int = 0,
    rate_hz: int = CANONICAL_RATE_HZ,
    level_dbfs: float = -23.0,
    pause_s: float = 0.5,
    phrase_s: float = 2.0,
) -> SpeechLike:
    """Phrases of voiced syllables (harmonics under moving formants) with digital silence between them.

    Args:
        level_dbfs: RMS inside the phrases.
        pause_s, phrase_s: mean lengths; each varies by half of itself either way.
    """
    rng = np.random.default_rng(seed)
    samples = silence(duration_s, rate_hz)
    spans: list[Span] = []
    position = round(rng.uniform(0.5, 1.5) * pause_s * rate_hz)
    while position < samples.size:
        phrase = _phrase(rng, rng.uniform(0.5, 1.5) * phrase_s, rate_hz)
        end = min(position + phrase.size, samples.size)
        samples[position:end] = phrase[: end - position]
        spans.append(Span(position, end))
        position = end + round(rng.uniform(0.5, 1.5) * pause_s * rate_hz)
    active = np.concatenate([samples[span.start : span.end] for span in spans] or [samples])
    rms = max(float(np.sqrt(np.mean(np.square(active, dtype=np.float64)))), 1e-12)
    return SpeechLike((samples * (10 ** (level_dbfs / 20) / rms)).astype(np.float32), tuple(spans))


def utterance(seed: int, speech_s: float = 1.0, *, around_s: float = 0.5) -> np.ndarray:
    """So much of speech-like sound without a pause, in a quiet room that is heard before and after it."""
    spoken = speech_like(speech_s + 4.0, seed=seed, phrase_s=4 * speech_s, pause_s=0.1)
    start, samples = spoken.spans[0].start, round(speech_s * CANONICAL_RATE_HZ)
    room = noise(2 * around_s + speech_s, seed=seed, level_dbfs=-68.0)
    before = round(around_s * CANONICAL_RATE_HZ)
    room[before : before + samples] += spoken.samples[start : start + samples]
    return room


def _phrase(rng: np.random.Generator, duration_s: float, rate_hz: int) -> np.ndarray:
    syllables = [
        _syllable(rng, rng.uniform(0.12, 0.3), rate_hz) for _ in range(max(1, round(duration_s / 0.21)))
    ]
    return np.concatenate(syllables)


def _syllable(rng: np.random.Generator, duration_s: float, rate_hz: int) -> np.ndarray:
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    pitch_hz = rng.uniform(100, 220) * (1 + rng.uniform(-0.3, 0.3) * time_s / duration_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    numbers = np.arange(1, int(min(3800, rate_hz / 2) / 300) + 1)
    gains = _formant_gains(numbers * pitch_hz.mean(), _FORMANTS_HZ[rng.integers(len(_FORMANTS_HZ))])
    voiced = (gains[:, None] * np.sin(numbers[:, None] * phase)).sum(axis=0)
    breath = rng.standard_normal(time_s.size) * 0.02
    return ((voiced + breath) * np.sin(np.pi * time_s / duration_s) ** 0.5).astype(np.float32)


def _formant_gains(frequencies_hz: np.ndarray, formants_hz: tuple[int, ...]) -> np.ndarray:
    peaks = [1 / (1 + ((frequencies_hz - centre) / 120) ** 2) for centre in formants_hz]
    return np.sum(peaks, axis=0) + 0.02


def mix_at_snr(speech: SpeechLike, noise_samples: np.ndarray, snr_db: float) -> np.ndarray:
    """Noise under speech; the ratio counts the speech where it is active."""
    speech_power = np.mean(np.square(speech.samples[speech.active], dtype=np.float64))
    noise_level_dbfs = 10 * np.log10(speech_power) - snr_db
    return speech.samples + at_level(noise_samples[: speech.samples.size], noise_level_dbfs)


def write_wav(
    path: Path, samples: np.ndarray, rate_hz: int = CANONICAL_RATE_HZ, *, subtype: str = "PCM_16"
) -> Path:
    """A WAV file. `samples`: (n,) or (n, channels); `subtype`: as soundfile names it, e.g. PCM_24, FLOAT."""
    soundfile.write(path, samples, rate_hz, subtype=subtype, format="WAV")
    return path


def write_media(path: Path, samples: np.ndarray, rate_hz: int = CANONICAL_RATE_HZ) -> Path:
    """A file in the container and codec of its suffix. `samples`: (n,) or (n, channels).

    Raises:
        ValueError: no such suffix in `CODECS`.
    """
    if path.suffix == ".wav":
        return write_wav(path, samples, rate_hz)
    if path.suffix == ".ogg":  # Vorbis: PyAV's ffmpeg cannot write it
        soundfile.write(path, samples, rate_hz, subtype="VORBIS", format="OGG")
        return path
    if path.suffix not in CODECS:
        raise ValueError(f"no codec for {path.suffix}; known are .wav, .ogg, {', '.join(sorted(CODECS))}")
    container_name, codec_name = CODECS[path.suffix]
    if codec_name == "libopus":  # knows no other rate
        samples, rate_hz = soxr.resample(samples, rate_hz, _OPUS_RATE_HZ), _OPUS_RATE_HZ
    with av.open(str(path), "w", format=container_name) as container:
        _encode(container, samples.reshape(len(samples), -1), codec_name=codec_name, rate_hz=rate_hz)
    return path


def _encode(
    container: av.container.OutputContainer, samples: np.ndarray, *, codec_name: str, rate_hz: int
) -> None:
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[samples.shape[1]]
    stream = container.add_stream(codec_name, rate=rate_hz, layout=layout)
    packed = np.clip(np.rint(samples * 32767), -32768, 32767).astype(np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
    frame.sample_rate = rate_hz
    for packet in stream.encode(frame):
        container.mux(packet)
    for packet in stream.encode(None):
        container.mux(packet)
