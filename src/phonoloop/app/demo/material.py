"""What the demo feeds its inbox with: synthesised voices, or somebody's own recordings, in two batches."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phonoloop.app.bootstrap import App
from phonoloop.app.demo.corpus import load_voices, write_batch
from phonoloop.app.demo.grammar import load_grammar
from phonoloop.app.intake import audio_files
from phonoloop.core.errors import NotFoundError
from phonoloop.core.speech import Synthesizer
from phonoloop.data.model import Split
from phonoloop.data.sidecar import find_sidecars, read_sidecars
from phonoloop.data.split import pin_speaker

OnShare = Callable[[float, str], None]

SENTENCES = 2000
#: recordings of each train voice in a batch
PER_VOICE = {1: 60, 2: 22}
PER_HELD_OUT_VOICE = 30


@dataclass(frozen=True, slots=True)
class Dropped:
    """How many files were put into the inbox, and how many sentences the synthesiser crashed on."""

    files: int
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Material:
    """Two batches to drop into the inbox.

    Attributes:
        drop: puts batch 1 or 2 into the inbox.
        pins: speaker → split, to be set before anything is dropped.
        synthetic: it was made by a machine; every table says so.
    """

    drop: Callable[[int, OnShare], Dropped]
    pins: Mapping[str, Split]
    synthetic: bool
    about: str


def synthesised(inbox: Path, synthesizer: Synthesizer, *, seed: int) -> Material:
    """Voices of espeak-ng, each a speaker; test voices are heard by no training."""
    voices = load_voices()
    sentences = load_grammar().sentences(SENTENCES, seed=seed)

    def drop(batch: int, on_share: OnShare) -> Dropped:
        wanted = [voice for voice in voices if voice.batch <= batch]
        held_out = [voice for voice in wanted if voice.split is not Split.TRAIN and voice.batch == batch]
        training = [voice for voice in wanted if voice.split is Split.TRAIN]
        files = skipped = 0
        for group, per_voice in ((training, PER_VOICE[batch]), (held_out, PER_HELD_OUT_VOICE)):
            made = write_batch(
                inbox,
                group,
                sentences,
                synthesizer=synthesizer,
                per_voice=per_voice,
                seed=seed + batch,
                on_progress=lambda done, total: on_share(done / total, f"{done} of {total} recordings"),
            )
            files += len(made.files)
            skipped += made.skipped
        return Dropped(files, skipped)

    pins = {voice.name: voice.split for voice in voices}
    about = f"{len(voices)} synthetic voices of espeak-ng, not people"
    return Material(drop=drop, pins=pins, synthetic=True, about=about)


def recorded(inbox: Path, source: Path) -> Material:
    """Somebody's recordings: the first half of each speaker's, then the rest. The originals stay.

    Of five speakers or more, one in five is kept for testing and one for validation; of three or four,
    one each.

    Raises:
        NotFoundError: `demo.no_recordings`.
    """
    by_speaker: dict[str, list[Path]] = defaultdict(list)
    for path, hints in audio_files([source]):
        by_speaker[read_sidecars(path).speaker or hints.folder_speaker].append(path)
    if not by_speaker:
        raise NotFoundError(
            "there are no recordings here",
            code="demo.no_recordings",
            subject=str(source),
            hint="Name a folder with audio files, a folder for each speaker, and x.txt beside each x.wav",
        )

    def drop(batch: int, on_share: OnShare) -> Dropped:
        wanted = [path for paths in by_speaker.values() for path in _half(paths, batch)]
        for done, path in enumerate(wanted, start=1):
            _copy(path, inbox / path.relative_to(source))
            on_share(done / len(wanted), path.name)
        return Dropped(len(wanted))

    pins = _pins(sorted(name for name in by_speaker if name))
    about = f"{sum(map(len, by_speaker.values()))} recordings of {len(by_speaker)} speakers in {source}"
    return Material(drop=drop, pins=pins, synthetic=False, about=about)


def _half(paths: Sequence[Path], batch: int) -> Sequence[Path]:
    middle = (len(paths) + 1) // 2
    return paths[:middle] if batch == 1 else paths[middle:]


def _copy(path: Path, target: Path) -> None:
    """With its sidecars, which go first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for beside in find_sidecars(path):
        shutil.copy(beside, target.with_name(beside.name))
    shutil.copy(path, target)


def _pins(speakers: Sequence[str]) -> dict[str, Split]:
    """By the order of names, so that the same folder is split the same way again."""
    held_out = max(1, len(speakers) // 5) if len(speakers) >= 3 else 0
    pins = dict.fromkeys(speakers, Split.TRAIN)
    pins |= dict.fromkeys(speakers[:held_out], Split.TEST)
    return pins | dict.fromkeys(speakers[held_out : held_out + min(1, held_out)], Split.VAL)


def pin_all(app: App, pins: Mapping[str, Split]) -> None:
    with app.records.transaction() as tx:
        for name, split in pins.items():
            pin_speaker(tx, name, split)


def settle(inbox: Path, settle_s: float) -> None:
    """Files that were just written count as complete once they are older than this."""
    for path in inbox.rglob("*"):
        stat = path.stat()
        os.utime(path, (stat.st_atime, stat.st_mtime - settle_s - 1))
