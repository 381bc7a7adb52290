"""What changes, as it changes: a WebSocket, and logs that are followed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import anyio
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect

from phonoloop.app.bootstrap import App
from phonoloop.app.live import Feed
from phonoloop.core.errors import UnavailableError
from phonoloop.jobs import queue

LOOK_S = 0.5
#: closing code for a page of another site, of the range that applications have for themselves
_OTHER_SITE = 4403
_CHUNK_BYTES = 1 << 16

router = APIRouter(prefix="/v1")


@router.websocket("/status")
async def live_status(socket: WebSocket, after: Annotated[int | None, Query(ge=0)] = None) -> None:
    """Changes of datasets and models, stages and progress of jobs, as they happen.

    Each message has a `cursor`; a watcher that comes back with `?after=CURSOR` misses no event.
    """
    if not _same_site(socket):
        await socket.close(code=_OTHER_SITE, reason="this page is of another site")
        return
    await socket.accept()
    app: App = socket.app.state.app
    feed = await run_sync(Feed, app, after)
    with suppress(WebSocketDisconnect):
        async with anyio.create_task_group() as group:
            group.start_soon(_tell, socket, feed)
            await _until_gone(socket)
            group.cancel_scope.cancel()


async def _tell(socket: WebSocket, feed: Feed) -> None:
    with suppress(WebSocketDisconnect):
        await socket.send_json(await run_sync(feed.hello))
        while True:
            with suppress(UnavailableError):  # records that are busy now are asked again
                for message in await run_sync(feed.look):
                    await socket.send_json(message)
            await anyio.sleep(LOOK_S)


async def _until_gone(socket: WebSocket) -> None:
    """Whatever the other side says is passed over."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


def _same_site(socket: WebSocket) -> bool:
    """A browser names the page's site; programs that are none do not."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host")


async def followed(app: App, job_id: str, path: Path, start: int) -> AsyncIterator[bytes]:
    """What is written to a job's log from byte `start` on, until the job has ended."""
    while True:
        ended = await run_sync(_has_ended, app, job_id)
        while part := await run_sync(_read, path, start):
            start += len(part)
            yield part
        if ended:
            return
        await anyio.sleep(LOOK_S)


def _has_ended(app: App, job_id: str) -> bool:
    with app.records.transaction() as tx:
        return queue.get(tx, job_id).state.ended


def _read(path: Path, start: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(_CHUNK_BYTES)


def tail_start(path: Path, lines: int) -> int:
    """The byte where the last so many lines begin; 0 where there is no file."""
    data = path.read_bytes() if path.exists() else b""
    return len(data) - sum(map(len, data.splitlines(keepends=True)[-lines:]))
