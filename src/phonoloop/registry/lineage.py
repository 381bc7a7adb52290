"""Where a model comes from, and which models heard somebody.

A model that began with another's weights heard what that one heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from phonoloop.core import ids
from phonoloop.core.clock import utc_now
from phonoloop.core.errors import IntegrityError
from phonoloop.core.ports import BlobStore, Transaction
from phonoloop.data.manifest import ManifestRow, parse_manifest
from phonoloop.data.model import AuditEntry, Recording, Snapshot, Speaker, Split
from phonoloop.registry.model import Model, TrainingRun
from phonoloop.registry.promote import model_of

#: what a training learns from, and what its checkpoints are chosen by
HEARD = (Split.TRAIN, Split.VAL)
UNSTATED = "unstated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """One training on the way to a model: the model itself, then what each began with."""

    model: Model
    run: TrainingRun | None
    snapshot: Snapshot | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardClip:
    """A clip that a model, or a model it began with, was trained on or selected by.

    Attributes:
        clip_id: the file and the second in it where a manifest named none.
        forgotten: its recording is not there any more.
        licence: as the recording stated it, `unstated` where it did not.
    """

    clip_id: str
    audio_filepath: str
    model_id: str
    split: Split
    speaker_id: str
    duration_s: float
    provenance: str
    licence: str
    synthetic: bool
    forgotten: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Everything behind a model.

    Attributes:
        ancestors: the model first, then those whose weights it began with.
        speakers: id → name; the id again where the name is gone.
        gaps: what could not be found any more, as sentences.
    """

    ancestors: tuple[Ancestor, ...]
    clips: tuple[HeardClip, ...]
    speakers: Mapping[str, str]
    gaps: tuple[str, ...]

    @property
    def model(self) -> Model:
        return self.ancestors[0].model

    @property
    def licences(self) -> list[str]:
        return sorted({clip.licence for clip in self.clips})

    def hours_by(self, attribute: str, *splits: Split) -> dict[str, float]:
        """Hours by an attribute of the clips, in the order of its values; each clip counts once,
        however many trainings heard it. All splits unless some are named."""
        once = {c.clip_id: c for c in self.clips if not splits or c.split in splits}
        sums: dict[str, float] = {}
        for clip in once.values():
            key = str(getattr(clip, attribute))
            sums[key] = sums.get(key, 0.0) + clip.duration_s / 3600.0
        return dict(sorted(sums.items()))


def lineage_of(tx: Transaction, blobs: BlobStore, model_id: str) -> Lineage:
    """From a model to its snapshots, recipes, code, clips, speakers and licences.

    Raises:
        NotFoundError: `model.missing`; `blob.missing`, where a snapshot's manifest is gone.
        IntegrityError: `lineage.circle`, where models begin with each other.
    """
    ancestors = _ancestors(tx, model_id)
    clips = tuple(clip for ancestor in ancestors for clip in _clips(tx, blobs, ancestor))
    names = sorted({clip.speaker_id for clip in clips})
    return Lineage(
        ancestors=ancestors,
        clips=clips,
        speakers={name: _name(tx, name) for name in names},
        gaps=tuple(_gaps(ancestors, clips)),
    )


def _ancestors(tx: Transaction, model_id: str) -> tuple[Ancestor, ...]:
    model = model_of(tx, model_id)
    chain: list[Ancestor] = []
    while model is not None:
        if any(model.model_id == known.model.model_id for known in chain):
            raise IntegrityError(
                "its line of models comes back to itself", code="lineage.circle", subject=model_id
            )
        run = tx.get(TrainingRun, model.run_id)
        chain.append(Ancestor(model=model, run=run, snapshot=tx.get(Snapshot, model.snapshot_id)))
        model = tx.get(Model, run.initial_model_id) if run and run.initial_model_id else None
    return tuple(chain)


def _clips(tx: Transaction, blobs: BlobStore, ancestor: Ancestor) -> Iterable[HeardClip]:
    if ancestor.snapshot is None:
        return
    for split in HEARD:
        for row in _rows(blobs, ancestor.snapshot, split):
            yield _heard(row, tx.get(Recording, _audio_id(row)), ancestor, split)


def _rows(blobs: BlobStore, snapshot: Snapshot, split: Split) -> list[ManifestRow]:
    key = snapshot.manifests.get(split.value)
    return parse_manifest(blobs.get(key), name=key) if key else []


