"""`checkpoints/<job_id>.json`: how far a voice is, for whoever looks in or takes it up again (C8)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from phonoloop.core.errors import InputError, IntegrityError
from phonoloop.core.files import write_whole
from phonoloop.core.ids import content_id, slug
from phonoloop.voice.layout import CHECKPOINTS

_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


@dataclass(frozen=True, slots=True)
class JobState:
    """What is done.

    Attributes:
        ingested: source id → the name of the recording.
        refused: name of a recording → why it cannot be used.
        separated: ids of the sources whose background was dealt with.
        segments_saved: segments found in all sources.
        transcribed_count: clips that have a text.
        manifest_created: id of the manifest; empty before.
        epoch, last_checkpoint: of the training; 0 and empty before.
    """

    job_id: str
    name: str
    language: str
    ingested: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    separated: tuple[str, ...] = ()
    segments_saved: int = 0
    transcribed_count: int = 0
    manifest_created: str = ""
    epoch: int = 0
    last_checkpoint: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "job_id": self.job_id,
            "name": self.name,
            "language": self.language,
            "ingested": dict(self.ingested),
            "refused": dict(self.refused),
            "separated": list(self.separated),
            "segments_saved": self.segments_saved,
            "transcribed_count": self.transcribed_count,
            "manifest_created": self.manifest_created,
            "training": {"epoch": self.epoch, "last_checkpoint": self.last_checkpoint},
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        plain = {key: value for key, value in raw.items() if key not in ("training", "separated")}
        return cls(**plain, separated=tuple(raw["separated"]), **raw["training"])


def job_id_of(name: str, language: str) -> str:
    """The same voice taken up again is the same job."""
    return f"{slug(name, otherwise='voice')}-{content_id([name, language])[:8]}"


class JobFile:
    """The file, written whole at every change; goes on with what an earlier run of the job has written."""

    def __init__(self, folder: Path, first: JobState) -> None:
        """Raises InputError `voice.job_id`, IntegrityError `voice.job_file`."""
        if not _JOB_ID.fullmatch(first.job_id):
            raise InputError(
                "this cannot be the name of a job",
                code="voice.job_id",
                subject=first.job_id,
                hint="Take letters, digits, dots, dashes",
            )
        self.path = folder / CHECKPOINTS / f"{first.job_id}.json"
        self.state = read_job(self.path) if self.path.is_file() else first

    def update(self, **changes: Any) -> None:
        """Raises ResourceError `resource.disk`."""
        state = replace(self.state, **changes)
        if state != self.state or not self.path.is_file():
            self.state = state
            text = json.dumps(state.to_dict(), ensure_ascii=False, indent=1)
            write_whole(self.path, text.encode() + b"\n")


def read_job(path: Path) -> JobState:
    """Raises IntegrityError `voice.job_file`."""
    try:
        return JobState.from_dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise IntegrityError(
            f"the job file cannot be read ({error})",
            code="voice.job_file",
            subject=str(path),
            hint="Delete it and run the build again: what is done is found again",
        ) from error


def job_files(folder: Path) -> list[Path]:
    return sorted((folder / CHECKPOINTS).glob("*.json"))
