"""Datasets that voices are trained on, in the forms of LJSpeech and of Piper.

    DIR/wavs/<clip_id>.wav    16-bit mono
    DIR/metadata.csv          LJSpeech: id|text|text
    DIR/piper.csv             Piper: id|text, with several speakers id|speaker|text
    DIR/dataset.json          clips with speaker, passage, split and hash; what was left out and why

Piper reads its file with quotation marks that may swallow rows, and takes the last column for the text: what
was written is read back with the same rules, and refused where anything differs. A passage (a minute of a
recording) is in one split as a whole and for ever, since the clips of a minute sound alike.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from phonoloop.audio.wav import wav_info
from phonoloop.core.errors import AudioError, InputError, IntegrityError, ManifestError, NotFoundError
from phonoloop.core.files import disk_error, write_whole
from phonoloop.core.ids import bytes_id, content_id, file_sha256
from phonoloop.training.recipes import enforce
from phonoloop.voice.data import RATE_HZ, VoiceClip
from phonoloop.voice.metadata import made_safe
from phonoloop.voice.model import HOP_SAMPLES, SEGMENT_SAMPLES

WAVS, LJSPEECH, PIPER, DATASET = "wavs", "metadata.csv", "piper.csv", "dataset.json"
#: rates that Piper's voices have (requirement C6)
RATES_HZ = (22_050, 16_000)
#: a speaker that nobody named, where others are named
UNNAMED = "unnamed"
Split = Literal["train", "val"]


@dataclass(frozen=True, slots=True)
class DatasetSettings:
    """How clips become a dataset.

    Attributes:
        val_pct: of the passages, so many percent are not trained on.
        passage_s: how long a passage is.
        min_clips: fewer make no voice.
    """

    val_pct: int = 5
    passage_s: int = 60
    min_clips: int = 10

    def __post_init__(self) -> None:
        """Raises ConfigError `config.wrong_value`."""
        enforce(
            (
                ("dataset.val_pct", 0 <= self.val_pct <= 50, "val_pct runs from 0 to 50"),
                ("dataset.passage_s", self.passage_s >= 1, "a passage has at least a second"),
                ("dataset.min_clips", self.min_clips >= 2, "at least 2 clips are needed"),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """A clip with its text. `audio`: 16-bit mono; `passage`: see `passage_of`."""

    clip_id: str
    audio: Path
    text: str
    passage: str
    speaker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A clip of a dataset."""

    clip_id: str
    text: str
    speaker: str
    passage: str
    split: Split
    samples: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset in a folder.

    Attributes:
        dataset_id: of the clips' sounds, texts, speakers and splits, and of the language.
        speakers: names, in the order of their numbers; one with an empty name where there is one speaker.
        clips: in the order of Piper's rows.
        left_out: clip → why: `no_text`, `too_short`, `text_too_long`.
    """

    folder: Path
    dataset_id: str
    name: str
    language: str
    rate_hz: int
    speakers: tuple[str, ...]
    clips: tuple[Entry, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def rows(self, split: Split) -> list[int]:
        """Row numbers of Piper's file, from 0."""
        return [at for at, clip in enumerate(self.clips) if clip.split == split]

    @property
    def duration_s(self) -> float:
        return sum(clip.samples for clip in self.clips) / self.rate_hz

    def audio_of(self, clip: Entry) -> Path:
        return self.folder / WAVS / f"{clip.clip_id}.wav"


def passage_of(clip: VoiceClip, settings: DatasetSettings) -> str:
    """The minute (or as long as the settings say) of the recording in which it begins."""
    return f"{clip.source_id}-{clip.spans[0].start // (settings.passage_s * RATE_HZ):05d}"


def split_passages(
    passages: Iterable[str], *, val_pct: int, earlier: Mapping[str, Split] | None = None
) -> dict[str, Split]:
    """Passage → split, by the hash of its name, so that nothing added later changes it.

    Where chance gave no passage to validation (or training) and there is more than one, the one with the
    smallest (or greatest) hash is given to it.

    Args:
        earlier: what was decided before; it stays.
    """
    shares = {passage: int(bytes_id(passage.encode())[:8], 16) / 2**32 for passage in set(passages)}
    splits: dict[str, Split] = {p: "val" if share < val_pct / 100 else "train" for p, share in shares.items()}
    splits.update({p: split for p, split in (earlier or {}).items() if p in splits})
    free = sorted((p for p in splits if p not in (earlier or {})), key=lambda p: shares[p])
    if val_pct and len(splits) > 1 and free:
        if "val" not in splits.values():
            splits[free[0]] = "val"
        if "train" not in splits.values():
            splits[free[-1]] = "train"
    return splits


