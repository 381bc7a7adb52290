"""Recordings in which somebody talks, and what a clip of a voice is, for the tests of clips."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import soxr

from phonoloop.adapters.espeak import EspeakSynthesizer
from phonoloop.core.speech import Span
from phonoloop.voice.data import RATE_HZ, VoiceClip

SENTENCES = (
    "hôm nay trời đẹp, tôi đi chợ mua cá và rau cho cả nhà",
    "chuyến tàu sáng mai khởi hành lúc sáu giờ ba mươi phút",
    "xin quý khách vui lòng có mặt ở sân ga trước nửa giờ",
    "con đường này dẫn ra bờ sông, nơi có cây đa rất to",
    "mẹ tôi thường kể chuyện ngày xưa khi trời mưa to",
    "anh ấy làm việc ở một công ty nhỏ gần hồ",
)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """`Samples` in memory; remembers the longest stretch that was read."""

    pcm: np.ndarray
    longest: list[int]

    @classmethod
    def of(cls, samples: np.ndarray) -> Held:
        """Of float32 in [-1, 1], rounded to 16 bits."""
        return cls(np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16), [0])

    @property
    def samples(self) -> int:
        return self.pcm.size

    def read(self, start: int, end: int) -> np.ndarray:
        self.longest[0] = max(self.longest[0], end - start)
        return (self.pcm[start:end] / np.float32(32768)).astype(np.float32)


@lru_cache(maxsize=8)
def sentences(voice: str = "vi", pitch: float = 1.0) -> tuple[np.ndarray, ...]:
    """Each sentence, float32 at 22,050 Hz, without silence at its ends, at about -23 dBFS."""
    with EspeakSynthesizer() as espeak:
        spoken = [espeak.synthesize(text, voice=voice, pitch=pitch) for text in SENTENCES]
    return tuple(_levelled(soxr.resample(one, 16_000, RATE_HZ)) for one in spoken)


def _levelled(samples: np.ndarray) -> np.ndarray:
    loud = np.flatnonzero(np.abs(samples) > 1e-3)
    cut = samples[loud[0] : loud[-1] + 1]
    return (cut * (10 ** (-23 / 20) / np.std(cut))).astype(np.float32)


def room(samples: int, *, level_dbfs: float = -65.0, seed: int = 0) -> np.ndarray:
    """The noise of a quiet room."""
    noise = np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
    return noise * np.float32(10 ** (level_dbfs / 20))


def talk(
    voice: str = "vi", *, count: int = 6, pause_s: float = 0.5, level_dbfs: float = -65.0, pitch: float = 1.0
) -> np.ndarray:
    """So many sentences with pauses between them and around them, in a room with that noise."""
    pause = np.zeros(round(pause_s * RATE_HZ), np.float32)
    spoken = [sentences(voice, pitch)[number % len(SENTENCES)] for number in range(count)]
    joined = np.concatenate([pause, *(part for one in spoken for part in (one, pause))])
    return joined + room(joined.size, level_dbfs=level_dbfs)


#: of a clip that nothing speaks against
GOOD = {
    "snr_db": 40.0,
    "loudness_lufs": -24.0,
    "bandwidth_hz": 9_000,
    "clipped_share": 0.0,
    "decay_db_s": 250,
    "denoised": False,
    "gain_db": 1.0,
    "speech_s": 3.5,
    "voiced_s": 2.5,
    "pitch_hz": 120.0,
    "pitches_hz": [118.0, 122.0, 121.0, 119.0],
    "timbre": [0.0] * 12,
    "forced_cut": False,
    "marked_s": {},
}


def clip(number: int, *, source_id: str = "s1", duration_s: float = 4.0, **facts) -> VoiceClip:
    """The clip with that number of its source, good but for the facts that are given."""
    samples = round(duration_s * RATE_HZ)
    start = number * 20 * RATE_HZ
    return VoiceClip(
        clip_id=f"{source_id}-{number}",
        source_id=source_id,
        spans=(Span(start, start + samples),),
        samples=samples,
        facts={**GOOD, **facts},
    )
