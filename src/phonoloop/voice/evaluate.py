"""How good an epoch of a voice speaks: heard by a recogniser, timed, listened to for artefacts.

Every epoch says the same sentences with the same noise. Of each is taken

- the share of characters that a recogniser gets wrong (round trip),
- how long it is against what the speaker takes for as many letters,
- artefacts: clipped runs, clicks, gaps in the middle, and a long-term spectrum that is not the speaker's.

An epoch's score is the sum of the error, half the distance of durations (natural logarithm) and half the
artefacts; lower is better. Without a recogniser the error is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import soxr

from phonoloop.audio.wav import read_wav, wav_info
from phonoloop.core.files import write_whole
from phonoloop.core.speech import Transcriber
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.text.alignment import Counts
from phonoloop.text.error_rates import score
from phonoloop.voice.datasets import Dataset, Entry

SCORE, PREVIEWS = "score.json", "previews"
#: clips of the dataset that the speaker's spectrum and pace are measured on
_REFERENCE_CLIPS = 200
#: at most that many sentences of the validation split are spoken
MOST_SENTENCES = 8
_FRAME_S = 0.01
_SILENT_DB, _GAP_S = -65.0, 0.25
#: a click stands out so far from the median of the second difference in its half second
_CLICK_FACTOR, _CLICK_LEAST, _CLICK_BLOCK_S = 60.0, 0.05, 0.5
_FULL_SCALE, _CLIPPED_RUN = 0.9995, 3
#: bands are a third of an octave from here on; differences of the spectrum up to so many dB are natural
_LOWEST_BAND_HZ, _NATURAL_DB, _FAR_DB = 100.0, 4.0, 20.0


@dataclass(frozen=True, slots=True)
class Reference:
    """The speaker. `letters_per_s`; `spectrum_db`: level of each band against the loudest."""

    letters_per_s: float
    spectrum_db: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefacts:
    """In one sentence.

    Attributes:
        clipped: share of samples in runs at full scale. clicks_per_s.
        gaps: share of the time between first and last sound that is silent in stretches over 0.25 s.
        spectrum_db: mean distance of the bands from the speaker's.
    """

    clipped: float
    clicks_per_s: float
    gaps: float
    spectrum_db: float

    @property
    def total(self) -> float:
        """0 to 1."""
        far = max(0.0, self.spectrum_db - _NATURAL_DB) / _FAR_DB
        return min(1.0, 50 * self.clipped + self.clicks_per_s / 10 + self.gaps + far)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A sentence of an epoch. `heard` and `errors` (of characters) are None without a recogniser."""

    text: str
    heard: str | None
    errors: int | None
    characters: int
    duration_ratio: float
    artefacts: Artefacts

    def figures(self) -> dict[str, float]:
        """As those of its epoch."""
        found = {"duration_ratio": self.duration_ratio, "artefacts": self.artefacts.total}
        return found if self.errors is None else {"cer": self.errors / max(1, self.characters), **found}


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochScore:
    """How an epoch speaks.

    Attributes:
        cer: characters that the recogniser got wrong, as a share of all; None without one.
        duration_ratio: geometric mean; 1 is the speaker's own pace, 2 twice as long.
        artefacts: mean of the sentences, 0 to 1.
        score: what epochs are compared by; lower is better.
        heard_by: the recogniser's id; empty without one.
    """

    epoch: int
    cer: float | None
    duration_ratio: float
    artefacts: float
    score: float
    heard_by: str
    sentences: tuple[Spoken, ...] = ()

    def figures(self) -> dict[str, float]:
        """For lists and progress."""
        found = {"duration_ratio": self.duration_ratio, "artefacts": self.artefacts, "score": self.score}
        return found if self.cer is None else {"cer": self.cer, **found}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        told = [Spoken(**{**one, "artefacts": Artefacts(**one["artefacts"])}) for one in raw["sentences"]]
        return cls(**{**raw, "sentences": tuple(told)})


def reference_of(dataset: Dataset) -> Reference:
    """Measured on up to 200 clips that are trained on, evenly from all."""
    clips = [clip for clip in dataset.clips if clip.split == "train"]
    used = clips[:: max(1, math.ceil(len(clips) / _REFERENCE_CLIPS))]
    letters = sum(_letters(clip.text) for clip in used)
    seconds = sum(clip.samples for clip in used) / dataset.rate_hz
    spectra = [band_powers(read_wav(dataset.audio_of(clip)), dataset.rate_hz) for clip in used]
    return Reference(letters / seconds, tuple(_levels(np.mean(spectra, axis=0)).tolist()))


