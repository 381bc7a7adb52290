"""Many clips at once: from files and folders, from false alarms, from and to a folder of a dataset."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phonoloop.app.bootstrap import App
from phonoloop.app.intake import audio_files
from phonoloop.app.wakeword_datasets import check_size
from phonoloop.core.errors import (
    ConflictError,
    InputError,
    ManifestError,
    NotFoundError,
    PhonoloopError,
)
from phonoloop.core.files import require_empty
from phonoloop.core.ids import sha256_hex
from phonoloop.wakeword import datasets
from phonoloop.wakeword.clip_facts import FolderFacts
from phonoloop.wakeword.clips import Label
from phonoloop.wakeword.datasets_add import adding
from phonoloop.wakeword.datasets_inspect import Inspected, check_speech, decode, inspect, part_of
from phonoloop.wakeword.datasets_model import Dataset
from phonoloop.wakeword.datasets_said import About
from phonoloop.wakeword.datasets_store import clip_key

#: how many clips one write of the list takes in
_AT_ONCE = 32
#: what is cut out before and after the moment of a false alarm
BEFORE_S, AFTER_S = 2.0, 0.2

OnShare = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: `added`, `known` or `refused`."""

    name: str
    status: str
    clip_id: str = ""
    flags: tuple[str, ...] = ()
    twin_of: str = ""
    code: str = ""
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Offer:
    """Something to take in: how it is had, and what is said of it."""

    about: About
    look: Callable[[], tuple[Inspected, str]]


def add_paths(
    app: App,
    dataset_id: str,
    paths: Sequence[Path],
    about: About,
    *,
    actor: str,
    on_share: OnShare = lambda share, words: None,
) -> list[Outcome]:
    """Takes in files, and the audio files of folders; below a folder, the next one names the speaker where
    nobody else does. What is refused is among the outcomes.

    Raises:
        NotFoundError: `input.missing`, `dataset.missing`. ResourceError, UnavailableError.
    """
    found = list(audio_files(paths))
    offers = [
        _file(
            app,
            path,
            replace(about, name=hints.name or path.name, speaker=about.speaker or hints.folder_speaker),
        )
        for path, hints in found
    ]
    return _take(app, dataset_id, offers, actor=actor, on_share=on_share)


def import_folder(
    app: App,
    dataset_id: str,
    folder: Path,
    *,
    actor: str,
    on_share: OnShare = lambda share, words: None,
) -> list[Outcome]:
    """Takes in a folder that says its labels: in a `labels.json` (an export has one), or by folders called
    positive, negative and noise, the next one below naming the speaker. Clips marked as deleted are left out.

    Raises:
        InputError: `dataset.no_labels`. ManifestError: `wakeword.labels`. And as `add_paths`.
    """
    facts, also = FolderFacts(), _remarks(folder)
    offers = [
        _file(app, path, replace(about, **also.get(path.stem, {})))
        for path, _ in audio_files([folder])
        if (about := _labelled(path, folder, facts)) is not None
    ]
    return _take(app, dataset_id, offers, actor=actor, on_share=on_share)


def add_detections(
    app: App,
    dataset_id: str,
    lines: Path,
    about: About,
    *,
    actor: str,
    before_s: float = BEFORE_S,
    on_share: OnShare = lambda share, words: None,
) -> list[Outcome]:
    """Takes in what was heard before each detection that `phonoloop wakeword scan --json` wrote: a line
    with `file`, `at_s` and `score`. Other lines are passed over.

    Raises:
        InputError: `detections.invalid`. NotFoundError: `input.missing`. And as `add_paths`.
    """
    offers = [offer for name, found in _by_file(lines) for offer in _cuts(app, name, found, about, before_s)]
    return _take(app, dataset_id, offers, actor=actor, on_share=on_share)


# ---------------------------------------------------------------- offers


def _file(app: App, path: Path, about: About) -> _Offer:
    def look() -> tuple[Inspected, str]:
        check_size(app, path, about.name)
        context = app.wake_datasets
        decoded = decode(path, context.decoder, name=about.name)
        found = inspect(decoded, context.detector, context.rules, name=about.name)
        check_speech(about.label, found.speech_s, context.rules, name=about.name)
        return found, sha256_hex(path.read_bytes())

    return _Offer(about, look)


def _labelled(path: Path, folder: Path, facts: FolderFacts) -> About | None:
    known, (first, *rest) = facts.of(path, folder), path.relative_to(folder).parts
    if known.deleted:
        return None
    label = known.label or (first if first in set(Label) else "")
    if not label:
        raise InputError(
            "nothing says what this clip is",
            code="dataset.no_labels",
            subject=str(path),
            hint="Sort clips into folders positive, negative and noise, or bring a labels.json",
        )
    by_folder = rest[0] if len(rest) > 1 and not known.label else ""
    licence = "" if known.licence == "unknown" else known.licence
    name = path.relative_to(folder).as_posix()
    return About(
        label=Label(label),
        speaker=known.speaker or by_folder,
        licence=licence,
        distance_m=known.distance_m,
        name=name,
    )


def _remarks(folder: Path) -> dict[str, dict[str, str]]:
    """What the `labels.json` of an export says beside what trainings go by."""
    path = folder / "labels.json"
    if not path.is_file():
        return {}
    try:
        raw = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ManifestError(
            f"it cannot be read ({error})", code="wakeword.labels", subject=str(path), hint="Mend it"
        ) from error
    clips = raw.get("clips") if isinstance(raw, dict) else None
    names = ("notes", "device", "environment")
    return {
        clip_id: {name: known[name] for name in names if isinstance(known.get(name), str)}
        for clip_id, known in (clips.items() if isinstance(clips, dict) else ())
        if isinstance(known, dict)
    }


