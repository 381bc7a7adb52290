"""A full disk in the middle of a voice's build: said, nothing half made, and it goes on with room."""

from __future__ import annotations

import os
import subprocess

import pytest

from phonoloop.core.errors import ResourceError
from phonoloop.testing.sounds import write_media
from phonoloop.testing.voice_material import request, run, talk, tree

SMALL_BYTES = 1_500_000


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "phonoloop-test", str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder, left_bytes):
    """Leaves so much room."""
    with (folder / "ballast").open("wb") as file:
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
        file.write(bytes(max(0, free - left_bytes)))


@pytest.mark.parametrize("left_bytes", [20_000, 500_000, 1_000_000])
def test_it_is_said_and_goes_on_when_there_is_room(small_disk, tmp_path, left_bytes):
    (tmp_path / "in").mkdir()
    write_media(tmp_path / "in" / "a.wav", talk(3, 1))
    fill(small_disk, left_bytes)
    out = small_disk / "out"
    with pytest.raises(ResourceError) as caught:
        run(request(tmp_path / "in", out))
    assert caught.value.code == "resource.disk"
    assert caught.value.hint
    assert not list((out / "cache").glob(".partial/*"))
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    run(request(tmp_path / "in", out))
    run(request(tmp_path / "in", tmp_path / "calm"))
    assert tree(out) == tree(tmp_path / "calm")
