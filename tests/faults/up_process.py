"""A real `phonoloop up` and the other commands, as a user runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

COMMAND = (sys.executable, "-m", "phonoloop.app.cli.main")
QUICK = {"INGEST_SETTLE_SEC": "0.2", "INGEST_SCAN_INTERVAL_SEC": "0.2", "OMP_NUM_THREADS": "1"}


class Up:
    """Started at once; `stop` it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.log = data.parent / "up.log"
        argv = [*COMMAND, "up", "--data", str(data), "--port", "0", "--json"]
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                argv, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | QUICK
            )
        line = self._process.stdout.readline()
        assert line, self.log.read_text()
        self._url = json.loads(line)["url"]

    def get(self, path: str) -> Any:
        with urlopen(self._url + path, timeout=30) as answer:
            return json.load(answer)

    def messages(self) -> list[str]:
        whole_lines = self.log.read_text().rpartition("\n")[0].splitlines()
        return [json.loads(line)["message"] for line in whole_lines]

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(60)
        finally:
            self._process.kill()
            self._process.stdout.close()


def run(*args: object, data: Path) -> tuple[int, Any]:
    """A command with `--json`: its exit code, and what it printed."""
    argv = [*COMMAND, *map(str, args), "--data", str(data), "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, env=os.environ | QUICK, check=False)
    assert done.stdout.strip(), done.stderr
    return done.returncode, json.loads(done.stdout.strip().splitlines()[-1])


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> Any:
    deadline_s = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.05)
    return value
