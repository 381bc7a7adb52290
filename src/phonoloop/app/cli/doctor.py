"""`phonoloop doctor`: what works here and what does not."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from phonoloop.app.cli.common import App, common_options, emit
from phonoloop.core.errors import PhonoloopError

#: distribution → what it is for; those marked needed end the command with exit code 1
PACKAGES = {
    "av": ("decoding audio", True),
    "onnxruntime": ("recognising", True),
    "torch": ("training: pip install 'phonoloop[train]'", False),
    "espeakng-loader": ("the demo and synthesis: pip install 'phonoloop[espeak]'", False),
    "faster-whisper": ("a teacher: pip install 'phonoloop[teachers]'", False),
    "sherpa-onnx": ("a teacher: pip install 'phonoloop[teachers]'", False),
    "openwakeword": ("the speech embedding of wake words: pip install 'phonoloop[wakeword]'", False),
    "piper-tts": ("training voices: pip install 'phonoloop[piper]'", False),
    "sounddevice": ("the microphone: pip install 'phonoloop[wakeword]'", False),
}
LOW_DISK_GB = 5.0

Check = dict[str, str | bool]


@click.command()
@common_options
def doctor(app: App, as_json: bool) -> None:
    """Check this installation and the data folder."""
    checks = [_package(name) for name in PACKAGES]
    checks += [check(app) for check in (_records, _decoding, _disk, _champion, _datasets, _detector, _device)]
    emit(as_json, {"ok": all(c["ok"] for c in checks), "checks": checks}, lambda: map(_line, checks))
    raise SystemExit(0 if all(c["ok"] for c in checks) else 1)


def _line(check: Check) -> str:
    return f"{'ok     ' if check['ok'] else 'PROBLEM'}  {check['what']}: {check['says']}"


def _package(name: str) -> Check:
    purpose, needed = PACKAGES[name]
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return {"what": name, "ok": not needed, "says": f"not installed; it is for {purpose}"}
    return {"what": name, "ok": True, "says": version}


def _guarded(what: str, probe: Callable[[], str]) -> Check:
    try:
        return {"what": what, "ok": True, "says": probe()}
    except PhonoloopError as error:
        return {"what": what, "ok": False, "says": f"[{error.code}] {error}"}


def _records(app: App) -> Check:
    def probe() -> str:
        with app.records.transaction():
            return f"open at {app.settings.records_url or app.data_dir / 'records.sqlite'}"

    return _guarded("records", probe)


def _decoding(app: App) -> Check:
    """Really decodes a second of silence in the child process."""
    from phonoloop.audio.wav import wav_bytes

    def probe() -> str:
        import numpy as np

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "second.wav"
            path.write_bytes(wav_bytes(np.zeros(16_000, np.int16)))
            return f"{len(app.decoder.decode(path).pcm)} samples of a test file"

    return _guarded("decoding", probe)


def _disk(app: App) -> Check:
    free_gb = shutil.disk_usage(app.data_dir).free / 1e9
    says = f"{free_gb:.1f} GB free in {app.data_dir}"
    return {"what": "disk", "ok": free_gb >= LOW_DISK_GB, "says": says}


def _champion(app: App) -> Check:
    serving = app.champion.refresh()
    if app.champion.error:
        return {"what": "champion", "ok": False, "says": f"[{app.champion.error.code}] {app.champion.error}"}
    return {"what": "champion", "ok": True, "says": serving.model_id if serving else "none yet"}


def _datasets(app: App) -> Check:
    from phonoloop.app.wakeword_datasets import check_datasets

    return _guarded("datasets of wake words", lambda: check_datasets(app))


def _detector(app: App) -> Check:
    from phonoloop.app.wakeword_models import check_current

    return _guarded("wake-word detector", lambda: check_current(app))


def _device(app: App) -> Check:
    """Training's device. Asks the driver's files, so that torch need not be imported."""
    cards = list(_nvidia_cards())
    says = ", ".join(cards) if cards else f"CPU, {os.cpu_count()} cores"
    return {"what": "training on", "ok": True, "says": says}


def _nvidia_cards() -> Iterator[str]:
    for information in Path("/proc/driver/nvidia/gpus").glob("*/information"):
        for line in information.read_text().splitlines():
            if line.startswith("Model:"):
                yield line.removeprefix("Model:").strip()
