"""Voices that are built in the data folder: what was given, the recordings, how far each is.

voices/NAME/about.json     language, speaker, licence, consent
voices/NAME/recordings/    as they came, each with what was said of it beside it
voices/NAME/work/          see `voice.layout`
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import Any

from phonoloop.app.bootstrap import App
from phonoloop.core.errors import ConflictError, InputError, NotFoundError
from phonoloop.core.files import disk_error, sync_folder, write_whole
from phonoloop.data.sidecar import consent_lacks, find_sidecars, read_sidecars
from phonoloop.data.split import SpeakerClaim, enrol, speaker_id_of
from phonoloop.voice.data import Consent
from phonoloop.voice.ingest import Given
from phonoloop.voice.jobfile import job_files, read_job
from phonoloop.voice.layout import CLIPS, REPORT, SEGMENTS

ABOUT, RECORDINGS, WORK = "about.json", "recordings", "work"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_FILE_NAME_CHARS = 120


@dataclass(frozen=True, slots=True)
class About:
    """What is said of a voice once, for all its recordings."""

    name: str
    language: str
    speaker: str = ""
    licence: str = ""
    consent: Mapping[str, str] = field(default_factory=dict)

    @property
    def given(self) -> Given:
        return Given(speaker=self.speaker, licence=self.licence, consent=consent_of(self.consent))


def consent_of(said: Mapping[str, str]) -> Consent | None:
    """None where nothing is said. Raises InputError `voice.consent`, where a part is missing or wrong."""
    given = {part: str(said.get(part, "")).strip() for part in ("who", "purpose", "date")}
    if not any(given.values()):
        return None
    if not (missing := consent_lacks(given)):
        return Consent(**given)
    raise InputError(
        f"the consent lacks {missing}",
        code="voice.consent",
        hint="Say who agreed, to what, and when",
    )


def check_name(name: str) -> str:
    """It becomes a file name. Raises InputError `voice.name`."""
    if not _NAME.fullmatch(name):
        raise InputError(
            "this cannot be the name of a voice",
            code="voice.name",
            subject=name[:80],
            hint="Take up to 64 letters without marks, digits, - and _, with a letter or digit first",
        )
    return name


def folder_of(app: App, name: str) -> Path:
    """Of a voice that was begun. Raises InputError `voice.name`, NotFoundError `voice.not_begun`."""
    folder = app.data_dir / "voices" / check_name(name)
    if not (folder / ABOUT).is_file():
        raise NotFoundError(
            "no voice of this name was begun here",
            code="voice.not_begun",
            subject=name,
            hint="POST /v1/voices begins one",
        )
    return folder


def begin(app: App, about: About) -> dict[str, Any]:
    """Makes the folder of a voice.

    Raises:
        InputError: `voice.name`, `voice.consent`, `speaker.forgotten`, `speaker.name`.
        ConflictError: `voice.exists`, with something else said of it.
    """
    folder = app.data_dir / "voices" / check_name(about.name)
    consent_of(about.consent)
    if about.speaker:
        with app.records.transaction() as tx:
            enrol(tx, SpeakerClaim(about.speaker), app.ingest.rules.split)
    if (folder / ABOUT).is_file() and about_of(app, about.name) != about:
        raise ConflictError(
            "something else was said of this voice",
            code="voice.exists",
            subject=about.name,
            hint="Take another name",
        )
    write_whole(folder / ABOUT, json.dumps(asdict(about), ensure_ascii=False, indent=1).encode() + b"\n")
    return workshop_view(app, about.name)


def about_of(app: App, name: str) -> About:
    return About(**json.loads((folder_of(app, name) / ABOUT).read_text("utf-8")))


def work_dir(app: App, name: str) -> Path:
    return folder_of(app, name) / WORK


def add_recording(app: App, name: str, path: Path, *, called: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Keeps a file, and what was said of it beside it; one of the same name is replaced.

    Args:
        called: what the sender calls it; only its last part is looked at.

    Raises:
        InputError: `voice.file_name`. ResourceError: `resource.disk`.
    """
    folder = folder_of(app, name) / RECORDINGS
    kept = folder / _file_name(called)
    beside = kept.with_name(f"{kept.name}.json")
    try:
        folder.mkdir(exist_ok=True)
        _take(path, kept)
        if said:
            write_whole(beside, json.dumps(dict(said), ensure_ascii=False).encode())
        else:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(kept, error) from error
    return {"name": kept.name, "bytes": kept.stat().st_size}