def sentences_of(dataset: Dataset, given: Sequence[str]) -> tuple[str, ...]:
    """What each epoch says: what the recipe gives, else texts of the validation split (of the training split
    where there is none), of middle length, no text twice."""
    if given:
        return tuple(given)
    clips = [clip for clip in dataset.clips if clip.split == "val"] or list(dataset.clips)
    middle = sorted(clips, key=_samples)[len(clips) // 2].samples
    nearest = sorted(clips, key=lambda clip: (abs(clip.samples - middle), clip.clip_id))
    return tuple(dict.fromkeys(clip.text for clip in nearest))[:MOST_SENTENCES]


def _samples(clip: Entry) -> int:
    return clip.samples


def score_epoch(
    folder: Path,
    sentences: Sequence[str],
    reference: Reference,
    *,
    epoch: int,
    language: str,
    transcriber: Transcriber | None,
) -> EpochScore:
    """Scores the previews of an epoch, and keeps the score beside them; what is there already is read.

    Raises:
        AudioError: as `read_wav`. What the transcriber raises.
    """
    by = transcriber.model_version if transcriber else ""
    kept = read_score(folder)
    if kept is not None and kept.heard_by == by:
        return kept
    paths = [folder / PREVIEWS / f"{at:02d}.wav" for at in range(len(sentences))]
    by_whom = {"reference": reference, "language": language, "transcriber": transcriber}
    spoken = [
        score_sentence(text, read_wav(path), wav_info(path).rate_hz, **by_whom)
        for text, path in zip(sentences, paths, strict=True)
    ]
    found = summed(spoken, epoch=epoch, heard_by=by)
    told = json.dumps(asdict(found), ensure_ascii=False, indent=1)
    write_whole(folder / SCORE, told.encode() + b"\n")
    return found


def read_score(folder: Path) -> EpochScore | None:
    """None where the epoch was not scored."""
    path = folder / SCORE
    return EpochScore.from_dict(json.loads(path.read_text("utf-8"))) if path.is_file() else None


def score_sentence(
    text: str,
    samples: np.ndarray,
    rate_hz: int,
    *,
    reference: Reference,
    language: str,
    transcriber: Transcriber | None,
) -> Spoken:
    """
    Args:
        samples: (n,) float32 in [-1, 1].
    """
    expected_s = max(1, _letters(text)) / reference.letters_per_s
    counts = Counts()
    heard = None
    if transcriber is not None:
        heard = transcriber.transcribe(_at_16_khz(samples, rate_hz)).text
        counts = score(text, heard, language).characters
    return Spoken(
        text=text,
        heard=heard,
        errors=None if heard is None else counts.errors,
        characters=counts.reference,
        duration_ratio=max(samples.size, 1) / rate_hz / expected_s,
        artefacts=artefacts_of(samples, rate_hz, reference),
    )


def summed(spoken: Sequence[Spoken], *, epoch: int, heard_by: str) -> EpochScore:
    """Of at least one sentence."""
    errors = [one.errors for one in spoken if one.errors is not None]
    characters = sum(one.characters for one in spoken)
    cer = sum(errors) / max(1, characters) if errors else None
    distances = [math.log(one.duration_ratio) for one in spoken]
    artefacts = float(np.mean([one.artefacts.total for one in spoken]))
    far = float(np.mean(np.abs(distances)))
    return EpochScore(
        epoch=epoch,
        cer=cer,
        duration_ratio=math.exp(float(np.mean(distances))),
        artefacts=artefacts,
        score=(cer or 0.0) + far / 2 + artefacts / 2,
        heard_by=heard_by,
        sentences=tuple(spoken),
    )


def artefacts_of(samples: np.ndarray, rate_hz: int, reference: Reference) -> Artefacts:
    """
    Args:
        samples: (n,) float32 in [-1, 1]; nothing at all is all gap.
    """
    levels = _levels(band_powers(samples, rate_hz))
    wanted = np.array(reference.spectrum_db)
    common = min(len(levels), len(wanted))
    return Artefacts(
        clipped=_clipped(samples),
        clicks_per_s=_clicks(samples, rate_hz) * rate_hz / max(1, samples.size),
        gaps=_gaps(samples, rate_hz),
        spectrum_db=float(np.mean(np.abs(levels[:common] - wanted[:common]))),
    )


def band_powers(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """(bands,) mean power in bands of a third of an octave from 100 Hz up to half the rate."""
    size = 1 << int(math.log2(rate_hz * 0.05))
    padded = np.pad(samples, (0, max(0, size - samples.size)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 2]
    power = np.mean(np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2, axis=0)
    frequencies = np.fft.rfftfreq(size, 1 / rate_hz)
    count = int(3 * math.log2(rate_hz / 2 / _LOWEST_BAND_HZ))
    edges = _LOWEST_BAND_HZ * 2 ** (np.arange(count + 1) / 3)
    at = np.digitize(frequencies, edges) - 1
    return np.array([power[at == band].sum() for band in range(count)])


def _levels(powers: np.ndarray) -> np.ndarray:
    """dB against the loudest band; 60 dB below it is as good as nothing."""
    loudest = max(float(powers.max()), 1e-12)
    return 10 * np.log10(np.maximum(powers / loudest, 1e-6))


def _clipped(samples: np.ndarray) -> float:
    full = (np.abs(samples) >= _FULL_SCALE).astype(np.int8)
    edges = np.flatnonzero(np.diff(full, prepend=0, append=0))
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= _CLIPPED_RUN].sum()) / max(1, samples.size)


def _clicks(samples: np.ndarray, rate_hz: int) -> int:
    block = int(_CLICK_BLOCK_S * rate_hz)
    found = 0
    for start in range(0, samples.size, block):
        bend = np.abs(np.diff(samples[start : start + block], n=2))
        if bend.size:
            found += int(np.count_nonzero(bend > max(_CLICK_LEAST, _CLICK_FACTOR * float(np.median(bend)))))
    return found


def _gaps(samples: np.ndarray, rate_hz: int) -> float:
    frame = int(_FRAME_S * rate_hz)
    count = samples.size // frame
    rms = (
        np.sqrt(np.mean(samples[: count * frame].reshape(count, frame) ** 2, axis=1))
        if count
        else np.zeros(0)
    )
    sounding = np.flatnonzero(20 * np.log10(np.maximum(rms, 1e-9)) > _SILENT_DB)
    if sounding.size == 0:
        return 1.0
    pauses = np.diff(sounding) - 1
    long = pauses[pauses > _GAP_S / _FRAME_S]
    return float(long.sum()) / (sounding[-1] - sounding[0] + 1)


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _at_16_khz(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    return np.clip(soxr.resample(samples, rate_hz, CANONICAL_RATE_HZ), -1.0, 1.0).astype(np.float32)
