"""Training on command, jobs, status and events."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from phonoloop.app import training, views
from phonoloop.app.http.routes_live import followed, tail_start
from phonoloop.app.http.state import CurrentApp
from phonoloop.core.errors import NotFoundError

router = APIRouter(prefix="/v1")


class TrainRequest(BaseModel):
    """What to train; the settings' recipe where none is named."""

    model_config = ConfigDict(extra="forbid")

    recipe: str | None = None
    seed: int | None = None
    epochs: int | None = Field(None, ge=1)
    initial: str = Field("", description="the model to start from: an id, or `champion`")


@router.get("/status")
def status(app: CurrentApp) -> dict[str, Any]:
    return views.status_view(app)


@router.post("/train/now", status_code=202)
def train_now(app: CurrentApp, request: TrainRequest | None = None) -> dict[str, Any]:
    """Queues a training; the answer is its job."""
    wish = request or TrainRequest()
    return views.plain(training.submit_training(app, **wish.model_dump()))


@router.get("/jobs")
def jobs(app: CurrentApp, limit: int = Query(50, ge=1, le=1000)) -> list[dict[str, Any]]:
    return views.jobs_view(app, limit=limit)


@router.get("/jobs/{job_id}")
def job(app: CurrentApp, job_id: str) -> dict[str, Any]:
    return views.job_view(app, job_id)


@router.post("/jobs/{job_id}/cancel")
def cancel(app: CurrentApp, job_id: str) -> dict[str, Any]:
    return views.plain(training.cancel_job(app, job_id))


@router.get("/jobs/{job_id}/logs", response_class=PlainTextResponse)
def logs(
    app: CurrentApp,
    job_id: str,
    tail: int = Query(200, ge=1, le=100_000),
    follow: bool = Query(False, description="go on with what is written, until the job has ended"),
) -> Response:
    """The last lines that the job wrote. 404 where it has written none, unless they are followed."""
    views.job_view(app, job_id)
    path = app.job_log(job_id)
    if follow:
        lines = followed(app, job_id, path, tail_start(path, tail))
        return StreamingResponse(lines, media_type="text/plain; charset=utf-8")
    if not path.exists():
        raise NotFoundError("this job has not written a log yet", code="job.no_log", subject=job_id)
    text = path.read_text(encoding="utf-8", errors="replace")
    return PlainTextResponse("\n".join(text.splitlines()[-tail:]))


@router.get("/events")
def events(
    app: CurrentApp, after: int = Query(0, ge=0), limit: int = Query(100, ge=1, le=1000)
) -> list[dict[str, Any]]:
    """The log, oldest first, from behind an offset."""
    entries = app.bus.tail(after=after, limit=limit)
    return [{"offset": e.offset, "event": views.event_view(e.event)} for e in entries]


@router.get("/events/dead")
def dead_letters(app: CurrentApp) -> list[dict[str, Any]]:
    return [views.letter_view(letter) for letter in app.bus.dead()]


@router.post("/events/dead/{letter_id}/replay", status_code=202)
def replay(app: CurrentApp, letter_id: str) -> dict[str, str]:
    app.bus.replay(letter_id)
    return {"replayed": letter_id}