def _by_file(lines: Path) -> list[tuple[str, list[dict[str, Any]]]]:
    """The detections of each file, in the order of the list."""
    found: dict[str, list[dict[str, Any]]] = {}
    for number, line in enumerate(_text(lines).splitlines(), start=1):
        if line.strip() and (one := _detection(line, f"{lines}:{number}")) is not None:
            found.setdefault(one["file"], []).append(one)
    return list(found.items())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFoundError("there is no such file", code="input.missing", subject=str(path)) from None
    except UnicodeDecodeError as error:
        raise _no_detections(str(path), f"it is not UTF-8 ({error})") from None


def _detection(line: str, where: str) -> dict[str, Any] | None:
    try:
        one = json.loads(line)
    except ValueError as error:
        raise _no_detections(where, f"it is not JSON ({error})") from None
    if not isinstance(one, dict) or not {"file", "at_s"} <= set(one):
        return None
    if not isinstance(one["file"], str) or isinstance(one["at_s"], bool | str | list | dict | None):
        raise _no_detections(where, "file is no text or at_s no number")
    return one


def _no_detections(where: str, message: str) -> InputError:
    return InputError(
        message,
        code="detections.invalid",
        subject=where,
        hint="Give what `phonoloop wakeword scan --json` wrote",
    )


def _cuts(
    app: App, name: str, found: Sequence[dict[str, Any]], about: About, before_s: float
) -> Iterator[_Offer]:
    """The file is decoded once, at its first cut."""
    context, path = app.wake_datasets, Path(name)
    decoded: list[Any] = []

    def look(at_s: float, cut: About) -> tuple[Inspected, str]:
        if not decoded:
            decoded.append(decode(path, context.decoder, name=name))
        part = part_of(decoded[0], at_s - before_s, at_s + AFTER_S)
        inspected = inspect(part, context.detector, context.rules, name=cut.name)
        check_speech(cut.label, inspected.speech_s, context.rules, name=cut.name)
        return inspected, sha256_hex(path.read_bytes())

    for one in found:
        at_s = float(one["at_s"])
        score = f", score {one['score']:.2f}" if isinstance(one.get("score"), int | float) else ""
        note = (
            about.notes
            or f"heard as {one.get('model') or 'the phrase'} at {at_s:.2f} s of {path.name}{score}"
        )
        cut = replace(about, name=f"{path.name}@{at_s:.2f}s", notes=note)
        yield _Offer(cut, lambda at_s=at_s, cut=cut: look(at_s, cut))


# ---------------------------------------------------------------- taking in


def _take(
    app: App, dataset_id: str, offers: Sequence[_Offer], *, actor: str, on_share: OnShare
) -> list[Outcome]:
    """Looked at without the lock, then written a few at a time."""
    datasets.get(app.wake_datasets, dataset_id)
    outcomes: list[Outcome] = []
    for start in range(0, len(offers), _AT_ONCE):
        looked = []
        for number, offer in enumerate(offers[start : start + _AT_ONCE], start=start + 1):
            looked.append((offer, _looked(offer)))
            on_share(number / len(offers), offer.about.name)
        outcomes += _keep(app, dataset_id, looked, actor)
    return outcomes


def _looked(offer: _Offer) -> tuple[Inspected, str] | Outcome:
    try:
        return offer.look()
    except PhonoloopError as error:
        return _refused(offer, error)


def _refused(offer: _Offer, error: PhonoloopError) -> Outcome:
    if error.retryable or not isinstance(error, InputError | ConflictError):  # not this file's fault
        raise error
    return Outcome(offer.about.name, "refused", code=error.code, message=error.message, hint=error.hint)


def _keep(
    app: App, dataset_id: str, looked: Iterable[tuple[_Offer, tuple[Inspected, str] | Outcome]], actor: str
) -> list[Outcome]:
    outcomes = []
    with adding(app.wake_datasets, dataset_id, actor=actor) as adder:
        for offer, found in looked:
            if isinstance(found, Outcome):
                outcomes.append(found)
                continue
            try:
                added = adder.take(found[0], offer.about, found[1])
            except PhonoloopError as error:
                outcomes.append(_refused(offer, error))
                continue
            status, clip = "added" if added.created else "known", added.clip
            outcomes.append(Outcome(offer.about.name, status, clip.clip_id, clip.flags, clip.twin_of))
    return outcomes


# ---------------------------------------------------------------- out


def export_folder(app: App, dataset_id: str, folder: Path) -> Dataset:
    """Copies a dataset: `labels.json` and the clips that are not deleted.

    Raises:
        ConflictError: `export.not_empty`. NotFoundError: `dataset.missing`.
    """
    dataset = datasets.get(app.wake_datasets, dataset_id)
    require_empty(folder)
    copy_clips(app, dataset, folder)
    return dataset


def copy_clips(app: App, dataset: Dataset, folder: Path, *, link: bool = False) -> None:
    """The active clips below `folder/clips`, and last their `labels.json`.

    Args:
        link: share the bytes with the dataset's files where the file system can; they are never changed.
    """
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    active = dataset.active()
    for clip in active:
        source = app.blobs.local_path(clip_key(dataset.dataset_id, clip.clip_id))
        _copy(source, folder / "clips" / f"{clip.clip_id}.wav", link=link)
    labels = dataset.about() | {"clips": {clip.clip_id: clip.to_dict() for clip in active}}
    text = json.dumps(labels, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / "labels.json").write_text(text + "\n", encoding="utf-8")


def _copy(source: Path, target: Path, *, link: bool) -> None:
    target.unlink(missing_ok=True)
    if link:
        try:
            target.hardlink_to(source)
            return
        except OSError:  # another file system, or one that knows no links: a copy is as good
            target.unlink(missing_ok=True)
    shutil.copyfile(source, target)
