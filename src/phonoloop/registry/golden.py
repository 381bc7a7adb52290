"""Golden sets: human-checked clips of speakers that no training hears, frozen by hash."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from phonoloop.core import ids
from phonoloop.core.clock import utc_now
from phonoloop.core.errors import ConflictError, InputError, SplitConflictError
from phonoloop.core.ports import Transaction
from phonoloop.core.units import samples_to_seconds, seconds_to_hours
from phonoloop.data.manifest import ManifestRow, write_manifest
from phonoloop.data.model import Clip, ClipStatus, GoldenSet, Provenance, Recording, Speaker, Split

CHECKED = (Provenance.HUMAN, Provenance.SIDECAR)

#: what a recording or a speaker may say of itself by which errors are looked at apart
SLICE_NAMES = (
    "accent",
    "age_group",
    "device",
    "dialect",
    "environment",
    "gender",
    "region",
    "speaker_group",
)

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class FrozenGolden:
    """A golden set and the bytes that belong under its blob key. Store the bytes first."""

    golden: GoldenSet
    manifest: bytes


def choose_clips(tx: Transaction) -> list[Clip]:
    """Every clip that models may be judged on: of a test speaker, accepted, with a text that a
    person or a sidecar gave. In clip order."""
    clips = tx.find(Clip, split=Split.TEST, status=ClipStatus.ACCEPTED, provenance__in=list(CHECKED))
    return [clip for clip in clips if clip.text]


def golden_rows(tx: Transaction, clips: Iterable[Clip]) -> list[ManifestRow]:
    """Manifest rows of clips, with what they can be sliced by."""
    return [_row(tx, clip) for clip in clips]


def _row(tx: Transaction, clip: Clip) -> ManifestRow:
    recording, speaker = tx.get(Recording, clip.audio_id), tx.get(Speaker, clip.speaker_id)
    if recording is None or speaker is None or clip.provenance is None:
        raise InputError("its recording or speaker is gone", code="golden.orphan", subject=clip.clip_id)
    told = {**speaker.attributes, **recording.attributes}
    told |= {"environment": recording.environment, "device": recording.device}
    return ManifestRow(
        audio_filepath=recording.path,
        text=clip.text,
        duration=clip.duration_s,
        speaker=clip.speaker_id,
        clip_id=clip.clip_id,
        offset=samples_to_seconds(clip.start_sample),
        extras={
            **{name: str(told[name]) for name in SLICE_NAMES if told.get(name)},
            "snr_db": clip.snr_db,
            "provenance": clip.provenance.value,
            "synthetic": bool(told.get("synthetic", False)),
        },
    )


def freeze(
    tx: Transaction, rows: Sequence[ManifestRow], *, name: str = "", now: datetime | None = None
) -> FrozenGolden:
    """Makes a golden set of rows; nothing is stored here. The same rows under the same name give
    the same set again. Without a name it is called after its hash.

    Raises:
        InputError: `golden.empty`, `golden.name`, `golden.no_text`, `golden.machine_text` (a row that
            does not say that a person or a sidecar gave its text).
        SplitConflictError: `golden.heard`, for a speaker who is in train or val.
        ConflictError: `golden.frozen`, where the name belongs to other rows.
    """
    _check(tx, rows)
    manifest = write_manifest(rows)
    sha256 = ids.sha256_hex(manifest)
    name = name or f"test-{sha256[:12]}"
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is not a name for a golden set",
            code="golden.name",
            hint="Use lower-case letters, digits, dots, dashes and underscores, at most 64",
        )
    golden = _entity(rows, name=name, sha256=sha256, now=now or utc_now())
    before = tx.get(GoldenSet, name)
    if before is not None and before.manifest_sha256 != sha256:
        raise ConflictError(
            "a golden set of this name holds other clips",
            code="golden.frozen",
            subject=name,
            hint="Golden sets do not change: give the new one another name",
        )
    return FrozenGolden(before or golden, manifest)


def _entity(rows: Sequence[ManifestRow], *, name: str, sha256: str, now: datetime) -> GoldenSet:
    return GoldenSet(
        name=name,
        manifest=f"datasets/golden/{name}-{sha256[:12]}.jsonl",
        manifest_sha256=sha256,
        clips=len(rows),
        speakers=len({row.speaker for row in rows}),
        hours=seconds_to_hours(sum(row.duration for row in rows)),
        created_at=now,
    )


def _check(tx: Transaction, rows: Sequence[ManifestRow]) -> None:
    if not rows:
        raise InputError("a golden set needs clips", code="golden.empty", hint="; ".join(what_is_missing(tx)))
    for row in rows:
        subject = row.clip_id or row.audio_filepath
        if not row.text.strip():
            raise InputError("it has no text", code="golden.no_text", subject=subject)
        if row.extras.get("provenance") not in CHECKED:
            raise InputError(
                "nothing says that a person checked its text",
                code="golden.machine_text",
                subject=subject,
                hint='Correct it by hand, or write "provenance": "human" in its line',
            )
    _refuse_heard(tx, {row.speaker for row in rows})


def _refuse_heard(tx: Transaction, speakers: set[str]) -> None:
    heard = tx.find(Speaker, split__in=[Split.TRAIN, Split.VAL])
    both = sorted(speakers & {key for s in heard for key in (s.speaker_id, s.name)})
    if both:
        raise SplitConflictError(
            f"{len(both)} of its speakers are in train or val",
            code="golden.heard",
            subject=both[0],
            hint="Models are judged on speakers that no training heard: leave these out",
        )


def what_is_missing(tx: Transaction) -> list[str]:
    """What stands between the records and a first golden set, as sentences; empty where nothing does."""
    if choose_clips(tx):
        return []
    if not tx.total(Speaker, split=Split.TEST):
        return [
            "no speaker is in the test split: pin one before their first recording, or bring in "
            "recordings of more people"
        ]
    if not tx.total(Clip, split=Split.TEST):
        return ["no recording of a test speaker was ingested yet"]
    return ["no clip of a test speaker has a text that a person or a sidecar gave: correct some by hand"]