def _audio_id(row: ManifestRow) -> str:
    """Clips are named by their recording and their span in it."""
    return row.clip_id.split("-")[0]


def _heard(row: ManifestRow, recording: Recording | None, ancestor: Ancestor, split: Split) -> HeardClip:
    told = recording.attributes if recording else row.extras
    licence = (recording.licence if recording else "") or str(row.extras.get("licence", ""))
    return HeardClip(
        clip_id=row.clip_id or f"{row.audio_filepath}@{row.offset:g}s",
        audio_filepath=row.audio_filepath,
        model_id=ancestor.model.model_id,
        split=split,
        speaker_id=row.speaker,
        duration_s=row.duration,
        provenance=str(row.extras.get("provenance", UNSTATED)),
        licence=licence or UNSTATED,
        synthetic=bool(told.get("synthetic", False)),
        forgotten=bool(row.clip_id) and recording is None,
    )


def _name(tx: Transaction, speaker_id: str) -> str:
    speaker = tx.get(Speaker, speaker_id)
    return speaker.name if speaker else speaker_id


def _gaps(ancestors: Sequence[Ancestor], clips: Sequence[HeardClip]) -> Iterable[str]:
    for one in ancestors:
        name = one.model.model_id
        if one.run is None:
            yield f"the training run of {name} is not recorded here"
        if one.snapshot is None:
            yield f"the snapshot that {name} was trained on is not recorded here"
    last = ancestors[-1].run
    if last is not None and last.initial_model_id:
        yield f"it began with {last.initial_model_id}, which is not recorded here"
    forgotten = {clip.clip_id for clip in clips if clip.forgotten}
    if forgotten:
        yield f"{len(forgotten)} of the clips are not in the records any more"


def models_that_heard(tx: Transaction, blobs: BlobStore, speaker_id: str) -> dict[str, str]:
    """Model id → how it heard a speaker: `train`, `val` (its checkpoints were chosen by it), or
    `began with MODEL`. In the order of the models' creation; a warm start inherits."""
    splits = {s.snapshot_id: _split_of(blobs, s, speaker_id) for s in tx.find(Snapshot)}
    began_with = {run.run_id: run.initial_model_id for run in tx.find(TrainingRun)}
    heard: dict[str, str] = {}
    models = tx.find(Model, order_by="created_at")
    for _ in models:  # a child may have been recorded before its parent: until nothing is added
        before = len(heard)
        for model in models:
            how = splits.get(model.snapshot_id) or _inherited(began_with.get(model.run_id, ""), heard)
            if how:
                heard.setdefault(model.model_id, how)
        if len(heard) == before:
            break
    return {model.model_id: heard[model.model_id] for model in models if model.model_id in heard}


def _split_of(blobs: BlobStore, snapshot: Snapshot, speaker_id: str) -> str:
    """Where in a snapshot somebody is heard, empty where nowhere."""
    for split in HEARD:
        if any(row.speaker == speaker_id for row in _rows(blobs, snapshot, split)):
            return split.value
    return ""


def _inherited(parent: str, heard: Mapping[str, str]) -> str:
    return f"began with {parent}" if parent in heard else ""


def mark_models_of_speaker(
    tx: Transaction,
    blobs: BlobStore,
    speaker_id: str,
    *,
    actor: str,
    reason: str = "forgotten",
    now: datetime | None = None,
) -> list[Model]:
    """Marks every model that heard a speaker, and says who asked for it. Returns the marked models.

    The mark is `speaker/{speaker_id}` → {reason, heard, at}; marking again keeps the first.
    """
    now, marked = now or utc_now(), []
    for model_id, how in models_that_heard(tx, blobs, speaker_id).items():
        model = model_of(tx, model_id)
        mark = {"reason": reason, "heard": how, "at": now.isoformat()}
        marked.append(replace(model, marks={f"speaker/{speaker_id}": mark, **model.marks}))
    tx.put(*marked)
    tx.put(
        AuditEntry(
            audit_id=ids.content_id(["models.marked", speaker_id, reason, now.isoformat()]),
            actor=actor,
            action="models.marked",
            subject=speaker_id,
            detail={"reason": reason, "models": [model.model_id for model in marked]},
            created_at=now,
        )
    )
    return marked
