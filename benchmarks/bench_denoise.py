"""The denoiser: what is left of noise that was added to speech, and how fast; and how fast clips are made.

Speech is synthesised by espeak-ng, in pauses of digital silence, so the noise is all there is; at 16 kHz, its
upper half would only flatter. Where PHONOLOOP_REAL_DATA is set, also the cleanest recordings of people there
(their own noise counts as speech, so the figures are lower than the truth), and recorded noises.
On one core.

    OMP_NUM_THREADS=1 python benchmarks/bench_denoise.py [--minutes 20]

Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from talk import talk

from phonoloop.adapters.espeak import EspeakSynthesizer
from phonoloop.app.demo.grammar import load_grammar
from phonoloop.audio.denoise import denoise
from phonoloop.audio.quality import measure
from phonoloop.audio.wav import to_int16
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.voice.data import RATE_HZ
from phonoloop.voice.gates import count_refused, judge_clips
from phonoloop.voice.process import process_source
from phonoloop.voice.segment import segment

BAR_DB, BAR_TIMES_REAL_TIME = 15.0, 150.0
VOICES = ("vi", "vi+f2", "vi+m3", "vi-vn-x-south+f4", "en-us", "en-us+f3")
CLIPS_A_VOICE, CLIP_S = 5, 10.0
SNR_DB = (0, 5, 10, 15, 20)
#: recordings of people count as clean from here on
CLEAN_DB = 30.0


def sisdr_db(clean: np.ndarray, heard: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio (Le Roux and others, ICASSP 2019)."""
    wanted = (heard @ clean) / (clean @ clean) * clean
    rest = heard - wanted
    return float(10 * np.log10((wanted @ wanted) / (rest @ rest)))


