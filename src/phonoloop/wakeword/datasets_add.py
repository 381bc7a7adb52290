"""Taking clips into a dataset: inspected, compared with what is there, kept."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from phonoloop.audio.wav import wav_bytes
from phonoloop.core.clock import utc_now
from phonoloop.core.errors import ConflictError
from phonoloop.core.ids import sha256_hex
from phonoloop.core.ports import Transaction
from phonoloop.data.model import AuditEntry
from phonoloop.data.split import SpeakerClaim, enrol, forgotten_error, forgotten_key
from phonoloop.data.stores import in_transaction
from phonoloop.wakeword.datasets import DatasetContext
from phonoloop.wakeword.datasets_inspect import Inspected, check_speech, decode, inspect, label_flags
from phonoloop.wakeword.datasets_model import DatasetClip
from phonoloop.wakeword.datasets_said import SAID, About, checked
from phonoloop.wakeword.datasets_store import Edit, change
from phonoloop.wakeword.fingerprint import MOST_DIFFERENT, Fingerprints, from_text


@dataclass(frozen=True, slots=True)
class Added:
    """`created`: False where the same audio was there under this label already; that clip is `clip`."""

    clip: DatasetClip
    created: bool


def add_file(context: DatasetContext, dataset_id: str, path: Path, about: About, *, actor: str) -> Added:
    """Takes a file in.

    Raises:
        NotFoundError: `dataset.missing`. AudioError: what decoding, `inspect` and `check_speech` raise.
        InputError: `speaker.name`, `speaker.forgotten`, `clip.field`.
        ConflictError: `clip.other_label`, `clip.deleted`, for audio that is there already.
    """
    context.files(dataset_id).read()  # said before anything is decoded
    about = replace(about, name=about.name or path.name)
    found = inspect_file(context, path, about)
    with adding(context, dataset_id, actor=actor) as adder:
        return adder.take(found, about, sha256_hex(path.read_bytes()))


def inspect_file(context: DatasetContext, path: Path, about: About) -> Inspected:
    """Decodes and measures a file; needs no lock. Raises as `add_file`."""
    found = inspect(
        decode(path, context.decoder, name=about.name), context.detector, context.rules, name=about.name
    )
    check_speech(about.label, found.speech_s, context.rules, name=about.name)
    return found


@contextmanager
def adding(context: DatasetContext, dataset_id: str, *, actor: str) -> Iterator[Adder]:
    """Takes in any number of clips with one write at the end; nobody else writes meanwhile."""
    with context.files(dataset_id).editing() as edit:
        yield Adder(context, edit, actor)


class Adder:
    """Puts clips into a dataset that is being edited, and finds the copies among them."""

    def __init__(self, context: DatasetContext, edit: Edit, actor: str) -> None:
        self._context, self._edit, self._actor = context, edit, actor
        known = list(edit.dataset.clips.values())
        self._by_audio = {clip.audio_id: clip for clip in known}
        self._known = _Twins(known)
        self._fresh: list[DatasetClip] = []

    def take(self, found: Inspected, about: About, source_sha256: str) -> Added:
        """Raises as `add_file`, but for what decoding and inspecting raise."""
        same = self._by_audio.get(found.audio_id)
        if same is not None:
            return _same_audio(same, about)
        about = checked(replace(about, licence=about.licence or self._edit.dataset.licence))
        in_transaction(self._context.records, lambda tx: self._enrol(tx, found, about))
        clip = replace(_clip(found, about, self._actor), source_sha256=source_sha256)
        clip = replace(clip, twin_of=self._known.of(clip) or _Twins(self._fresh).of(clip))
        told = {"label": clip.label.value, "audio_id": clip.audio_id, "speaker": clip.speaker}
        made = change(self._actor, "clip.added", clip.clip_id, **told, twin_of=clip.twin_of)
        self._edit.add(clip, wav_bytes(found.decoded.pcm), made)
        self._by_audio[clip.audio_id] = clip
        self._fresh.append(clip)
        return Added(clip, created=True)

    def _enrol(self, tx: Transaction, found: Inspected, about: About) -> None:
        if tx.get(AuditEntry, forgotten_key(found.audio_id)) is not None:
            raise forgotten_error(about.name, "this audio")
        if about.speaker:
            enrol(tx, SpeakerClaim(about.speaker), self._context.split)


class _Twins:
    """Clips by how they sound."""

    def __init__(self, clips: Sequence[DatasetClip]) -> None:
        self._clips = clips
        self._prints = Fingerprints([from_text(clip.fingerprint) for clip in clips])

    def of(self, clip: DatasetClip) -> str:
        """The group of copies it belongs to; empty for none."""
        index, differing = self._prints.nearest(from_text(clip.fingerprint))
        return self._clips[index].twin if differing <= MOST_DIFFERENT else ""


def _same_audio(clip: DatasetClip, about: About) -> Added:
    if clip.deleted:
        raise ConflictError(
            f"the same audio was deleted from here as clip {clip.clip_id}",
            code="clip.deleted",
            subject=about.name,
            hint="Restore that clip instead",
        )
    if clip.label is not about.label:
        raise ConflictError(
            f"the same audio is here as clip {clip.clip_id}, labelled {clip.label}",
            code="clip.other_label",
            subject=about.name,
            hint=f"Change that clip's label where it is not {clip.label}",
        )
    return Added(clip, created=False)


def _clip(found: Inspected, about: About, actor: str) -> DatasetClip:
    return DatasetClip(
        clip_id=str(uuid.uuid4()),
        audio_id=found.audio_id,
        duration_s=round(found.decoded.duration_s, 4),
        speech_s=round(found.speech_s, 3),
        snr_db=round(found.quality.snr_db, 1),
        peak_dbfs=round(found.quality.peak_dbfs, 1),
        loudness_lufs=round(found.quality.loudness_lufs, 1),
        flags=label_flags(found.flags, about.label, found.speech_s),
        fingerprint=found.fingerprint,
        source_name=about.name,
        source_container=found.decoded.container,
        source_rate_hz=found.decoded.source_rate_hz,
        source_channels=found.decoded.channels,
        created_at=utc_now().isoformat(),
        created_by=actor,
        **{name: getattr(about, name) for name in SAID},
    )
