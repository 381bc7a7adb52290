"""Forgetting a speaker: what goes, what stays, and what is refused from then on."""

from __future__ import annotations

import pytest

from phonoloop.core.errors import InputError, NotFoundError
from phonoloop.data.correct import correct_transcript
from phonoloop.data.curate import CurateRules, curate
from phonoloop.data.forget import forget_speaker
from phonoloop.data.inbox import InboxState, scan_inbox
from phonoloop.data.ingest import INGESTED, REFUSED, Hints, ingest_file
from phonoloop.data.model import (
    AuditEntry,
    Clip,
    IntakeOutcome,
    Recording,
    Speaker,
    Split,
    Transcript,
    TranscriptRevision,
)
from phonoloop.data.sidecar import Sidecar
from phonoloop.data.snapshot import freeze
from phonoloop.data.split import pin_speaker
from phonoloop.data.transcribe import transcribe_recording
from phonoloop.data.transcripts import CorrectionByPerson, put_transcript
from phonoloop.testing.intake import aged, babble, write_sound


def take(context, tmp_path, seed, speaker, text="xin chào các bạn"):
    path = write_sound(tmp_path / f"{seed}.wav", babble(seed, 2.0))
    outcome = ingest_file(context, path, Hints(speaker=speaker, sidecar=Sidecar(text=text, dialect="north")))
    assert outcome.status == INGESTED
    transcribe_recording(context, outcome.audio_id, None)
    correct_transcript(context, outcome.audio_id)
    curate(context, outcome.audio_id, CurateRules())
    return outcome.audio_id


def forget(context, name="An", **options):
    return forget_speaker(context, name, actor="mai", mark_models=lambda tx, speaker: ["model-1"], **options)


def everything_of(context, kind, **criteria):
    with context.records.transaction() as tx:
        return tx.find(kind, **criteria)


@pytest.fixture
def two_speakers(context, tmp_path):
    """An has two recordings, one corrected by a person; Binh has one."""
    names = [take(context, tmp_path, 1, "An"), take(context, tmp_path, 2, "An")]
    put_transcript(context, names[0], CorrectionByPerson("chào các bạn", author="mai"), CurateRules())
    return names, take(context, tmp_path, 3, "Binh")


def test_the_audio_and_the_texts_of_the_speaker_go_and_nobody_elses(context, two_speakers):
    _, other = two_speakers
    done = forget(context)
    assert (done.recordings, done.models) == (2, ("model-1",))
    assert {blob.key.split("/")[-1].split(".")[0] for blob in context.blobs.list("audio/raw/")} == {other}
    assert len(list(context.blobs.list("audio/original/"))) == 1
    assert [blob.key for blob in context.blobs.list("transcripts/")] == [f"transcripts/{other}.json"]
    for kind in (Recording, Clip, Transcript, IntakeOutcome):
        assert {one.audio_id for one in everything_of(context, kind)} == {other}, kind
    assert everything_of(context, TranscriptRevision) == []


def test_the_name_stays_as_forgotten_with_nothing_personal(context, two_speakers):
    with context.records.transaction() as tx:
        before = tx.get(Speaker, "An")
    forget(context)
    (after,) = everything_of(context, Speaker, speaker_id="An")
    assert after.split == before.split
    assert dict(after.attributes) == {"forgotten": True, "models": ["model-1"]}


def test_it_is_written_down_who_did_it(context, two_speakers):
    forget(context)
    (entry,) = everything_of(context, AuditEntry, action="speaker.forgotten")
    assert (entry.actor, entry.subject, entry.detail["recordings"]) == ("mai", "An", 2)
    assert len(everything_of(context, AuditEntry, action="recording.forgotten")) == 2


@pytest.mark.parametrize("speaker", ["An", "Somebody else"])
def test_the_same_audio_is_refused_under_any_name_and_not_kept(context, two_speakers, tmp_path, speaker):
    forget(context)
    kept = {blob.key for blob in context.blobs.list("")}
    outcome = ingest_file(context, tmp_path / "1.wav", Hints(speaker=speaker))
    assert (outcome.status, outcome.code) == (REFUSED, "speaker.forgotten")
    assert {blob.key for blob in context.blobs.list("")} == kept


def test_new_audio_of_the_same_person_is_refused_and_not_kept(context, two_speakers, tmp_path):
    forget(context)
    kept = {blob.key for blob in context.blobs.list("")}
    path = write_sound(tmp_path / "9.wav", babble(9, 2.0))
    assert ingest_file(context, path, Hints(speaker="An")).code == "speaker.forgotten"
    assert {blob.key for blob in context.blobs.list("")} == kept


def test_the_person_cannot_be_pinned_to_another_split(context, two_speakers):
    forget(context)
    with context.records.transaction() as tx, pytest.raises(InputError) as refused:
        pin_speaker(tx, "An", Split.TEST)
    assert refused.value.code == "speaker.forgotten"


def test_a_later_snapshot_is_without_them_and_an_earlier_one_stays(context, two_speakers):
    before = freeze(context, {}).snapshot
    forget(context)
    after = freeze(context, {}).snapshot
    assert (before.clips, after.clips) == (3, 1)
    assert all(context.blobs.stat(key) for key in before.manifests.values())


def test_files_that_were_taken_in_from_the_inbox_go_with_what_lies_beside_them(context, folders):
    for name, seed in (("An", 1), ("Binh", 2)):
        path = write_sound(folders.inbox / name / "a.wav", babble(seed, 2.0))
        text = path.with_suffix(".txt")
        text.write_text("xin chào")
        aged(text)
    again = write_sound(folders.inbox / "An" / "again.wav", babble(1, 2.0), container="other")
    state = InboxState()
    scan_inbox(context, folders, state)
    scan_inbox(context, folders, state)
    assert not again.exists()
    done = forget(context, kept_in=[folders.processed, folders.rejected])
    left = sorted(path.relative_to(folders.processed).as_posix() for path in folders.processed.rglob("*.*"))
    assert left == ["Binh/a.txt", "Binh/a.wav"]
    assert done.files == 3


def test_a_persons_own_file_is_left_alone(context, two_speakers, tmp_path):
    forget(context, kept_in=[tmp_path / "processed"])
    assert (tmp_path / "1.wav").is_file()


def test_again_changes_nothing(context, two_speakers):
    forget(context)
    entries = everything_of(context, AuditEntry)
    done = forget(context)
    assert (done.recordings, done.models) == (0, ("model-1",))
    assert everything_of(context, AuditEntry) == entries


def test_nobody_of_that_name(context):
    with pytest.raises(NotFoundError) as refused:
        forget(context, "Nobody")
    assert refused.value.code == "speaker.missing"
