"""What happens to one recording: taken in, its background dealt with, marked, cut, made into clips.

Each stage is looked for under the hash of what it is made of, and made where it is not there. Raise
the number in `VERSIONS` when a stage gives another result for the same input.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from phonoloop.audio.wav import wav_bytes
from phonoloop.core.errors import AudioError
from phonoloop.core.ids import file_sha256
from phonoloop.data.sidecar import find_sidecars
from phonoloop.training.strict import to_mapping
from phonoloop.voice import background
from phonoloop.voice.background import find_stretches
from phonoloop.voice.config import VoiceRecipe
from phonoloop.voice.data import RATE_HZ, Segment, Source, Stretch, VoiceClip
from phonoloop.voice.ingest import AUDIO, BlockDecoder, Given, blocks_of, ingest_file, read_source
from phonoloop.voice.process import process_source
from phonoloop.voice.samples import WavSamples
from phonoloop.voice.segment import segment_wav
from phonoloop.voice.separate import NONE, Separator, separate
from phonoloop.voice.store import Store

VERSIONS = {"ingest": 1, "separate": 1, "mark": 1, "segment": 2, "process": 1}

_STRETCHES, _SEGMENTS, _CLIPS = "stretches.json", "segments.json", "clips.json"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Taken:
    """A recording that was taken in.

    Attributes:
        audio: what is worked on: after the separation, where there is one.
        marked_on: in which the background is looked for.
    """

    source: Source
    audio: Path
    marked_on: Path


@dataclass(frozen=True, slots=True)
class Cut:
    """A recording in clips.

    Attributes:
        folder: with `<clip_id>.wav` of each clip.
    """

    source: Source
    stretches: tuple[Stretch, ...]
    segments: tuple[Segment, ...]
    clips: tuple[VoiceClip, ...]
    folder: Path

    def audio_of(self, clip: VoiceClip) -> Path:
        return self.folder / f"{clip.clip_id}.wav"


@dataclass(frozen=True, slots=True)
class SourceStages:
    """The stages of one recording, with what they need."""

    store: Store
    recipe: VoiceRecipe
    decoder: BlockDecoder
    separator: Separator
    given: Given

    def ingest(self, path: Path) -> tuple[Source, Path]:
        """Raises as `ingest_file`; AudioError `audio.missing`."""
        inputs = {
            "name": path.name.encode("utf-8", "backslashreplace").decode(),
            "files": [_sha256(one) for one in (path, *find_sidecars(path))],
            "given": to_mapping(self.given),
        }

        def make(folder: Path) -> None:
            ingest_file(path, decoder=self.decoder, folder=folder, given=self.given)

        folder = self._result("ingest", inputs, make)
        return read_source(folder), folder / AUDIO

    def separate(self, source: Source, audio: Path) -> Taken:
        """The same audio where nothing separates."""
        if not self._variant:
            return Taken(source, audio, marked_on=audio)
        inputs = {"source": source.source_id, "separator": self._variant}

        def make(folder: Path) -> None:
            separate(audio, separator=self.separator, folder=folder)

        stem = self._result("separate", inputs, make) / AUDIO
        return Taken(source, stem, marked_on=stem if self.separator.thorough else audio)

    def mark(self, taken: Taken) -> tuple[Stretch, ...]:
        def make(folder: Path) -> None:
            _write(folder / _STRETCHES, find_stretches(blocks_of(taken.marked_on)))

        inputs = self._audio_of(taken) | {"algorithm": background.VERSION}
        folder = self._result("mark", inputs, make)
        return tuple(_read(folder / _STRETCHES, Stretch.from_dict))

    def segment(self, taken: Taken) -> tuple[Segment, ...]:
        settings = self.recipe.segment

        def make(folder: Path) -> None:
            _write(folder / _SEGMENTS, segment_wav(taken.audio, settings))

        inputs = self._audio_of(taken) | {"settings": to_mapping(settings)}
        return tuple(_read(self._result("segment", inputs, make) / _SEGMENTS, Segment.from_dict))

    def process(self, taken: Taken, stretches: tuple[Stretch, ...], segments: tuple[Segment, ...]) -> Cut:
        source_id, longest_s = taken.source.source_id, self.recipe.segment.max_s
        # what may be joined is never longer than what may be cut
        settings = replace(self.recipe.process, max_s=min(self.recipe.process.max_s, longest_s))
        inputs = self._audio_of(taken) | {
            "segments": [one.to_dict() for one in segments],
            "stretches": [one.to_dict() for one in stretches],
            "settings": to_mapping(settings),
        }

        def make(folder: Path) -> None:
            made = process_source(
                WavSamples.of(taken.audio),
                segments,
                source_id=source_id,
                marks=stretches,
                settings=settings,
                variant=self._variant,
            )
            _write(folder / _CLIPS, _saved(made, folder))

        folder = self._result("process", inputs, make)
        clips = tuple(_read(folder / _CLIPS, VoiceClip.from_dict))
        return Cut(taken.source, stretches, segments, clips, folder)

    @property
    def _variant(self) -> str:
        """What separated; empty for nothing."""
        return "" if self.separator.name == NONE else self.separator.name

    def _audio_of(self, taken: Taken) -> dict[str, Any]:
        return {"source": taken.source.source_id, "separator": self._variant}

    def _result(self, stage: str, inputs: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        return self.store.result(stage, {**inputs, "version": VERSIONS[stage]}, make)


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise AudioError(
            f"it cannot be read ({error.strerror})",
            code="audio.unreadable",
            subject=str(path),
            hint="Check that it is there and that you may read it",
        ) from error


def _saved(made: Iterable[tuple[VoiceClip, Any]], folder: Path) -> Iterator[VoiceClip]:
    for clip, pcm in made:
        (folder / f"{clip.clip_id}.wav").write_bytes(wav_bytes(pcm, RATE_HZ))
        yield clip


def _write(path: Path, values: Iterable[Any]) -> None:
    lines = [json.dumps(value.to_dict(), ensure_ascii=False, sort_keys=True) for value in values]
    path.write_text("[" + ",\n".join(lines) + "]\n", encoding="utf-8")


def _read(path: Path, parse: Callable[[Mapping[str, Any]], T]) -> Iterator[T]:
    yield from map(parse, json.loads(path.read_text("utf-8")))
