"""Real servers for tests, on loopback, in a temporary folder, gone at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phonoloop.core.errors import UnavailableError

_START_TIMEOUT_S = 60.0
#: these need not survive a power cut
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB")


def postgres_folder() -> Path | None:
    """Where `initdb` and `postgres` are: on the PATH, or where Debian puts them."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _user() -> str | None:
    """Somebody else to run as where we are root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


@contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL of our own; gives the URL of its database `postgres`.

    Raises:
        UnavailableError: `test.no_postgres`, where it is not installed; `test.server`, where it does
            not start.
    """
    binaries = postgres_folder()
    if binaries is None:
        raise UnavailableError(
            "initdb and postgres were not found", code="test.no_postgres", hint="Install postgresql"
        )
    folder = Path(tempfile.mkdtemp(prefix="phonoloop-postgres-"))
    try:
        if user := _user():
            shutil.chown(folder, user)
        _initialise(binaries, folder, user)
        with _running(binaries, folder, user) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(binaries: Path, folder: Path, user: str | None) -> None:
    command = [binaries / "initdb", "-D", folder / "data", "-U", "test", "-A", "trust", "-E", "UTF8", "-N"]
    done = subprocess.run(
        [*command, "--locale=C.UTF-8"], user=user, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UnavailableError(f"initdb failed: {done.stderr.strip()}", code="test.server")


@contextmanager
def _running(binaries: Path, folder: Path, user: str | None) -> Iterator[str]:
    port = free_port()
    command = [binaries / "postgres", "-D", folder / "data", "-h", "127.0.0.1", "-p", str(port), "-k", folder]
    options = [part for setting in _FAST for part in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, *options], user=user, cwd=folder, stdout=log, stderr=log)
    try:
        _wait_for(binaries, folder, port, process)
        yield f"postgresql://test@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(2)  # fast shutdown
        process.wait(30)


def _wait_for(binaries: Path, folder: Path, port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    ask = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ask, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            said = (folder / "log").read_text(errors="replace")[-2000:]
            raise UnavailableError(f"PostgreSQL did not start: {said}", code="test.server")
        time.sleep(0.05)
