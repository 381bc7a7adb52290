"""Voices: recordings in, a voice out, and what it says."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from phonoloop.app import voice_models, voice_workshops
from phonoloop.app.http.state import CurrentActor, CurrentApp
from phonoloop.app.http.uploads import kept
from phonoloop.app.overrides import refuse_paths
from phonoloop.app.views import plain
from phonoloop.app.voice_jobs import VoiceWish, submit_voice
from phonoloop.app.voice_review import ReviewWish, review_clip, review_view
from phonoloop.core.errors import InputError

router = APIRouter(prefix="/v1/voices")

#: no path: over HTTP only what ships can be named
RECIPE_NAME = r"^[\w-]{0,64}$"
#: of a recipe, what names files on the server
_PATHS = ("separate_model", "warm_start")
_LONGEST_TEXT = 5000


class NewVoice(BaseModel):
    """What is said of a voice once, for all its recordings."""

    model_config = ConfigDict(extra="forbid")

    name: str
    language: str
    speaker: str = ""
    licence: str = ""
    consent: dict[str, str] = Field(default_factory=dict, description="who, purpose and date (2026-11-20)")


class BuildVoice(BaseModel):
    """How far to build it; other settings repeat only what they change."""

    model_config = ConfigDict(extra="forbid")

    until: str = Field("train", description="segment, transcribe, dataset or train")
    recipe: str = Field("", pattern=RECIPE_NAME)
    config_overrides: dict[str, Any] = Field(
        default_factory=dict, description="values of the recipe, nested or dotted: `train.epochs`"
    )


class Reviewed(BaseModel):
    """What a person says of a clip."""

    model_config = ConfigDict(extra="forbid")

    action: str = Field(description="accept, correct, reject or undo")
    text: str = Field("", description="what is said in it, for `correct`")


class Say(BaseModel):
    """What an installed voice is to say."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=_LONGEST_TEXT)
    speaker: str = Field("", description="of a voice with several; else the first")
    speed: float = Field(1.0, gt=0)
    pitch: float = Field(1.0, gt=0)


@router.get("")
def list_voices(app: CurrentApp) -> dict[str, Any]:
    """Every voice that is installed, and every one that was begun, with how far it is."""
    return {
        "installed": voice_models.voices_view(app),
        "begun": voice_workshops.workshops_view(app),
    }


@router.post("", status_code=201)
def begin_voice(app: CurrentApp, new: NewVoice) -> dict[str, Any]:
    """Begins a voice: recordings come next."""
    return voice_workshops.begin(app, voice_workshops.About(**new.model_dump()))


@router.post("/segment")
def segment(
    app: CurrentApp,
    file: Annotated[UploadFile, File(description="any file with sound")],
    max_s: Annotated[float, Form(description="the longest segment, in seconds")] = 12.0,
    method: Annotated[str, Form(description="`rolling` or `global`")] = "rolling",
) -> dict[str, Any]:
    """Cuts a recording at its pauses and says where, in samples at 22,050 Hz; nothing is kept."""
    from phonoloop.app.voice_segments import segment_files
    from phonoloop.voice.segment import SegmentSettings

    settings = SegmentSettings(max_s=max_s, min_s=min(1.0, max_s / 2), method=method)
    with kept(app, file) as path:
        found = segment_files([path], settings)
    for _, error in found.refused:
        raise error
    return found.view()


@router.get("/{name}")
def show_voice(app: CurrentApp, name: str) -> dict[str, Any]:
    """A voice that was begun: what was said of it, its recordings, how far each stage is, the report."""
    return voice_workshops.workshop_view(app, name)


@router.post("/{name}/recordings", status_code=201)
def add_recording(
    app: CurrentApp,
    name: str,
    file: Annotated[UploadFile, File(description="any file with sound")],
    metadata: Annotated[str, Form(description="JSON: text, segments, speaker, licence, consent")] = "{}",
) -> dict[str, Any]:
    """Keeps a recording with what is said of it; one of the same name is replaced."""
    voice_workshops.folder_of(app, name)
    said = _metadata(metadata)
    with kept(app, file) as path:
        return voice_workshops.add_recording(app, name, path, called=file.filename or "", said=said)


def _metadata(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_metadata(f"it is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise _no_metadata("it is no JSON object")
    return found


def _no_metadata(message: str) -> InputError:
    return InputError(message, code="clip.metadata", subject="metadata", hint="Send a JSON object")


@router.post("/{name}/build", status_code=202)
def build(app: CurrentApp, name: str, wish: BuildVoice) -> dict[str, Any]:
    """Queues the build; the answer is its job. What is done already is not done again."""
    refuse_paths(wish.config_overrides, _PATHS, what="files", hint="Set it in a recipe on the server")
    job = submit_voice(
        app, VoiceWish(name=name, until=wish.until, recipe=wish.recipe, overrides=wish.config_overrides)
    )
    return plain(job)


@router.get("/{name}/segments")
def segments(app: CurrentApp, name: str) -> list[dict[str, Any]]:
    """Where each recording was cut, in samples at 22,050 Hz, and what else is heard in it."""
    return voice_workshops.segments_view(app, name)


@router.get("/{name}/clips/{clip_id}/audio", response_class=FileResponse)
def clip_audio(app: CurrentApp, name: str, clip_id: str) -> FileResponse:
    """A clip's audio: WAV, 22,050 Hz, mono, 16 bit."""
    path = voice_workshops.clip_file(app, name, clip_id)
    return FileResponse(path, media_type="audio/wav", filename=path.name)


@router.get("/{name}/review")
def review(app: CurrentApp, name: str, limit: int = Query(20, ge=1, le=1000)) -> dict[str, Any]:
    """The clips that are worth a look, those first that gain most."""
    return review_view(voice_workshops.work_dir(app, name), limit=limit)


@router.post("/{name}/review/{clip_id}")
def review_one(
    app: CurrentApp, actor: CurrentActor, name: str, clip_id: str, said: Reviewed
) -> dict[str, Any]:
    """Says what is right of a clip's text. The next build uses it without doing other clips again."""
    wish = ReviewWish(action=said.action, text=said.text, by=actor)
    return review_clip(voice_workshops.work_dir(app, name), clip_id, wish)


@router.get("/{name}/card")
def show_card(app: CurrentApp, name: str) -> dict[str, Any]:
    """An installed voice: its card, consents, licences, files and figures."""
    return voice_models.voice_view(app, name)


@router.post("/{name}/say", response_class=Response)
def say(app: CurrentApp, name: str, wish: Say) -> Response:
    """What an installed voice says: WAV, 16 bit, mono, at the voice's own rate."""
    from phonoloop.app.voice_speaking import say as spoken_by
    from phonoloop.audio.wav import wav_bytes

    # a path would do on the command line; here it is a name or an id
    speech = spoken_by(app, voice_workshops.check_name(name), wish.text, **wish.model_dump(exclude={"text"}))
    return Response(wav_bytes(speech.pcm, speech.rate_hz), media_type="audio/wav")
