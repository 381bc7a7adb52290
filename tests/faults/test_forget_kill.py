"""Forgetting is killed with SIGKILL before each of its steps: done again, nothing of the speaker is left."""

from __future__ import annotations

from pathlib import Path

from kills import killed_before

from phonoloop.adapters.blobs_local import LocalBlobStore
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.adapters.sql_database import Database
from phonoloop.audio.vad import EnergyDetector
from phonoloop.data.forget import forget_speaker
from phonoloop.data.ingest import Hints, IngestContext, ingest_file
from phonoloop.data.model import AuditEntry, Clip, Recording, Speaker
from phonoloop.data.revisions import transcript_uri
from phonoloop.data.stores import Stores
from phonoloop.testing.intake import PlainDecoder, babble, write_sound

MOST_STEPS = 60


def opened(root: Path) -> Stores:
    return Stores(SqlRecords(f"sqlite:///{root / 'phonoloop.db'}"), LocalBlobStore(root))


def prepare(root: Path) -> None:
    stores = opened(root)
    context = IngestContext(stores.records, stores.blobs, PlainDecoder(), EnergyDetector())
    for seed, speaker in ((1, "An"), (2, "An"), (3, "Binh")):
        path = write_sound(root / "processed" / f"{seed}.wav", babble(seed))
        outcome = ingest_file(context, path, Hints(speaker=speaker))
        stores.blobs.put(transcript_uri(outcome.audio_id), b"{}\n")
    stores.records.close()


def forget(root: Path) -> None:
    stores = opened(root)
    forget_speaker(stores, "An", actor="test", mark_models=lambda tx, name: [], kept_in=[root / "processed"])
    stores.records.close()


def killed_at(root: Path, step: int) -> bool:
    """Forgets in a process that dies before that write or deletion; False where it came to its end."""
    places = ((LocalBlobStore, "delete"), (Path, "unlink"), (Database, "write"))
    return killed_before(step, places, lambda: forget(root))


def test_killed_before_any_step_and_done_again(tmp_path):
    for step in range(MOST_STEPS):
        root = tmp_path / str(step)
        root.mkdir()
        prepare(root)
        was_killed = killed_at(root, step)
        forget(root)
        check_only_binh_is_left(root)
        if not was_killed:
            assert step > 12  # it has at least as many steps as files to delete
            return
    raise AssertionError("it never came to its end")


def check_only_binh_is_left(root: Path) -> None:
    stores = opened(root)
    with stores.records.transaction() as tx:
        assert [recording.speaker_id for recording in tx.find(Recording)] == ["Binh"]
        assert {clip.speaker_id for clip in tx.find(Clip)} == {"Binh"}
        assert tx.get(Speaker, "An").attributes["forgotten"] is True
        assert len(tx.find(AuditEntry, action="speaker.forgotten")) == 1
        assert len(tx.find(AuditEntry, action="recording.forgotten")) == 2
    stores.records.close()
    files = [path for path in root.rglob("*") if path.is_file() and not path.name.startswith("phonoloop.db")]
    assert sorted(path.parts[len(root.parts)] for path in files) == [
        "audio",
        "audio",
        "processed",
        "transcripts",
    ]
