"""Taking the background away from a speaker: by a model where one is installed, simply, or not at all.

A separator may improve a recording; none is believed to have made it clean. What is still heard behind the
speaker is marked afterwards (`background`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from phonoloop.audio.wav import WavWriter, read_wav, to_int16, wav_info
from phonoloop.core.errors import IntegrityError
from phonoloop.voice.data import RATE_HZ
from phonoloop.voice.ingest import AUDIO
from phonoloop.voice.suppress import suppress_music

NONE, SIMPLE = "none", "simple"
#: takes and gives float32 (n,) in [-1, 1] at 22,050 Hz
SeparateSamples = Callable[[np.ndarray], np.ndarray]
_CHAPTER_S, _FADE_S = 120, 2


class Separator(Protocol):
    """Makes a stem of the voice.

    Attributes:
        name: `none` for one that does nothing. Everything that decides the result is in it, a hash of the
            weights too: a result is found again by it.
        thorough: what it leaves is what is there. Where it is not, the background is looked for in the
            recording as it came, for traces of music that it weakened would go unnoticed.
    """

    name: str
    thorough: bool

    def separate(self, wav: Path, stem: Path) -> None:
        """Writes the voice of `wav` to the new file `stem`; both are canonical, at 22,050 Hz, as long."""
        ...


class NoSeparator:
    """For recordings with nothing behind the speaker."""

    name, thorough = NONE, True

    def separate(self, wav: Path, stem: Path) -> None:
        separate_in_chapters(wav, stem, lambda samples: samples)


class SimpleSeparator:
    """Weakens tones that stay and beats, without weights: some decibels, no more. See `suppress`."""

    name, thorough = f"{SIMPLE}:1", False

    def separate(self, wav: Path, stem: Path) -> None:
        separate_in_chapters(wav, stem, suppress_music)


def separate(wav: Path, *, separator: Separator, folder: Path) -> Path:
    """The stem, `audio.wav` in `folder`, a new or empty one; `wav` itself where nothing is separated.

    Raises:
        IntegrityError: `voice.stem`, the separator gave something else than it should.
        UnavailableError, ResourceError, …: as the separator.
    """
    if separator.name == NONE:
        return wav
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / AUDIO
    separator.separate(wav, stem)
    given, made = wav_info(wav), wav_info(stem)
    if (made.rate_hz, made.samples) != (given.rate_hz, given.samples):
        raise IntegrityError(
            f"{given.samples} samples ({given.rate_hz} Hz) went in, {made.samples} ({made.rate_hz}) came out",
            code="voice.stem",
            subject=separator.name,
            hint="Report it; take another separator meanwhile",
        )
    return stem


def separate_in_chapters(wav: Path, stem: Path, by: SeparateSamples) -> None:
    """Two minutes at a time, so that memory stays flat; one chapter fades into the next over two seconds.

    Raises:
        IntegrityError: `voice.stem`, a chapter came back with another length.
    """
    with WavWriter(stem, RATE_HZ) as writer:
        before = np.zeros(0, np.float32)
        for chapter, last in _chapters(wav):
            made = _checked(by(chapter), chapter.size)
            made[: before.size] = _faded(before, made[: before.size])
            kept = made.size if last else made.size - _FADE_S * RATE_HZ
            writer.write(to_int16(made[:kept]))
            before = made[kept:]


def _chapters(wav: Path) -> Iterator[tuple[np.ndarray, bool]]:
    """Samples and whether they are the last; each but the first begins with the end of the one before."""
    total, step, fade = wav_info(wav).samples, _CHAPTER_S * RATE_HZ, _FADE_S * RATE_HZ
    start = 0
    while True:
        end = min(start + step + fade, total)
        yield read_wav(wav, start, end), end == total
        if end == total:
            return
        start = end - fade


def _checked(made: np.ndarray, samples: int) -> np.ndarray:
    if made.shape != (samples,):
        raise IntegrityError(
            f"{samples} samples went in, {made.shape} came out",
            code="voice.stem",
            hint="Report it; take another separator meanwhile",
        )
    return np.array(made, np.float32)


def _faded(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    share = (np.arange(before.size, dtype=np.float32) + np.float32(0.5)) / max(before.size, 1)
    return before * (1 - share) + after * share
