"""A small world: recordings of a few voices, and a data folder with a first model trained on them."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

pytest.importorskip("espeakng_loader", reason="the synthesiser (extra `espeak`) is not installed")

VOICES = {
    "an": "vi+m1",
    "bich": "vi+f2",
    "cuong": "vi-vn-x-central+m3",
    "dung": "vi-vn-x-south+m7",
    "lan": "vi-vn-x-south+f4",
    "mai": "vi+f5",
    "nam": "vi-vn-x-central+m4",
}
PINS = dict.fromkeys(("an", "bich", "cuong"), "train") | {"dung": "val"}
PINS |= dict.fromkeys(("lan", "mai", "nam"), "test")
SENTENCES = (
    "bật đèn phòng khách",
    "tắt quạt trong phòng ngủ",
    "hôm nay là thứ mấy",
    "mở cửa sổ giúp tôi",
    "gọi điện cho mẹ",
    "bây giờ là mấy giờ rồi",
)


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out.strip().splitlines()[-1])


def phonoloop(*args, data=None, code=0, env=None):
    """Runs the command as a user would; fails unless it ends with `code`."""
    argv = [sys.executable, "-m", "phonoloop.app.cli.main", *map(str, args)]
    argv += ["--data", str(data)] if data else []
    environ = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error::ResourceWarning",
        **(env or {}),
    }
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == code, f"{argv}\n{done.stdout}\n{done.stderr}"
    return Ran(done.returncode, done.stdout, done.stderr)


def train_debug(data, *options):
    return phonoloop("train", "asr", "--recipe", "debug", *options, "--json", data=data).json["result"]


class Up:
    """A running `phonoloop up`."""

    def __init__(self, data, log, **env):
        argv = [
            sys.executable,
            "-m",
            "phonoloop.app.cli.main",
            "up",
            "--data",
            str(data),
            "--port",
            "0",
            "--json",
        ]
        environ = {**os.environ, "OMP_NUM_THREADS": "1", "INGEST_SETTLE_SEC": "0.2", **env}
        self.log = log
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                argv, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environ
            )
        line = self.process.stdout.readline()
        assert line, log.read_text()
        self.client = httpx.Client(base_url=json.loads(line)["url"], timeout=60)

    def stop(self, number=signal.SIGTERM):
        self.client.close()
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.process.stdout.close()
        return code


@pytest.fixture
def up(tmp_path):
    """Starts `phonoloop up` on a data folder; stopped at the end if the test has not done it."""
    running = []

    def start(data, **env):
        running.append(Up(data, tmp_path / f"up-{len(running)}.log", **env))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """A folder for each speaker: WAV files, each with its text beside it. Synthetic speech."""
    import soundfile

    from phonoloop.adapters.espeak import EspeakSynthesizer

    root = tmp_path_factory.mktemp("recordings")
    speak = EspeakSynthesizer()
    for name, voice in VOICES.items():
        (root / name).mkdir()
        for number, sentence in enumerate(SENTENCES):
            path = root / name / f"{name}-{number}.wav"
            soundfile.write(path, speak.synthesize(sentence, voice=voice), 16_000)
            path.with_suffix(".txt").write_text(sentence, encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def world(recordings, tmp_path_factory):
    """A data folder with all recordings and one trained model; do not change it, copy it."""
    data = tmp_path_factory.mktemp("world") / "data"
    for name, split in PINS.items():
        phonoloop("speakers", "pin", name, split, data=data)
    phonoloop("ingest", recordings, data=data)
    phonoloop("train", "asr", "--recipe", "debug", "--json", data=data)
    return data


@pytest.fixture
def own_world(world, tmp_path):
    """A copy of the world to work in."""
    import shutil

    data = tmp_path / "data"
    shutil.copytree(world, data)
    return data


def wait_for(condition, seconds=60.0):
    """Polls until it is true."""
    import time

    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return value


def files_in(folder: Path):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