def write_dataset(
    utterances: Sequence[Utterance],
    folder: Path,
    settings: DatasetSettings,
    *,
    name: str,
    language: str,
    earlier: Mapping[str, Split] | None = None,
) -> Dataset:
    """Writes a dataset into a folder that is empty or not there, and reads it back.

    Args:
        earlier: splits of passages of an earlier dataset of this voice (`splits_of`); they stay.

    Raises:
        InputError: `voice.too_few`, too few clips can be trained on.
        AudioError: `voice.rate`, the clips have several rates or one that Piper's voices do not have; as
            `wav_info`.
        ManifestError: `voice.dataset`, Piper would read something else.
        ResourceError: `resource.disk`.
    """
    lengths, rate_hz = _lengths(utterances)
    left_out = {one.clip_id: why for one in utterances if (why := _unfit(one, lengths[one.clip_id]))}
    used = sorted((u for u in utterances if u.clip_id not in left_out), key=lambda one: one.clip_id)
    _require_enough(used, left_out, settings, name)
    splits = split_passages((one.passage for one in used), val_pct=settings.val_pct, earlier=earlier)
    several = len({one.speaker for one in used}) > 1
    clips = tuple(_entry(one, lengths[one.clip_id], splits[one.passage], several) for one in used)
    dataset = Dataset(
        folder=folder,
        dataset_id=content_id([language, rate_hz, *(asdict(clip) for clip in clips)]),
        name=name,
        language=language,
        rate_hz=rate_hz,
        speakers=tuple(dict.fromkeys(clip.speaker for clip in clips)) if several else ("",),
        clips=clips,
        left_out=left_out,
    )
    _write(dataset, used)
    check_files(dataset)
    return dataset


def _lengths(utterances: Sequence[Utterance]) -> tuple[dict[str, int], int]:
    found = {one.clip_id: wav_info(one.audio) for one in utterances}
    rates = sorted({info.rate_hz for info in found.values()})
    if len(rates) > 1 or (rates and rates[0] not in RATES_HZ):
        raise AudioError(
            f"the clips have {', '.join(map(str, rates))} Hz",
            code="voice.rate",
            hint=f"All have to have one of {', '.join(map(str, RATES_HZ))}; `voice build` makes {RATE_HZ}",
        )
    return {name: info.samples for name, info in found.items()}, rates[0] if rates else RATE_HZ


def _unfit(utterance: Utterance, samples: int) -> str:
    """Why Piper could not train on it; empty where it can. A letter becomes about two numbers at most, and
    each number needs a frame of its own."""
    text = made_safe(utterance.text).text
    if not any(map(str.isalnum, text)):
        return "no_text"
    if samples < SEGMENT_SAMPLES + HOP_SAMPLES:
        return "too_short"
    return "text_too_long" if 2 * len(text) + 3 > samples // HOP_SAMPLES else ""


def _require_enough(
    used: Sequence[Utterance], left_out: Mapping[str, str], settings: DatasetSettings, name: str
) -> None:
    if len(used) >= settings.min_clips:
        return
    told = ", ".join(f"{count} {why}" for why, count in sorted(Counter(left_out.values()).items()))
    raise InputError(
        f"{len(used)} clips can be trained on, and {settings.min_clips} are needed",
        code="voice.too_few",
        subject=name,
        hint=f"Left out: {told}" if told else "Give more recordings, or their transcripts",
    )


def _entry(utterance: Utterance, samples: int, split: Split, several: bool) -> Entry:
    return Entry(
        clip_id=utterance.clip_id,
        text=made_safe(utterance.text).text,
        speaker=(made_safe(utterance.speaker).text or UNNAMED) if several else utterance.speaker,
        passage=utterance.passage,
        split=split,
        samples=samples,
        sha256=file_sha256(utterance.audio),
    )


