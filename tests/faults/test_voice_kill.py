"""SIGKILL at any moment of a voice's build: taken up again, it ends as an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from kills import killed_before

from phonoloop.testing import voice_material
from phonoloop.voice.build import BuildResult
from phonoloop.voice.jobfile import job_files, read_job

#: what writes, removes and renames; a kill before any of these calls can leave something half done
STEPS = [(os, name) for name in ("fsync", "replace", "rename", "unlink", "link", "mkdir", "write")]
KILLS = [12, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Path:
    return voice_material.write_material(tmp_path_factory.mktemp("voice") / "talk")


@pytest.fixture(scope="module")
def undisturbed(material, tmp_path_factory) -> tuple[dict[str, str], float]:
    out = tmp_path_factory.mktemp("calm") / "out"
    began_s = time.monotonic()
    result = build(material, out)
    assert result.report["recordings"] == 3
    assert {one["code"] for one in result.report["refused_recordings"].values()} == {
        "voice.copy",
        "audio.not_audio",
        "audio.silent",
    }
    assert result.report["clips"] >= 8
    return voice_material.tree(out), time.monotonic() - began_s


def build(material: Path, out: Path) -> BuildResult:
    return voice_material.run(voice_material.request(material, out))


def killed_at(moment_s: float, material: Path, out: Path) -> bool:
    """A process of its own, killed after a while; whether there was still something to kill."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            threading.Timer(moment_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
            build(material, out)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def strike(chance: random.Random, duration_s: float, material: Path, out: Path) -> bool:
    """Half of them by the clock, half before a write."""
    if chance.random() < 0.5:
        return killed_at(chance.uniform(0.0, 0.5) * duration_s, material, out)
    # the recordings take more steps than what follows: small numbers hit those, large ones all
    step = round(chance.choice((10, 60, 200)) * chance.random())
    return killed_before(step, STEPS, lambda: build(material, out))


@pytest.mark.parametrize("kills", KILLS)
def test_killed_at_random_moments_it_ends_with_the_same_files(material, undisturbed, tmp_path, kills):
    expected, duration_s = undisturbed
    chance, struck, rounds = random.Random(20261121), 0, 0
    while struck < kills:
        out = tmp_path / f"out-{rounds}"
        rounds += 1
        while struck < kills and strike(chance, duration_s, material, out):
            struck += 1
        build(material, out)
        assert voice_material.tree(out) == expected
    print(f"{struck} kills over {rounds} builds")


def test_nothing_is_made_twice(material, undisturbed, tmp_path):
    out = tmp_path / "out"
    build(material, out)
    made = {path: path.stat().st_mtime_ns for path in voice_material.files(out)}
    build(material, out)
    again = {path: path.stat().st_mtime_ns for path in voice_material.files(out)}
    assert again.keys() == made.keys()
    # while it looks, the job file says how far it is
    assert {path.parent.name for path in made if again[path] != made[path]} <= {"checkpoints"}


def test_the_job_file_says_how_far_it_is(material, tmp_path):
    out = tmp_path / "out"
    build(material, out)
    (path,) = job_files(out)
    state = read_job(path)
    assert len(state.ingested) == len(state.separated) == 3
    assert set(state.refused.values()) == {"voice.copy", "audio.not_audio", "audio.silent"}
    assert state.segments_saved >= 8
    assert state.transcribed_count == len(list((out / "transcripts").iterdir()))
    assert state.manifest_created
