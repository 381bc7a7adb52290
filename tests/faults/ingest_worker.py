"""The processes that `test_ingest_kill` kills, and what they are fed."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from phonoloop.app.bootstrap import open_app
from phonoloop.app.settings import Settings
from phonoloop.app.up import Services
from phonoloop.testing.sounds import noise, speech_like, write_media

SETTLE_S = 0.2
#: some in each split by the rule
SPEAKERS = ("an", "bich", "cuong", "dung", "lam", "loan", "mai", "nam", "phuong", "quy")
TEXTS = ("mở cửa sổ", "tắt đèn đi", "bật quạt lên", "gọi cho mẹ", "mấy giờ rồi")


def processes() -> Any:
    """Starts processes that have loaded the program already: most of a start is imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ingest_worker"])
    return context


def settings(data_dir: Path) -> Settings:
    return Settings(
        data_dir=data_dir,
        settle_s=SETTLE_S,
        scan_interval_s=0.1,
        max_clip_s=6.0,
        train_daily_cron="",
        asr_recipe="debug",
    )


def serve(data_dir: Path, stop: Any) -> None:
    """`phonoloop up` without HTTP, with a freeze now and then, until it is told to stop or killed."""
    with open_app(settings(data_dir)) as app, Services(app):
        while not stop.wait(0.05):
            app.freeze()


def write_recording(folder: Path, number: int, suffix: str = ".wav") -> Path:
    """A second of a speaker, with its text beside it."""
    speaker = SPEAKERS[number % len(SPEAKERS)]
    path = folder / speaker / f"{number:04d}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_media(path, _speech(1.0, number))
    path.with_suffix(".txt").write_text(TEXTS[number % len(TEXTS)], encoding="utf-8")
    return path


def write_long(folder: Path, number: int) -> Path:
    """Cut along its segments."""
    path = write_recording(folder, number)
    write_media(path, _speech(20.0, number))
    path.with_suffix(".txt").unlink()
    spans = [{"start_ms": s * 1000, "end_ms": s * 1000 + 2500, "text": TEXTS[0]} for s in range(0, 18, 3)]
    path.with_suffix(".json").write_text(str({"segments": spans}).replace("'", '"'), encoding="utf-8")
    return path


def write_copy(source: Path, target: Path) -> Path:
    """The same samples in another container."""
    samples, rate_hz = soundfile.read(source, dtype="int16")
    target.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(target, samples, rate_hz, format="FLAC")
    return target


def write_refused(folder: Path, number: int) -> list[Path]:
    """A file that is no audio, with a text; and one whose sidecar is no JSON."""
    noise_file = folder / f"{number:04d}-none.wav"
    folder.mkdir(parents=True, exist_ok=True)
    noise_file.write_text("not a sound" * number)
    noise_file.with_suffix(".txt").write_text("mở cửa")
    broken = write_recording(folder, number)
    broken.with_suffix(".json").write_text("{")
    return [noise_file, broken]


def _speech(duration_s: float, seed: int) -> np.ndarray:
    return speech_like(duration_s, seed=seed, pause_s=0.1).samples + noise(duration_s, level_dbfs=-60)


def write_material(folder: Path, batches: int, each: int) -> list[Path]:
    """A folder for each batch. A copy comes in a later batch than what it is a copy of, and behind it in the
    order of names."""
    made = [folder / f"{number:03d}" for number in range(batches)]
    for batch, where in enumerate(made):
        for number in range(batch * each, batch * each + each):
            write_recording(where, number, ".mp3" if number % 4 == 3 else ".wav")
    first = folder / "000" / SPEAKERS[0] / "0000.wav"
    write_copy(first, made[1] / SPEAKERS[0] / "0000z.flac")
    write_copy(first, made[2] / "zed" / "copy.flac")
    second = made[1] / SPEAKERS[(each + 1) % len(SPEAKERS)] / f"{each + 1:04d}.wav"
    beside = write_copy(second, made[-1] / second.parent.name / f"{second.stem}z.flac")
    beside.with_suffix(".json").write_text('{"dialect": "north"}')
    write_long(made[0], 9990)
    write_long(made[batches // 2], 9991)
    for batch in (0, batches // 2, batches - 1):
        write_refused(made[batch], 5000 + batch)
    return made


def drop(batch: Path, inbox: Path) -> None:
    """As somebody moves a folder in: what lies beside the audio comes first."""
    files = sorted(
        (p for p in batch.rglob("*") if p.is_file()), key=lambda p: p.suffix not in (".txt", ".json")
    )
    for path in files:
        target = inbox / path.relative_to(batch)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, inbox.parent / "arriving")
        (inbox.parent / "arriving").rename(target)
