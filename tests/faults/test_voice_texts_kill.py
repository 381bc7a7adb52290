"""A transcription that is killed anywhere ends, taken up again, with the files of one that was not."""

import os

import pytest
from kills import killed_before

from phonoloop.testing.voice_texts import FakeEar, clip, source, tone
from phonoloop.voice.transcribe import Ears, Hearing, transcribe

CLIPS = [clip(f"c{number}", 3 * number, 3 * number + 2) for number in range(1, 4)]
SAID = ["xin chào | các bạn", 'hôm nay "trời đẹp', "chúng ta đi chơi"]


def run(folder):
    hearing = Hearing(
        read=lambda one: tone(int(one.clip_id[1:])),
        cache=folder / "cache",
        language="vi",
        ears=Ears(first=[FakeEar(SAID), FakeEar(SAID)]),
    )
    transcribe(CLIPS, {"s": source()}, hearing, out=folder / "out")


def files(folder):
    """All but what a kill left unfinished, which the voice's store removes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("[!.]*") if p.is_file()}


@pytest.mark.parametrize(
    ("name", "call"),
    [*(("fsync", n) for n in (0, 1, 4, 8, 11, 14, 16)), *(("replace", n) for n in (0, 3, 6))],
)
def test_killed_before_any_write_it_ends_the_same(tmp_path, name, call):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(whole)
    assert killed_before(call, [(os, name)], lambda: run(killed))
    run(killed)
    assert files(killed) == files(whole)
