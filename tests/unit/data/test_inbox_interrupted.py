"""A look at the inbox that is killed half-way through moving a file: the next one ends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from phonoloop.data import inbox as inbox_module
from phonoloop.data.inbox import InboxFolders, InboxState, scan_inbox
from phonoloop.data.model import IntakeOutcome, Transcript
from phonoloop.testing.intake import aged, babble, write_sound


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def interrupted_look(context, folders: InboxFolders, monkeypatch, step: str, call: int) -> None:
    """A look that is killed before a step of moving (`_move`, `_copy`, …) is called for the n-th time."""
    real: Callable = getattr(inbox_module, step)
    calls = iter(range(1, 100))

    def dies(*args):
        if next(calls) == call:
            raise Killed
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(inbox_module, step, dies)
        with pytest.raises(Killed):
            scan_inbox(context, folders, InboxState())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def offer(path: Path, text: str, seed: int = 1) -> Path:
    write_sound(path, babble(seed))
    path.with_suffix(".txt").write_text(text)
    aged(path.with_suffix(".txt"))
    return path


@pytest.mark.parametrize("call", [1, 2])
def test_a_refused_file_and_its_text_end_together(context, folders, monkeypatch, call):
    path = offer(folders.inbox / "a.wav", "xin chào")
    path.write_bytes(b"not a sound")
    aged(path)
    interrupted_look(context, folders, monkeypatch, "_move", call)
    scan_inbox(context, folders, InboxState())
    assert names(folders.inbox) == []
    assert names(folders.rejected) == ["a.txt", "a.wav", "a.wav.reason.json"]
    with context.records.transaction() as tx:
        (outcome,) = tx.find(IntakeOutcome)
    assert outcome.kept_at == str(folders.rejected / "a.wav")


@pytest.mark.parametrize("call", [1, 2])
def test_a_file_that_was_taken_in_keeps_its_text(context, folders, monkeypatch, call):
    offer(folders.inbox / "a.wav", "xin chào")
    interrupted_look(context, folders, monkeypatch, "_move", call)
    scan_inbox(context, folders, InboxState())
    assert (names(folders.inbox), names(folders.processed)) == ([], ["a.txt", "a.wav"])
    with context.records.transaction() as tx:
        assert [transcript.text for transcript in tx.find(Transcript)] == ["xin chào"]


def test_a_text_that_two_files_share_is_not_doubled(context, folders, monkeypatch):
    offer(folders.inbox / "a.flac", "xin chào", seed=1)
    offer(folders.inbox / "a.wav", "xin chào", seed=2)
    interrupted_look(context, folders, monkeypatch, "_move", 1)  # its text is copied, itself not moved
    scan_inbox(context, folders, InboxState())
    assert (names(folders.inbox), names(folders.processed)) == ([], ["a.flac", "a.txt", "a.wav"])


def test_a_text_that_came_after_a_refusal_waits_for_its_audio(context, folders):
    path = offer(folders.inbox / "a.wav", "xin chào")
    path.write_bytes(b"not a sound")
    aged(path)
    scan_inbox(context, folders, InboxState())
    (folders.inbox / "a.txt").write_text("xin chào lần nữa")
    scan_inbox(context, folders, InboxState())
    assert names(folders.inbox) == ["a.txt"]
