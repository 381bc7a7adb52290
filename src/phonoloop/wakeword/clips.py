"""Clips of a wake word: read from folders with what is known about them, and what is wrong with them.

    positives = read_clips([Path("computer")], decoder, label=Label.POSITIVE)
    positives.clips, positives.refused, positives.licences

What is known beside the samples comes from a `labels.json` in the folder or the one above (by the
clip's path, file name or stem), and from a `.json` or `.txt` beside the clip, which counts for more.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from phonoloop.audio.decode import Decoded
from phonoloop.audio.wav import to_float, to_int16
from phonoloop.core import ids
from phonoloop.core.errors import NotFoundError, PhonoloopError
from phonoloop.core.units import CANONICAL_RATE_HZ, samples_to_seconds
from phonoloop.wakeword.clip_facts import Facts, FolderFacts
from phonoloop.wakeword.clip_flags import ClipRules, flags_of

#: what is looked at in folders; anything else there is passed over in silence
SUFFIXES = frozenset(
    (
        *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".mp4", ".mkv", ".webm"),
        *(".wma", ".aif", ".aiff", ".au", ".amr", ".3gp", ".caf", ".w64"),
    )
)

#: of a clip's id: 64 bits, so that ten thousand clips do not make a description of megabytes
_MARK_DIGITS = 16


class Label(StrEnum):
    """`NOISE`: nobody speaks in it; a negative for all other purposes."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    NOISE = "noise"


