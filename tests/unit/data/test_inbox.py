"""The watched folder: complete files go in and away, refused ones with a reason beside them."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from phonoloop.core.errors import ResourceError
from phonoloop.data import inbox as inbox_module
from phonoloop.data.inbox import InboxFolders, InboxState, ScanCounts, scan_inbox
from phonoloop.data.ingest import Hints, ingest_file
from phonoloop.data.model import IntakeOutcome, Recording, Transcript
from phonoloop.testing.intake import aged, babble, write_sound


@pytest.fixture
def state() -> InboxState:
    return InboxState()


def outcomes(context) -> dict[str, IntakeOutcome]:
    with context.records.transaction() as tx:
        return {outcome.name: outcome for outcome in tx.find(IntakeOutcome)}


def files_below(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


def test_a_file_is_taken_in_and_moved_with_its_sidecars(context, folders, state):
    path = write_sound(folders.inbox / "An" / "deep" / "a.wav", babble(1))
    aged(_write(path.with_suffix(".txt"), "xin chào"))
    aged(_write(path.with_name("a.wav.json"), "{}"))
    assert scan_inbox(context, folders, state) == ScanCounts(ingested=1)
    assert files_below(folders.inbox) == set()
    assert files_below(folders.processed) == {"An/deep/a.wav", "An/deep/a.txt", "An/deep/a.wav.json"}
    with context.records.transaction() as tx:
        (recording,) = tx.find(Recording)
        (transcript,) = tx.find(Transcript)
    assert (recording.speaker_id, recording.original_name) == ("An", "An/deep/a.wav")
    assert transcript.text == "xin chào"
    assert scan_inbox(context, folders, state) == ScanCounts()


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_an_inbox_that_is_not_there_yet_is_made(context, tmp_path, state):
    assert scan_inbox(context, InboxFolders.beside(tmp_path / "new" / "inbox"), state) == ScanCounts()
    assert (tmp_path / "new" / "inbox").is_dir()


def test_a_refused_file_lies_beside_its_reason(context, folders, state):
    aged(_write(folders.inbox / "bad.mp3", "hello"))
    assert scan_inbox(context, folders, state) == ScanCounts(refused=1)
    assert files_below(folders.rejected) == {"bad.mp3", "bad.mp3.reason.json"}
    reason = json.loads((folders.rejected / "bad.mp3.reason.json").read_text())
    assert (reason["name"], reason["code"]) == ("bad.mp3", "audio.not_audio")
    assert reason["message"]
    assert reason["hint"]
    assert outcomes(context)["bad.mp3"].kept_at == str(folders.rejected / "bad.mp3")


def test_what_is_not_audio_is_counted_and_left(context, folders, state):
    for name in ("notes.pdf", "orphan.txt", ".hidden.wav", "upload.wav.part"):
        aged(_write(folders.inbox / name, "hello"))
    assert scan_inbox(context, folders, state) == ScanCounts(skipped=3)  # audio may come to the text yet
    for _ in range(2):
        assert scan_inbox(context, replace(folders, settle_s=0.0), state) == ScanCounts(skipped=4)
    assert len(files_below(folders.inbox)) == 4
    assert {outcome.status for outcome in outcomes(context).values()} == {"skipped"}


def test_a_fresh_file_waits_until_it_has_settled(context, folders, state):
    path = write_sound(folders.inbox / "a.wav", babble(1), age_s=0)
    assert scan_inbox(context, folders, state) == ScanCounts(waiting=1)
    aged(path)
    assert scan_inbox(context, folders, state) == ScanCounts(waiting=1), "it changed since the last look"
    assert scan_inbox(context, folders, state) == ScanCounts(ingested=1)


def test_a_file_with_a_fresh_sidecar_waits_for_it(context, folders, state):
    path = write_sound(folders.inbox / "a.wav", babble(1))
    text = _write(path.with_suffix(".txt"), "xin")
    assert scan_inbox(context, folders, state) == ScanCounts(waiting=1)
    aged(text)
    assert scan_inbox(context, folders, state) == ScanCounts(ingested=1)


def test_a_file_from_the_future_is_looked_at_twice(context, folders, state):
    write_sound(folders.inbox / "a.wav", babble(1), age_s=-3600)
    assert scan_inbox(context, folders, state) == ScanCounts(waiting=1)
    assert scan_inbox(context, folders, state) == ScanCounts(ingested=1)


def test_a_name_that_is_taken_gets_a_number_and_so_does_the_text_beside_it(context, folders, state):
    for seed in (1, 2):
        path = write_sound(folders.inbox / "a.wav", babble(seed))
        aged(_write(path.with_suffix(".txt"), f"text {seed}"))
        assert scan_inbox(context, folders, state).ingested == 1
        state.seen.clear()
    assert files_below(folders.processed) == {"a.wav", "a.txt", "a.1.wav", "a.1.txt"}
    assert (folders.processed / "a.1.txt").read_text() == "text 2"


def test_two_audio_files_may_share_a_text(context, folders, state):
    write_sound(folders.inbox / "a.flac", babble(1))
    write_sound(folders.inbox / "a.wav", babble(2))
    aged(_write(folders.inbox / "a.txt", "xin chào"))
    assert scan_inbox(context, folders, state) == ScanCounts(ingested=2)
    with context.records.transaction() as tx:
        assert [transcript.text for transcript in tx.find(Transcript)] == ["xin chào"] * 2
    assert files_below(folders.inbox) == set()


def test_duplicates_are_moved_and_say_of_what(context, folders, state):
    write_sound(folders.inbox / "a.wav", babble(1))
    write_sound(folders.inbox / "b.flac", babble(1), container="other")
    assert scan_inbox(context, folders, state) == ScanCounts(ingested=1, duplicate=1)
    outcome = outcomes(context)["b.flac"]
    assert (outcome.code, outcome.kept_at) == ("duplicate.same_audio", str(folders.processed / "b.flac"))


def test_killed_between_recording_and_moving_it_is_moved_and_no_duplicate_of_the_users(
    context, folders, state
):
    path = write_sound(folders.inbox / "a.wav", babble(1))
    ingest_file(context, path, Hints(name="a.wav"))
    assert scan_inbox(context, folders, state) == ScanCounts(ingested=1)
    assert files_below(folders.processed) == {"a.wav"}
    assert [outcome.status for outcome in outcomes(context).values()] == ["ingested"]


def test_the_same_file_dropped_again_is_a_duplicate(context, folders, state):
    for expected in (ScanCounts(ingested=1), ScanCounts(duplicate=1)):
        write_sound(folders.inbox / "a.wav", babble(1))
        state.seen.clear()
        assert scan_inbox(context, folders, state) == expected


def test_links_are_never_followed(context, folders, state, tmp_path):
    outside = write_sound(tmp_path / "outside" / "a.wav", babble(1))
    (folders.inbox / "file.wav").symlink_to(outside)
    (folders.inbox / "folder").symlink_to(outside.parent)
    (folders.inbox / "loop").symlink_to(folders.inbox)
    (folders.inbox / "self.wav").symlink_to("self.wav")
    (folders.inbox / "gone.wav").symlink_to("nothing")
    assert scan_inbox(context, folders, state) == ScanCounts(skipped=5)
    assert outside.exists()


def test_pipes_are_left_alone(context, folders, state):
    os.mkfifo(folders.inbox / "pipe.wav")
    assert scan_inbox(context, folders, state) == ScanCounts(skipped=1)


def test_processed_and_rejected_may_lie_inside(context, tmp_path, state):
    root = tmp_path / "inbox"
    folders = InboxFolders(root, root / "processed", root / "rejected")
    write_sound(root / "a.wav", babble(1))
    assert scan_inbox(context, folders, state) == ScanCounts(ingested=1)
    assert scan_inbox(context, folders, state) == ScanCounts()


@pytest.mark.parametrize("name", ["two\nlines.wav", 'quote".wav', "dấu cách.wav", os.fsdecode(b"\xff.wav")])
def test_odd_names(context, folders, state, name):
    write_sound(folders.inbox / name, babble(1))
    assert scan_inbox(context, folders, state) == ScanCounts(ingested=1)
    assert [path.name for path in folders.processed.iterdir()] == [name]


def test_a_file_that_is_taken_back_is_counted(context, folders, state, monkeypatch):
    write_sound(folders.inbox / "a.wav", babble(1))
    write_sound(folders.inbox / "b.wav", babble(2))
    settled = inbox_module._is_settled

    def take_back(folders, state, item):
        answer = settled(folders, state, item)
        if item.path.name == "a.wav":
            item.path.unlink()
        return answer

    monkeypatch.setattr(inbox_module, "_is_settled", take_back)
    assert scan_inbox(context, folders, state) == ScanCounts(ingested=1, vanished=1)


class FullBlobs:
    """A disk that is full until `room` is made."""

    def __init__(self, blobs, room=False):
        self.blobs, self.room = blobs, room

    def put(self, key, source):
        if not self.room:
            raise ResourceError("the disk is full", code="disk.full", subject=key)
        return self.blobs.put(key, source)

    def stat(self, key):
        return self.blobs.stat(key)


def test_a_full_disk_leaves_the_files_for_later(context, folders, state):
    for seed in (1, 2):
        write_sound(folders.inbox / f"{seed}.wav", babble(seed))
    blobs = FullBlobs(context.blobs)
    counts = scan_inbox(replace(context, blobs=blobs), folders, state)
    assert (counts.later, [error.code for error in counts.errors]) == (2, ["disk.full"] * 2)
    assert len(files_below(folders.inbox)) == 2
    blobs.room = True
    assert scan_inbox(replace(context, blobs=blobs), folders, state) == ScanCounts(ingested=2)


def test_a_file_that_cannot_be_moved_is_taken_in_once_and_moved_later(context, folders, state, monkeypatch):
    path = write_sound(folders.inbox / "a.wav", babble(1))

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(inbox_module, "_move", full)
        counts = scan_inbox(context, folders, state)
    assert (counts.later, counts.errors[0].code, path.exists()) == (1, "disk.full", True)
    assert scan_inbox(context, folders, state) == ScanCounts(ingested=1)
    assert [outcome.status for outcome in outcomes(context).values()] == ["ingested"]


def test_moving_to_another_disk_copies_whole_files(context, folders, state, monkeypatch):
    path = write_sound(folders.inbox / "a.wav", babble(1))
    content = path.read_bytes()

    def other_disk(self, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "rename", other_disk)
    assert scan_inbox(context, folders, state) == ScanCounts(ingested=1)
    assert (folders.processed / "a.wav").read_bytes() == content
    assert not path.exists()


def test_a_bug_met_with_one_file_is_told_after_the_others_had_their_turn(context, folders, state):
    for seed in (1, 2):
        write_sound(folders.inbox / f"{seed}.wav", babble(seed))

    class Broken:
        def decode(self, path, rate_hz=16000):
            if path.name == "1.wav":
                raise RuntimeError("a bug")
            return context.decoder.decode(path)

    with pytest.raises(ExceptionGroup) as caught:
        scan_inbox(replace(context, decoder=Broken()), folders, state)
    assert [str(error) for error in caught.value.exceptions] == ["a bug"]
    assert files_below(folders.inbox) == {"1.wav"}