def _write(dataset: Dataset, used: Sequence[Utterance]) -> None:
    wavs = dataset.folder / WAVS
    try:
        wavs.mkdir(parents=True, exist_ok=True)
        for one in used:
            _share(one.audio, wavs / f"{one.clip_id}.wav")
    except OSError as error:
        raise disk_error(wavs, error) from error
    write_whole(dataset.folder / LJSPEECH, _lines([(c.clip_id, c.text, c.text) for c in dataset.clips]))
    write_whole(dataset.folder / PIPER, _lines(_piper_rows(dataset)))
    told = {name: value for name, value in asdict(dataset).items() if name != "folder"}
    write_whole(dataset.folder / DATASET, json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n")


def _share(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _piper_rows(dataset: Dataset) -> list[tuple[str, ...]]:
    if len(dataset.speakers) > 1:
        return [(clip.clip_id, clip.speaker, clip.text) for clip in dataset.clips]
    return [(clip.clip_id, clip.text) for clip in dataset.clips]


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    return "".join("|".join(row) + "\n" for row in rows).encode()


def read_as_piper(content: str) -> list[list[str]]:
    """Rows as Piper's training reads them (`csv.reader` with `|`, quotation marks at work)."""
    return list(csv.reader(io.StringIO(content, newline=None), delimiter="|"))


def check_files(dataset: Dataset) -> None:
    """
    Raises:
        ManifestError: `voice.dataset`, Piper or a reader of LJSpeech would read something else than is meant.
        AudioError: `voice.dataset`, a clip is not there or is another one.
    """
    content = (dataset.folder / PIPER).read_text("utf-8")
    plain = [tuple(line.split("|")) for line in (dataset.folder / LJSPEECH).read_text("utf-8").splitlines()]
    meant = _piper_rows(dataset)
    read_all = [tuple(row) for row in read_as_piper(content)]
    if read_all != meant:
        wrong = next((row[0] for row, got in zip(meant, read_all, strict=False) if row != got), PIPER)
        raise _misread(dataset, wrong)
    if plain != [(clip.clip_id, clip.text, clip.text) for clip in dataset.clips]:
        raise _misread(dataset, LJSPEECH)
    for clip in dataset.clips:
        _check_audio(dataset, clip)


def _misread(dataset: Dataset, subject: str) -> ManifestError:
    return ManifestError(
        "Piper would read another text than was written",
        code="voice.dataset",
        subject=f"{dataset.folder.name}: {subject}",
        hint="Make the dataset again; if it stays, report the text of this clip",
    )


def _check_audio(dataset: Dataset, clip: Entry) -> None:
    path = dataset.audio_of(clip)
    if (
        not path.is_file()
        or wav_info(path).samples != clip.samples
        or wav_info(path).rate_hz != dataset.rate_hz
    ):
        raise AudioError(
            "this clip is not there, or is another one than the dataset was made of",
            code="voice.dataset",
            subject=str(path),
            hint="Make the dataset again",
        )


def read_dataset(folder: Path) -> Dataset:
    """
    Raises:
        NotFoundError: `voice.no_dataset`. IntegrityError: `voice.dataset_file`. As `check_files`.
    """
    try:
        told = json.loads((folder / DATASET).read_text("utf-8"))
        dataset = _dataset(folder, told)
    except FileNotFoundError as error:
        raise NotFoundError(
            "there is no dataset of a voice",
            code="voice.no_dataset",
            subject=str(folder),
            hint="`phonoloop voice build … --until dataset` makes one",
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError(
            f"this does not describe a dataset ({error})",
            code="voice.dataset_file",
            subject=str(folder / DATASET),
            hint="Make the dataset again",
        ) from error
    check_files(dataset)
    return dataset


def _dataset(folder: Path, told: Mapping[str, Any]) -> Dataset:
    clips = tuple(Entry(**clip) for clip in told["clips"])
    return Dataset(**{**told, "folder": folder, "clips": clips, "speakers": tuple(told["speakers"])})


def splits_of(dataset: Dataset) -> dict[str, Split]:
    """Passage → split, for the next dataset of this voice."""
    return {clip.passage: clip.split for clip in dataset.clips}
