"""Datasets of wake-word clips."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from phonoloop.app import wakeword_datasets as views
from phonoloop.app.http.state import CurrentActor, CurrentApp
from phonoloop.app.http.uploads import check_is_audio, kept
from phonoloop.app.overrides import refuse_paths
from phonoloop.app.views import plain
from phonoloop.app.wakeword_training import WakeWish, submit_wakeword
from phonoloop.core.errors import InputError
from phonoloop.wakeword import datasets
from phonoloop.wakeword.clips import Label
from phonoloop.wakeword.datasets_add import add_file
from phonoloop.wakeword.datasets_model import id_from_phrase
from phonoloop.wakeword.datasets_said import Wish, about_of

router = APIRouter(prefix="/v1")

#: no path: over HTTP only what ships can be named
RECIPE_NAME = r"^[\w-]{0,64}$"


class NewDataset(BaseModel):
    """What a dataset is for; its id is made of the phrase where none is given."""

    model_config = ConfigDict(extra="forbid")

    phrase: str
    dataset_id: str = ""
    language: str = ""
    licence: str = Field("", description="of clips that do not say their own")
    notes: str = ""


class ClipChange(BaseModel):
    """What is to become of a clip; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    label: Label | None = None
    speaker: str | None = None
    notes: str | None = None
    device: str | None = None
    environment: str | None = None
    licence: str | None = None
    distance_m: float | None = None


class TrainRequest(BaseModel):
    """What to train on a dataset; the settings' recipe where none is named."""

    model_config = ConfigDict(extra="forbid")

    dataset_id: str
    config_overrides: dict[str, Any] = Field(
        default_factory=dict, description="values of the recipe, nested or dotted: `optim.epochs`"
    )
    recipe: str = Field("", pattern=RECIPE_NAME)
    negative_datasets: list[str] = Field(
        default_factory=list, description="datasets of other phrases: all their clips are negatives"
    )
    initial: str = Field("", description="the detector to start from: an id, a run, or `current`")
    synthesise: bool = Field(True, description="without it recordings alone are learned from")


class Purge(BaseModel):
    """How long ago clips must have been deleted."""

    model_config = ConfigDict(extra="forbid")

    older_than_days: float


@router.get("/datasets")
def list_datasets(app: CurrentApp) -> list[dict[str, Any]]:
    """Every dataset of wake-word clips, with its metrics."""
    return views.datasets_view(app)


@router.post("/datasets", status_code=201)
def create_dataset(app: CurrentApp, actor: CurrentActor, new: NewDataset) -> dict[str, Any]:
    """Makes an empty dataset for a phrase."""
    given = new.model_dump()
    dataset_id = given.pop("dataset_id") or id_from_phrase(new.phrase)
    made = datasets.create(app.wake_datasets, dataset_id, datasets.NewDataset(**given), actor=actor)
    return views.dataset_view(app, made)


@router.get("/datasets/{dataset_id}")
def show_dataset(app: CurrentApp, dataset_id: str) -> dict[str, Any]:
    """One dataset: counts, minutes, SNR, speakers, flags, and what is missing for a training."""
    return views.dataset_view(app, datasets.get(app.wake_datasets, dataset_id))


