"""The error tree as HTTP: one status a class, one body for all."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from phonoloop.core.errors import (
    AudioError,
    ConflictError,
    InputError,
    NotFoundError,
    PhonoloopError,
    ResourceError,
    UnavailableError,
)

STATUS = (
    (AudioError, 422),
    (InputError, 400),
    (NotFoundError, 404),
    (ConflictError, 409),
    (ResourceError, 507),
    (UnavailableError, 503),
)


#: codes that HTTP has a status of its own for
STATUS_OF_CODE = {"upload.too_large": 413, "upload.media_type": 415}


def status_of(error: PhonoloopError) -> int:
    if error.code in STATUS_OF_CODE:
        return STATUS_OF_CODE[error.code]
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def install(api: FastAPI) -> None:
    """Answers every `PhonoloopError` with {"error": {code, message, subject, hint}}."""

    @api.exception_handler(PhonoloopError)
    def answer(request: Request, error: PhonoloopError) -> JSONResponse:
        body = {"code": error.code, "message": error.message, "subject": error.subject, "hint": error.hint}
        headers = {"Retry-After": "5"} if error.retryable else None
        return JSONResponse({"error": body}, status_code=status_of(error), headers=headers)