def _take(path: Path, kept: Path) -> None:
    unfinished = kept.with_name(f".{kept.name}.{uuid.uuid4().hex}")
    shutil.copyfile(path, unfinished)
    sync_folder(unfinished)
    os.replace(unfinished, kept)
    sync_folder(kept.parent)


def _file_name(called: str) -> str:
    name = PurePath(called.replace("\\", "/")).name
    if not name or name.startswith(".") or len(name) > _FILE_NAME_CHARS or not name.isprintable():
        raise InputError(
            "this cannot be the name of a recording",
            code="voice.file_name",
            subject=called[:80],
            hint=f"Take up to {_FILE_NAME_CHARS} printable characters with no dot first",
        )
    if PurePath(name).suffix.lower() in (".json", ".txt", ""):
        raise InputError(
            "a recording needs the ending of its format",
            code="voice.file_name",
            subject=name,
            hint="Name it x.wav, x.mp3, x.mp4, …; what is said of it goes into the metadata",
        )
    return name


def recordings(folder: Path) -> list[Path]:
    found = (folder / RECORDINGS).glob("[!.]*")
    return sorted(p for p in found if p.suffix.lower() not in (".json", ".txt"))


# ---------------------------------------------------------------- views


def workshops_view(app: App) -> list[dict[str, Any]]:
    """Every voice that was begun, with how far it is."""
    begun = sorted((app.data_dir / "voices").glob(f"*/{ABOUT}"))
    return [_in_short(workshop_view(app, path.parent.name)) for path in begun]


def _in_short(view: dict[str, Any]) -> dict[str, Any]:
    """Without what each epoch of a training measured, which grows long."""
    report = {name: value for name, value in view["report"].items() if name not in ("epochs", "sentences")}
    return view | {"report": report}


def workshop_view(app: App, name: str) -> dict[str, Any]:
    folder = folder_of(app, name)
    states = [read_job(path).to_dict() for path in job_files(folder / WORK)]
    return asdict(about_of(app, name)) | {
        "recordings": [path.name for path in recordings(folder)],
        "jobs": states,
        "report": _read(folder / WORK / REPORT, {}),
    }


def segments_view(app: App, name: str) -> list[dict[str, Any]]:
    """Where each recording was cut, in samples at 22,050 Hz. Raises NotFoundError `voice.no_segments`."""
    found = _read(work_dir(app, name) / SEGMENTS, None)
    if found is None:
        raise NotFoundError(
            "nothing was cut yet",
            code="voice.no_segments",
            subject=name,
            hint="POST /v1/voices/{name}/build with until=segment",
        )
    return found


def _read(path: Path, otherwise: Any) -> Any:
    return json.loads(path.read_text("utf-8")) if path.is_file() else otherwise


def clip_file(app: App, name: str, clip_id: str) -> Path:
    """Raises NotFoundError `voice.no_clip`."""
    path = work_dir(app, name) / CLIPS / f"{clip_id}.wav"
    if not clip_id.isalnum() or not path.is_file():
        raise NotFoundError("there is no such clip", code="voice.no_clip", subject=clip_id[:80])
    return path


# ---------------------------------------------------------------- forgetting


def voices_of(app: App, speaker_id: str) -> list[str]:
    """Names of voices that were begun, in which somebody is heard."""
    begun = sorted((app.data_dir / "voices").glob(f"*/{ABOUT}"))
    return [path.parent.name for path in begun if _recordings_of(path.parent, speaker_id)]


def forget_in_voices(app: App, speaker_id: str) -> None:
    """Removes a speaker's recordings, and all that was made of the voices in which they are heard. Done again
    it goes on. What was installed is marked elsewhere."""
    for name in voices_of(app, speaker_id):
        folder = folder_of(app, name)
        # what was made goes first: once the recordings are gone nothing tells whose it was
        shutil.rmtree(folder / WORK, ignore_errors=True)
        for path in _recordings_of(folder, speaker_id):
            for beside in find_sidecars(path):
                beside.unlink()
            path.unlink()


def _recordings_of(folder: Path, speaker_id: str) -> list[Path]:
    about = About(**_read(folder / ABOUT, {}))
    named = ((path, about.speaker or read_sidecars(path).speaker) for path in recordings(folder))
    return [path for path, name in named if name and speaker_id_of(name) == speaker_id]