@router.get("/datasets/{dataset_id}/clips")
def list_clips(
    app: CurrentApp,
    dataset_id: str,
    label: str = "",
    speaker: str = "",
    flag: str = "",
    shown: Annotated[str, Query(description="`active`, `deleted` or `all`")] = "active",
    text: Annotated[str, Query(description="in the notes or the file's name")] = "",
    sort: str = "created_at",
    descending: bool = False,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    """A page of clips, sorted and filtered, with how many there are in all."""
    query = views.ClipQuery(
        label=label,
        speaker=speaker,
        flag=flag,
        shown=shown,
        text=text,
        sort=sort,
        descending=descending,
        limit=limit,
        offset=offset,
    )
    return views.clips_view(app, dataset_id, query)


@router.get("/datasets/{dataset_id}/duplicates")
def duplicates(app: CurrentApp, dataset_id: str) -> list[dict[str, Any]]:
    """Groups of clips with nearly the same audio, whatever their file, codec or level."""
    return views.twins_view(app, dataset_id)


@router.post("/datasets/{dataset_id}/recordings", status_code=201)
def add_recording(
    app: CurrentApp,
    actor: CurrentActor,
    response: Response,
    dataset_id: str,
    file: Annotated[UploadFile, File(description="a clip: WAV, MP3, FLAC or OGG")],
    metadata: Annotated[str, Form(description="JSON: label, speaker, notes, device, …")] = "{}",
    label: Annotated[str, Form(description="positive, negative or noise")] = "",
    speaker: Annotated[str, Form()] = "",
    notes: Annotated[str, Form()] = "",
) -> dict[str, Any]:
    """Takes a clip in: 201; 200 for audio that is there already; 409 under another label; 415 and 422 with
    the reason. A false alarm comes back as a negative."""
    given = {"label": label, "speaker": speaker, "notes": notes}
    said = _metadata(metadata) | {name: value for name, value in given.items() if value}
    check_is_audio(file)
    about = replace(about_of(said, subject="metadata"), name=PurePath(file.filename or "upload").name)
    limit_mb = app.settings.wakeword_max_upload_mb
    with kept(app, file, limit_mb=limit_mb, setting="WAKEWORD_MAX_UPLOAD_MB") as path:
        added = add_file(app.wake_datasets, dataset_id, path, about, actor=actor)
    response.status_code = 201 if added.created else 200
    return _clip(app, added.clip.clip_id) | {"created": added.created}


def _metadata(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"it is not JSON ({error})", code="clip.metadata", subject="metadata", hint="Send a JSON object"
        ) from error
    if not isinstance(found, dict):
        raise InputError(
            "it is no JSON object", code="clip.metadata", subject="metadata", hint="Send a JSON object"
        )
    return found


def _clip(app: CurrentApp, clip_id: str) -> dict[str, Any]:
    dataset = datasets.get(app.wake_datasets, datasets.dataset_of(app.wake_datasets, clip_id))
    return views.clip_view(dataset, datasets.clip_in(dataset, clip_id))


@router.get("/recordings/{clip_id}")
def show_clip(app: CurrentApp, clip_id: str) -> dict[str, Any]:
    """One clip of a dataset: label, speaker, measurements, flags, where it came from."""
    return _clip(app, clip_id)


@router.get("/recordings/{clip_id}/audio", response_class=FileResponse)
def clip_audio(app: CurrentApp, clip_id: str) -> FileResponse:
    """Its audio: WAV, 16 kHz, mono, 16 bit."""
    path = datasets.clip_file(app.wake_datasets, clip_id)
    return FileResponse(path, media_type="audio/wav", filename=path.name)


@router.patch("/recordings/{clip_id}")
def change_clip(app: CurrentApp, actor: CurrentActor, clip_id: str, change: ClipChange) -> dict[str, Any]:
    """Labels a clip anew, or changes its speaker, notes and the like; who does it is its reviewer."""
    wish = Wish(**change.model_dump())
    datasets.change_clip(app.wake_datasets, clip_id, wish, actor=actor)
    return _clip(app, clip_id)


@router.delete("/recordings/{clip_id}")
def delete_clip(app: CurrentApp, actor: CurrentActor, clip_id: str) -> dict[str, Any]:
    """Soft: the clip counts no more, and can be restored until it is purged."""
    datasets.delete_clips(app.wake_datasets, [clip_id], actor=actor)
    return _clip(app, clip_id)


@router.post("/recordings/{clip_id}/restore")
def restore_clip(app: CurrentApp, actor: CurrentActor, clip_id: str) -> dict[str, Any]:
    """Takes a deletion back."""
    datasets.restore_clips(app.wake_datasets, [clip_id], actor=actor)
    return _clip(app, clip_id)


@router.post("/train", status_code=202)
def train(app: CurrentApp, request: TrainRequest) -> dict[str, Any]:
    """Queues the training of a detector on a dataset; the answer is its job. 400 below the gate, counting
    what is missing."""
    given = request.model_dump()
    overrides = given.pop("config_overrides")
    hint = "Set it in a recipe on the server, and name that with WAKEWORD_RECIPE"
    refuse_paths(overrides, ("backbone",), what="a backbone", hint=hint)
    others = tuple(given.pop("negative_datasets"))
    return plain(submit_wakeword(app, WakeWish(**given, negative_datasets=others, overrides=overrides)))


@router.post("/datasets/{dataset_id}/purge")
def purge(app: CurrentApp, actor: CurrentActor, dataset_id: str, wish: Purge) -> dict[str, Any]:
    """Removes clips for ever that were deleted at least so many days ago."""
    days = wish.older_than_days
    gone = datasets.purge(app.wake_datasets, dataset_id, older_than_days=days, actor=actor)
    return {"dataset_id": dataset_id, "purged": [clip.clip_id for clip in gone]}
