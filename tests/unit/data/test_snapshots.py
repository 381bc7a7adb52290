"""What is frozen stays: the same clips give the same bytes, manifests and shards."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from phonoloop.audio.wav import read_wav, to_int16
from phonoloop.core.errors import ConflictError, IntegrityError, NotFoundError
from phonoloop.data.curate import CurateRules, curate
from phonoloop.data.ingest import Hints, ingest_file
from phonoloop.data.manifest import read_manifest, resolve_audio
from phonoloop.data.model import Clip, ClipStatus, Provenance, Recording, Snapshot, Speaker, Split
from phonoloop.data.shards import export_snapshot, write_shards
from phonoloop.data.sidecar import Sidecar, TimedText
from phonoloop.data.snapshot import current_manifest, freeze, get_snapshot, snapshot_rows
from phonoloop.data.split import pin_speaker
from phonoloop.testing.intake import babble, write_sound


@pytest.fixture
def filled(context, tmp_path):
    """Three speakers, one a split, two clips each."""
    for seed, split in enumerate(Split):
        with context.records.transaction() as tx:
            pin_speaker(tx, f"speaker {split}", split)
        path = write_sound(tmp_path / f"{split}.wav", babble(seed, 2.5))
        segments = (TimedText(0, 1000, f"một {seed}"), TimedText(1250, 2500, "hai"))
        sidecar = Sidecar(segments=segments, dialect="nam", licence="CC0")
        outcome = ingest_file(context, path, Hints(speaker=f"speaker {split}", sidecar=sidecar))
        curate(context, outcome.audio_id, CurateRules(min_snr_db=-10))
    return context


def test_a_line_of_the_manifest(filled):
    snapshot = freeze(filled, {}).snapshot
    rows = snapshot_rows(filled, snapshot, Split.TRAIN)
    with filled.records.transaction() as tx:
        clip = tx.find(Clip, split=Split.TRAIN)[1]
    line = filled.blobs.get(current_manifest(Split.TRAIN)).decode().splitlines()[1]
    assert json.loads(line) == {
        "audio_filepath": f"audio/raw/{clip.audio_id}.wav",
        "text": "hai",
        "duration": 1.25,
        "speaker": "speaker train",
        "clip_id": clip.clip_id,
        "offset": 1.25,
        "snr_db": round(clip.snr_db, 2),
        "provenance": "sidecar",
        "confidence": 1.0,
        "dialect": "nam",
        "licence": "CC0",
    }
    assert [row.text for row in rows] == ["một 0", "hai"]


def test_hours_speakers_and_provenance_are_accounted(filled):
    snapshot = freeze(filled, {}).snapshot
    assert snapshot.clips == 6
    assert snapshot.hours == {split: pytest.approx(2.25 / 3600) for split in ("train", "val", "test")}
    assert snapshot.speakers == {"train": 1, "val": 1, "test": 1}
    assert snapshot.hours_by_provenance == {"sidecar": pytest.approx(6.75 / 3600)}


def test_freezing_twice_is_freezing_once_and_the_rules_are_part_of_the_name(filled):
    first = freeze(filled, {"min_snr_db": 5})
    assert freeze(filled, {"min_snr_db": 5}) == first
    assert freeze(filled, {"min_snr_db": 6}).snapshot.snapshot_id != first.snapshot.snapshot_id
    with filled.records.transaction() as tx:
        assert tx.total(Snapshot) == 2
    assert get_snapshot(filled.records, first.snapshot.snapshot_id) == first.snapshot


def test_a_snapshot_stays_when_clips_change(filled):
    frozen = freeze(filled, {}).snapshot
    before = filled.blobs.get(frozen.manifests["train"])
    with filled.records.transaction() as tx:
        name = tx.find(Recording, split=Split.TRAIN)[0].audio_id
    curate(filled, name, CurateRules(min_duration_s=9))
    after = freeze(filled, {})
    assert after.missing == (Split.TRAIN,)
    assert filled.blobs.get(current_manifest(Split.TRAIN)) == b""
    assert filled.blobs.get(frozen.manifests["train"]) == before


def test_what_is_missing_is_said(context):
    frozen = freeze(context, {})
    assert frozen.missing == tuple(Split)
    assert "there is nothing in val yet" in frozen.notes


def test_speakers_whom_nobody_named_are_noted(context, tmp_path):
    path = write_sound(tmp_path / "a.wav", babble(1))
    outcome = ingest_file(context, path, Hints(sidecar=Sidecar(text="xin chào")))
    curate(context, outcome.audio_id, CurateRules(min_snr_db=-10))
    assert any("nobody named" in note for note in freeze(context, {}).notes)


def test_an_unknown_snapshot(context):
    with pytest.raises(NotFoundError) as caught:
        get_snapshot(context.records, "none")
    assert caught.value.code == "snapshot.missing"


class Tampered:
    """Records that somebody wrote past the rules."""

    def __init__(self, records, change):
        self.records, self.change = records, change

    def transaction(self):
        outer = self

        class Session:
            def __enter__(self):
                self.inner = outer.records.transaction()
                tx = self.inner.__enter__()
                find = tx.find

                def tampered(kind, **criteria):
                    found = find(kind, **criteria)
                    return [outer.change(item) for item in found] if kind is Clip else found

                tx.find = tampered
                return tx

            def __exit__(self, *error):
                return self.inner.__exit__(*error)

        return Session()


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"speaker_id": "one"}, "snapshot.leak"), ({"provenance": Provenance.MACHINE}, "snapshot.machine_text")],
)
def test_a_snapshot_that_breaks_the_rules_is_not_made(filled, changes, code):

    tampered = replace(filled, records=Tampered(filled.records, lambda clip: replace(clip, **changes)))
    with pytest.raises(IntegrityError) as caught:
        freeze(tampered, {})
    assert caught.value.code == code
    assert list(filled.blobs.list("datasets/")) == []


def test_shards_hold_so_many_items_and_the_same_bytes_every_time(filled):
    snapshot = freeze(filled, {}).snapshot
    keys = write_shards(filled, snapshot, items=1)
    folder = f"datasets/shards/{snapshot.snapshot_id}"
    assert keys == [f"{folder}/{split}-{n:06d}.tar" for split in ("train", "val", "test") for n in (0, 1)]
    first = [filled.blobs.get(key) for key in keys]
    assert write_shards(filled, snapshot, items=1) == keys
    assert [filled.blobs.get(key) for key in keys] == first


def test_an_item_is_sound_text_and_line(filled, tmp_path):
    snapshot = freeze(filled, {}).snapshot
    (key, *_) = write_shards(filled, snapshot)
    row = snapshot_rows(filled, snapshot, Split.TRAIN)[0]
    with tarfile.open(fileobj=io.BytesIO(filled.blobs.get(key))) as tar:
        assert tar.getnames()[:3] == [f"{row.clip_id}.{ending}" for ending in ("json", "txt", "wav")]
        content = {name: tar.extractfile(name).read() for name in tar.getnames()[:3]}
        assert {(member.mtime, member.uid, member.uname) for member in tar} == {(0, 0, "")}
    assert content[f"{row.clip_id}.txt"].decode() == "một 0"
    assert json.loads(content[f"{row.clip_id}.json"])["duration"] == 1.0
    (tmp_path / "clip.wav").write_bytes(content[f"{row.clip_id}.wav"])
    np.testing.assert_array_equal(to_int16(read_wav(tmp_path / "clip.wav")), babble(0, 2.5)[:16000])


def test_an_export_is_a_folder_that_stands_alone(filled, tmp_path):
    manifests = export_snapshot(filled, freeze(filled, {}).snapshot, tmp_path / "out")
    rows = read_manifest(manifests[Split.TEST])
    assert [row.offset for row in rows] == [0.0, 0.0]
    last = read_wav(resolve_audio(rows[1], manifests[Split.TEST].parent))
    np.testing.assert_array_equal(to_int16(last), babble(2, 2.5)[20000:])


def test_an_export_overwrites_nothing(filled, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(ConflictError) as caught:
        export_snapshot(filled, freeze(filled, {}).snapshot, tmp_path / "out")
    assert caught.value.code == "export.not_empty"


def test_the_speakers_are_those_of_the_records(filled):
    rows = snapshot_rows(filled, freeze(filled, {}).snapshot, Split.VAL)
    with filled.records.transaction() as tx:
        speaker = tx.get(Speaker, rows[0].speaker)
        statuses = {clip.status for clip in tx.find(Clip)}
    assert speaker.split == Split.VAL
    assert statuses == {ClipStatus.ACCEPTED}