def with_noise(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """The ratio counts the whole of both, pauses too."""
    gain = np.sqrt(np.mean(speech**2) / np.mean(noise**2) / 10 ** (snr_db / 10))
    return (speech + noise * gain).astype(np.float32)


def synthesised() -> Iterator[np.ndarray]:
    """Clips of 10 s, sentences with pauses of 0.4 s between."""
    rng, grammar = np.random.default_rng(0), load_grammar()
    pause = np.zeros(round(0.4 * CANONICAL_RATE_HZ), np.float32)
    with EspeakSynthesizer() as espeak:
        for voice in VOICES:
            for _ in range(CLIPS_A_VOICE):
                parts = [pause]
                while sum(part.size for part in parts) < CLIP_S * CANONICAL_RATE_HZ:
                    parts += [espeak.synthesize(grammar.sentence(rng), voice=voice), pause]
                yield np.concatenate(parts)[: round(CLIP_S * CANONICAL_RATE_HZ)]


def people(folder: Path) -> list[np.ndarray]:
    """Clips of about 10 s of the cleanest recordings, one after the other."""
    read = (soundfile.read(path, dtype="float32")[0] for path in sorted(folder.glob("*/*.flac")))
    clean = [one for one in read if measure(to_int16(one), CANONICAL_RATE_HZ).snr_db >= CLEAN_DB]
    if not clean:
        return []
    joined = np.concatenate(clean)
    return np.array_split(joined, max(1, round(joined.size / CLIP_S / CANONICAL_RATE_HZ)))


def noises(folder: Path, samples: int) -> list[np.ndarray]:
    read = (soundfile.read(path, dtype="float32") for path in sorted(folder.glob("*/*.ogg"))[::8])
    at_rate = (soxr.resample(one, rate_hz, CANONICAL_RATE_HZ) for one, rate_hz in read)
    return [np.resize(one, samples) for one in at_rate if float(np.abs(one).max()) > 1e-3]


def white(samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples).astype(np.float32)


@dataclass(frozen=True)
class Cleaned:
    """SI-SDR of each clip before and after."""

    before_db: np.ndarray
    after_db: np.ndarray

    @classmethod
    def of(cls, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Cleaned:
        before = [sisdr_db(speech, noisy) for speech, noisy in pairs]
        after = [sisdr_db(speech, denoise(noisy, CANONICAL_RATE_HZ)) for speech, noisy in pairs]
        return cls(np.array(before), np.array(after))

    def to_dict(self) -> dict[str, Any]:
        return {
            "clips": self.after_db.size,
            "in_db": round(float(self.before_db.mean()), 1),
            "out_db": round(float(self.after_db.mean()), 2),
            "worst_db": round(float(self.after_db.min()), 2),
            "made_worse": int((self.after_db < self.before_db).sum()),
        }


def in_white_noise(speech: Sequence[np.ndarray], snr_db: float) -> dict[str, Any]:
    pairs = [(one, with_noise(one, white(one.size, seed), snr_db)) for seed, one in enumerate(speech)]
    return Cleaned.of(pairs).to_dict()


def in_recorded_noise(speech: Sequence[np.ndarray], folder: Path) -> dict[str, Any]:
    found = noises(folder, round(CLIP_S * CANONICAL_RATE_HZ))
    pairs = [
        (speech[at % len(speech)], with_noise(speech[at % len(speech)], one, 10))
        for at, one in enumerate(found)
    ]
    return Cleaned.of(pairs).to_dict()


def times_real_time() -> float:
    """At 22,050 Hz, clips of 10 s, by processor time."""
    clip = 0.1 * white(round(CLIP_S * RATE_HZ), 0)
    denoise(clip, RATE_HZ)
    begun = time.process_time()
    for _ in range(20):
        denoise(clip, RATE_HZ)
    return 20 * CLIP_S / (time.process_time() - begun)


@dataclass(frozen=True, eq=False)
class Held:
    """`Samples` in memory."""

    held: np.ndarray

    @property
    def samples(self) -> int:
        return self.held.size

    def read(self, start: int, end: int) -> np.ndarray:
        return self.held[start:end]


def clips_of(samples: np.ndarray) -> dict[str, Any]:
    """Segments become clips, those clips are judged; processor time."""
    segments = segment([samples])
    begun = time.process_time()
    clips = [clip for clip, _ in process_source(Held(samples), segments, source_id="bench")]
    judged = judge_clips(clips)
    return {
        "minutes": round(samples.size / RATE_HZ / 60, 1),
        "cpu_s": round(time.process_time() - begun, 2),
        "clips": len(judged),
        "denoised": sum(clip.facts["denoised"] for clip in judged),
        "refused": count_refused(judged),
        "longest_s": round(max(clip.duration_s for clip in judged), 2),
    }


def processing(minutes: float) -> dict[str, Any]:
    spoken = talk(60 * minutes).samples
    quiet, loud = (10 ** (level_dbfs / 20) * white(spoken.size, 1) for level_dbfs in (-70, -43))
    return {"clean": clips_of(spoken + quiet), "noise_20_db": clips_of(spoken + loud)}


def real(root: str, speech: Sequence[np.ndarray]) -> dict[str, Any]:
    if not root:
        return {"skipped": "PHONOLOOP_REAL_DATA is not set"}
    found = people(Path(root, "speech"))
    return {
        "people_white_10_db": in_white_noise(found, 10) if found else "none is clean enough",
        "recorded_noise_10_db": in_recorded_noise(speech, Path(root, "noise")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0, help="of talk that is made into clips")
    given = parser.parse_args()
    speech = list(synthesised())
    report = {
        "bench": "denoise",
        "synthesised_white": {f"{snr_db}_db": in_white_noise(speech, snr_db) for snr_db in SNR_DB},
        "bar_at_10_db": BAR_DB,
        "times_real_time": round(times_real_time()),
        "bar_times_real_time": BAR_TIMES_REAL_TIME,
        "real": real(os.environ.get("PHONOLOOP_REAL_DATA", ""), speech),
        "processing": processing(given.minutes),
        "measured_on": f"espeak-ng, {len(VOICES)} voices, {len(speech)} clips of {CLIP_S:g} s; one core",
        "machine": platform.machine(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