class AudioDecoder(Protocol):
    """As `audio.decode.Decoder`."""

    def decode(self, path: Path, rate_hz: int = CANONICAL_RATE_HZ) -> Decoded: ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WakeClip:
    """One clip, its samples in memory. Two with the same samples have the same id.

    Attributes:
        clip_id: names the samples and nothing else.
        pcm: (n,) int16, mono, 16,000 Hz; not to be written to.
        name: the path it was read from, or what to call it in a report.
        speaker, voice: who speaks, a person or a synthesiser's voice; empty where nobody said.
        snr_db, distance_m: as somebody said or measured; None where not.
        source: the folder it came from, as reports show it.
        text: what is said, where somebody wrote it down.
        phrase_end: the sample at which the phrase ends, where it is known.
        flags: what looks wrong with it, of `clip_flags`.
    """

    clip_id: str
    pcm: np.ndarray
    label: Label
    name: str
    path: Path | None = None
    speaker: str = ""
    voice: str = ""
    snr_db: float | None = None
    distance_m: float | None = None
    source: str = ""
    text: str = ""
    licence: str = "unknown"
    phrase_end: int | None = None
    flags: tuple[str, ...] = ()

    @classmethod
    def of(cls, samples: np.ndarray, label: Label, **known: Any) -> WakeClip:
        """From (n,) samples: int16, or float in [-1, 1]; `name` is the id where none is given."""
        pcm = samples if samples.dtype == np.int16 else to_int16(samples)
        clip_id = ids.audio_id(np.ascontiguousarray(pcm, "<i2").data)
        return cls(clip_id=clip_id, pcm=pcm, label=label, **{"name": clip_id, **known})

    @property
    def samples(self) -> np.ndarray:
        """(n,) float32 in [-1, 1), made anew at every call."""
        return to_float(self.pcm)

    @property
    def duration_s(self) -> float:
        return samples_to_seconds(len(self.pcm))


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that is not used, why, and what to do about it."""

    name: str
    code: str
    reason: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ClipSet:
    """What was found in folders, in the order of their paths.

    Attributes:
        copies: files with the same samples as an earlier one, which are left out: (file, the earlier one).
        removed: how many are marked as deleted.
        licences: of the clips here, by folder.
    """

    clips: tuple[WakeClip, ...] = ()
    refused: tuple[Refused, ...] = ()
    copies: tuple[tuple[str, str], ...] = ()
    removed: int = 0
    licences: dict[str, str] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        return samples_to_seconds(sum(len(clip.pcm) for clip in self.clips))

    @property
    def speakers(self) -> frozenset[str]:
        """Of people and voices; clips of unknown speakers add none."""
        return frozenset(who for clip in self.clips if (who := clip.speaker or clip.voice))

    @property
    def unknown_speakers(self) -> int:
        """How many clips do not say who speaks: for those no split by speaker can be held. Nobody
        speaks in noise."""
        return sum(not (clip.speaker or clip.voice or clip.label is Label.NOISE) for clip in self.clips)

    @property
    def flagged(self) -> dict[str, list[str]]:
        """What looks wrong → the names of the clips."""
        found: dict[str, list[str]] = {}
        for clip in self.clips:
            for flag in clip.flags:
                found.setdefault(flag, []).append(clip.name)
        return found

    def warnings(self) -> list[str]:
        """What a person should know before anything is made of these clips, a sentence each."""
        told = [
            f"{len(names)} of {len(self.clips)} clips: {flag} ({_some(names)})"
            for flag, names in self.flagged.items()
        ]
        if self.refused:
            told.append(
                f"{len(self.refused)} files cannot be used ({_some([one.name for one in self.refused])})"
            )
        if self.copies:
            told.append(
                f"{len(self.copies)} files are copies of others ({_some([one for one, _ in self.copies])})"
            )
        if self.unknown_speakers:
            told.append(
                f"{self.unknown_speakers} of {len(self.clips)} clips do not say who speaks: "
                "that no speaker is on both sides could not be held for them"
            )
        return told


def _some(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(Path(name).name for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def read_clips(
    folders: Sequence[Path],
    decoder: AudioDecoder,
    *,
    label: Label,
    rules: ClipRules | None = None,
    on_file: Callable[[int, Path], None] = lambda _done, _path: None,
) -> ClipSet:
    """Every audio file under the folders (or files), once.

    A label beside a clip counts for more than `label`.

    Args:
        rules: what makes a clip look wrong; those of the label where not given.
        on_file: called with how many are done and the next file.

    Raises:
        NotFoundError: `wakeword.no_folder`.
    """
    reader = _Reader(decoder, label, rules)
    for done, (root, path) in enumerate(audio_files(folders)):
        on_file(done, path)
        reader.take(root, path)
    return reader.result()


def audio_files(folders: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """(the folder that was given, a file in it), by path; hidden files and folders are left out.

    Raises:
        NotFoundError: `wakeword.no_folder`.
    """
    for root in folders:
        if root.is_file():
            yield root.parent, root
        elif root.is_dir():
            yield from ((root, path) for path in sorted(_walk(root)))
        else:
            raise NotFoundError(
                "there is no such folder", code="wakeword.no_folder", subject=str(root), hint="Check the path"
            )


def _walk(root: Path) -> Iterator[Path]:
    # links to folders are not followed: they may lead in circles
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        yield from (
            Path(folder, name)
            for name in names
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES
        )


class _Reader:
    """Collects a `ClipSet`."""

    def __init__(self, decoder: AudioDecoder, label: Label, rules: ClipRules | None) -> None:
        self._decoder, self._label, self._rules = decoder, label, rules
        self._facts = FolderFacts()
        self._clips: dict[str, WakeClip] = {}
        self._refused: list[Refused] = []
        self._copies: list[tuple[str, str]] = []
        self._removed = 0

    def take(self, root: Path, path: Path) -> None:
        try:
            facts = self._facts.of(path, root)
            if facts.deleted:
                self._removed += 1
                return
            clip = self._read(path, root, facts)
        except PhonoloopError as error:
            if error.retryable:  # the machine's trouble, not the file's
                raise
            self._refused.append(Refused(str(path), error.code, error.message, error.hint))
            return
        if clip.clip_id in self._clips:
            self._copies.append((clip.name, self._clips[clip.clip_id].name))
        else:
            self._clips[clip.clip_id] = clip

    def _read(self, path: Path, root: Path, facts: Facts) -> WakeClip:
        pcm = self._decoder.decode(path).pcm
        label = Label(facts.label) if facts.label else self._label
        clip = WakeClip.of(
            pcm,
            label,
            name=str(path),
            path=path,
            source=_source(path, root),
            speaker=facts.speaker,
            voice=facts.voice,
            snr_db=facts.snr_db,
            distance_m=facts.distance_m,
            text=facts.text,
            licence=facts.licence,
            phrase_end=facts.phrase_end(len(pcm)),
        )
        return replace(clip, flags=flags_of(pcm, self._rules or ClipRules.of(spoken=label is Label.POSITIVE)))

    def result(self) -> ClipSet:
        clips = tuple(self._clips.values())
        return ClipSet(clips, tuple(self._refused), tuple(self._copies), self._removed, _licences(clips))


def _source(path: Path, root: Path) -> str:
    return Path(root.resolve().name, path.parent.relative_to(root)).as_posix()


def _licences(clips: Iterable[WakeClip]) -> dict[str, str]:
    """Folder → its licence, or several where its clips have several."""
    found: dict[str, Counter[str]] = {}
    for clip in clips:
        found.setdefault(clip.source, Counter())[clip.licence] += 1
    return {source: "; ".join(sorted(counts)) for source, counts in sorted(found.items())}


def without(clips: Sequence[WakeClip], others: Iterable[WakeClip]) -> tuple[WakeClip, ...]:
    """Those clips whose samples are not among the others': the same audio is never on both sides.

    For what only nearly is the same (cut, louder, coded anew) see `fingerprint`.
    """
    taken = {clip.clip_id for clip in others}
    return tuple(clip for clip in clips if clip.clip_id not in taken)


def marks_of(clips: Iterable[WakeClip]) -> list[str]:
    """What a model's description keeps of the clips it learned from, sorted: enough to know them again."""
    return sorted({clip.clip_id[:_MARK_DIGITS] for clip in clips})


def unheard(clips: Sequence[WakeClip], marks: Iterable[str]) -> tuple[WakeClip, ...]:
    """The clips that are not among those a model learned from."""
    known = set(marks)
    return tuple(clip for clip in clips if clip.clip_id[:_MARK_DIGITS] not in known)
