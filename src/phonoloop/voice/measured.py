"""What is measured on a clip. The gates judge by it, so other gates need no audio."""

from __future__ import annotations

from typing import Any

import numpy as np

from phonoloop.audio.pitch import medians_hz, summary, track
from phonoloop.audio.quality import measure
from phonoloop.audio.reverberation import decay_db_s
from phonoloop.audio.timbre import measure_timbre
from phonoloop.audio.wav import to_int16
from phonoloop.voice.data import RATE_HZ
from phonoloop.voice.samples import Passage

#: a voice's pitch is told for each so much of voice
VOICE_PART_S = 0.6
#: of the largest sample: between these, and above, are as many samples as there are in any wave
_TOP, _BELOW_TOP = 0.97, 0.94
#: a sine has 2.4 times as many above as between
_MORE_AT_THE_TOP = 4.0


def of_recording(raw: np.ndarray, passage: Passage) -> dict[str, Any]:
    """Of a clip as it was recorded.

    Args:
        raw: float32 (n,), the clip. passage: what it was cut from, with some of what is around it, which
            tells the noise.

    Returns:
        `snr_db`, `loudness_lufs` and `bandwidth_hz` as in `audio.quality`; `clipped_share`, samples at full
        scale, or at a ceiling below it; `decay_db_s` as in `audio.reverberation`.
    """
    quality = measure(to_int16(raw), RATE_HZ)
    decay = decay_db_s(passage.samples, RATE_HZ)
    return {
        "snr_db": round(measure(to_int16(passage.samples), RATE_HZ).snr_db, 1),
        "loudness_lufs": round(quality.loudness_lufs, 1),
        "bandwidth_hz": round(quality.bandwidth_hz),
        "clipped_share": round(max(quality.clipping_share, ceiling_share(raw)), 6),
        "decay_db_s": None if decay is None else round(decay),
    }


def ceiling_share(samples: np.ndarray) -> float:
    """The share of the samples that are heaped up at the largest, as when it was clipped and then turned
    down; 0 where there are no more than a wave has."""
    levels = np.abs(samples)
    peak = float(levels.max(initial=0.0))
    top = int(np.count_nonzero(levels >= _TOP * peak)) if peak else 0
    below = int(np.count_nonzero(levels >= _BELOW_TOP * peak)) - top if peak else 0
    return (top - below) / samples.size if top > _MORE_AT_THE_TOP * below else 0.0


def of_voice(clip: np.ndarray) -> dict[str, Any]:
    """Of a processed clip, float32 (n,).

    Returns:
        `voiced_s`; `pitch_hz`, the median, 0 without a voice; `pitches_hz`, of each 0.6 s of voice; `timbre`
        as in `audio.timbre`, rounded.
    """
    tracked = track(clip, RATE_HZ)
    pitch, timbre = summary(tracked, RATE_HZ), measure_timbre(clip, RATE_HZ)
    parts_hz = medians_hz(tracked, RATE_HZ, voiced_s=VOICE_PART_S)
    return {
        "voiced_s": round(pitch.voiced_s, 2),
        "pitch_hz": round(pitch.median_hz, 1),
        "pitches_hz": [round(part, 1) for part in parts_hz],
        "timbre": None if timbre is None else [round(float(value), 2) for value in timbre],
    }
