"""Audio in, text out: ingest, transcripts, transcribe."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from phonoloop.app import hearing, views
from phonoloop.app.decoding import DecodingWish, decoding
from phonoloop.app.http.state import CurrentApp
from phonoloop.app.http.uploads import kept
from phonoloop.app.intake import take_in_upload
from phonoloop.app.triggers import trained_hours
from phonoloop.data import transcripts
from phonoloop.data.ingest import REFUSED, Hints
from phonoloop.data.sidecar import parse_sidecar

router = APIRouter(prefix="/v1")

#: no path: over HTTP only what is in the data folder can be named
LM_NAME = r"^[\w-]{0,64}$"


class Correction(BaseModel):
    """A person's transcript."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=1_000_000)]
    text_clean: str | None = None
    author: str = "http"


@router.post("/ingest", status_code=201)
def ingest(
    app: CurrentApp,
    response: Response,
    file: Annotated[UploadFile, File(description="a recording, any container")],
    metadata: Annotated[str, Form(description="the sidecar object as JSON: text, speaker, …")] = "{}",
    speaker: Annotated[str, Form()] = "",
) -> dict[str, Any]:
    """Takes a recording in; 201 with its outcome, 200 for one that is there already, 422 with the reason."""
    name = PurePath(file.filename or "upload").name
    hints = Hints(name=name, speaker=speaker, sidecar=parse_sidecar(metadata, "metadata"))
    with kept(app, file) as path:
        outcome = take_in_upload(app, path, hints)
    response.status_code = 422 if outcome.status == REFUSED else 201 if outcome.status == "ingested" else 200
    return views.plain(outcome)


@router.post("/transcribe")
def transcribe(
    app: CurrentApp,
    file: Annotated[UploadFile, File()],
    beam: Annotated[int, Query(ge=0, le=512, description="width of a beam search")] = 0,
    lm: Annotated[str, Query(pattern=LM_NAME, description="`current`, or a language model's id")] = "",
    hotword: Annotated[list[str] | None, Query(description="WORD or WORD:WEIGHT to expect")] = None,
    nbest: Annotated[int, Query(ge=0, le=50, description="readings to tell in `alternatives`")] = 0,
    lexicon: Annotated[bool, Query(description="only words that the language model knows")] = False,
) -> dict[str, Any]:
    """What is said in a recording, by the model that serves; greedily unless a query asks for more.
    Nothing is kept."""
    wish = DecodingWish(beam=beam, lm=lm, hot_words=tuple(hotword or ()), nbest=nbest, lexicon=lexicon)
    recogniser = decoding(app, hearing.serving_recogniser(app), wish)
    with kept(app, file) as path:
        return views.plain(hearing.transcribe_file(app, recogniser, path))


@router.get("/transcripts/{audio_id}")
def transcript(app: CurrentApp, audio_id: str) -> dict[str, Any]:
    return views.plain(transcripts.get_transcript(app.records, audio_id))


@router.put("/transcripts/{audio_id}")
def correct(app: CurrentApp, audio_id: str, correction: Correction) -> dict[str, Any]:
    """A person's correction: kept as a new revision, and trained on from now on."""
    given = transcripts.CorrectionByPerson(
        text=correction.text, text_clean=correction.text_clean, author=correction.author
    )
    kept = transcripts.put_transcript(
        app.ingest,
        audio_id,
        given,
        app.curate_rules,
        trained_hours=trained_hours,
        corrector=app.corrector,
    )
    return views.plain(kept)
