"""The HTTP server of `phonoloop up`, with the services behind it."""

from __future__ import annotations

import json
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
import uvicorn

from phonoloop.app.bootstrap import App
from phonoloop.app.http.server import create_api
from phonoloop.app.up import Services
from phonoloop.core.errors import UnavailableError

BACKLOG = 2048


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(level: int, *, as_json: bool) -> None:
    """To standard error, for a person or for a program."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("watchfiles", "uvicorn.access", "multipart"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def serve(app: App, *, as_json: bool) -> None:
    """Serves until SIGINT or SIGTERM, then finishes what is in hand.

    Raises:
        UnavailableError: `http.port_taken`.
    """
    listener = _listen(app.settings.host, app.settings.port)
    app.inbox.mkdir(parents=True, exist_ok=True)
    _announce(app, listener.getsockname(), as_json=as_json)
    config = uvicorn.Config(create_api(app), log_config=None, timeout_graceful_shutdown=30)
    server = _Server(config)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.handle_exit)
    with Services(app):
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """One that does not raise the signal again when it has ended: the services have to end in peace too."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # from now on callers wait rather than being refused
    except OSError as error:
        listener.close()
        raise UnavailableError(
            f"the address cannot be listened on ({error.strerror})",
            code="http.port_taken",
            subject=f"{host}:{port}",
            hint="Another program has it: choose one with --port",
        ) from error
    return listener


def _announce(app: App, address: tuple, *, as_json: bool) -> None:
    url = f"http://{address[0]}:{address[1]}"
    if as_json:
        click.echo(json.dumps({"url": url, "data": str(app.data_dir), "inbox": str(app.inbox)}))
        return
    click.echo(f"Phonoloop is up at {url}. Drop recordings into {app.inbox}. Ctrl-C stops it.")
