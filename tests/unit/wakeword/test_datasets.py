"""Datasets of clips: taken in with their reasons, labelled, deleted, restored, purged, forgotten."""

import json
import uuid
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from dataset_world import add, make, opened, raw_file, sound_file

from phonoloop.audio.vad import SileroDetector
from phonoloop.audio.wav import read_wav
from phonoloop.core.clock import utc_now
from phonoloop.core.errors import AudioError, ConflictError, InputError, IntegrityError, NotFoundError
from phonoloop.data.model import AuditEntry, Speaker
from phonoloop.testing.sounds import noise, utterance
from phonoloop.wakeword import datasets, datasets_metrics
from phonoloop.wakeword.clips import read_clips
from phonoloop.wakeword.datasets_add import add_file, adding, inspect_file
from phonoloop.wakeword.datasets_model import id_from_phrase
from phonoloop.wakeword.datasets_said import About, Label, Wish


@pytest.fixture
def context(tmp_path):
    found = opened(tmp_path / "data")
    yield found
    found.records.close()


@pytest.fixture
def hearing_context(context):
    """With the detector that tells speech from noise, as the product has it."""
    return replace(context, detector=SileroDetector())


@pytest.fixture
def filled(context, tmp_path):
    """Three positives of two speakers and a negative."""
    make(context)
    for seed, speaker in ((1, "An"), (2, "An"), (3, "Binh")):
        add(context, tmp_path, seed, speaker=speaker)
    add(context, tmp_path, 4, "negative", speaker="Binh")
    return context


def ids_of(context, label=None):
    return [clip.clip_id for clip in datasets.get(context, "computer").active(label and Label(label))]


def metrics(context):
    return json.loads((context.root / "datasets" / "computer" / "metrics.json").read_bytes())


# ---------------------------------------------------------------- datasets


def test_a_dataset_is_a_folder_of_clips_labels_and_metrics(filled):
    folder = filled.root / "datasets" / "computer"
    labels = json.loads((folder / "labels.json").read_bytes())
    assert sorted(labels["clips"]) == sorted(path.stem for path in (folder / "clips").iterdir())
    assert all(str(uuid.UUID(name)) == name for name in labels["clips"])
    assert {clip["label"] for clip in labels["clips"].values()} == {"positive", "negative"}
    assert {path.name for path in folder.iterdir()} == {"clips", "labels.json", "metrics.json", ".lock"}
    assert (labels["phrase"], labels["language"], labels["created_by"]) == ("computer", "en", "an")


def test_a_clip_is_kept_at_16_khz_with_the_checksum_of_what_came(context, tmp_path):
    make(context)
    clip = add(context, tmp_path, 1, notes="near the window", distance_m=2.5).clip
    samples = read_wav(datasets.clip_file(context, clip.clip_id))
    assert np.array_equal(samples, read_wav_of(utterance(1)))
    assert clip.source_name == "1.wav"
    assert len(clip.source_sha256) == 64
    assert clip.speech_s == pytest.approx(1.0, abs=0.2)
    assert (clip.notes, clip.distance_m, clip.created_by) == ("near the window", 2.5, "an")


def read_wav_of(samples):
    return np.rint(samples * 32768).clip(-32768, 32767) / np.float32(32768)


@pytest.mark.parametrize(
    "name", ["manifests", "snapshots", "shards", "", "-x", "Upper", "a/b", "..", "x" * 65]
)
def test_names_that_are_taken_or_no_names_are_refused(context, name):
    with pytest.raises(InputError) as refused:
        make(context, name)
    assert refused.value.code == "dataset.id"


@pytest.mark.parametrize(("phrase", "expected"), [("Hey Tars!", "hey-tars"), ("cà phê đá", "ca-phe-da")])
def test_an_id_can_be_made_of_the_phrase(phrase, expected):
    assert id_from_phrase(phrase) == expected


def test_a_dataset_is_made_once(context):
    make(context)
    with pytest.raises(ConflictError) as refused:
        make(context)
    assert refused.value.code == "dataset.exists"
    with pytest.raises(NotFoundError):
        datasets.get(context, "jarvis")


def test_what_others_keep_beside_the_datasets_is_none(filled):
    filled.blobs.put("datasets/manifests/train.jsonl", b"")
    filled.blobs.put("datasets/half-made/clips/x.wav", b"")
    assert [one.dataset_id for one in datasets.all_datasets(filled)] == ["computer"]


def test_a_list_that_was_spoilt_by_hand_is_named(filled):
    filled.blobs.put("datasets/computer/labels.json", b'{"format": 1, "clips": []}')
    with pytest.raises(IntegrityError) as refused:
        datasets.get(filled, "computer")
    assert refused.value.code == "dataset.damaged"


# ---------------------------------------------------------------- what is refused


def refusal(context, path, label="positive"):
    with pytest.raises(AudioError) as refused:
        add_file(context, "computer", path, About(label=Label(label)), actor="an")
    assert refused.value.hint
    assert refused.value.subject == path.name
    return refused.value.code


def test_bad_clips_are_refused_with_a_reason(hearing_context, tmp_path):
    context = hearing_context
    make(context)
    offered = tmp_path / "offered"
    quiet = noise(2.0, level_dbfs=-50)
    assert refusal(context, sound_file(offered, 1, 0.3)) == "clip.short_speech"
    assert refusal(context, sound_file(offered, 2, 3.5)) == "clip.long_speech"
    assert refusal(context, raw_file(offered, np.zeros(16_000))) == "clip.silent"
    assert refusal(context, raw_file(offered, quiet)) == "clip.no_speech"
    assert refusal(context, raw_file(offered, np.tile(quiet, 20))) == "clip.too_long"
    assert (
        refusal(context, sound_file(offered, 3, name="x.mkv", container="matroska,webm")) == "clip.container"
    )
    (offered / "text.wav").write_text("no sound")
    assert refusal(context, offered / "text.wav") == "audio.not_audio"
    assert ids_of(context) == []


def test_speech_is_measured_and_not_the_length_of_the_file(context, tmp_path):
    make(context)
    padded = np.concatenate([np.zeros(40_000), utterance(1, 0.8), np.zeros(100_000)])
    path = raw_file(tmp_path / "offered", padded)
    clip = add_file(context, "computer", path, About(label=Label.POSITIVE), actor="an").clip
    assert clip.duration_s > 10
    assert clip.speech_s == pytest.approx(0.8, abs=0.2)
    assert "mostly_zeros" in clip.flags


def test_negatives_and_noise_need_no_speech_and_may_have_more_of_it(context, tmp_path):
    make(context)
    hiss = raw_file(tmp_path / "offered", noise(2.0, level_dbfs=-40), "hiss.wav")
    assert add_file(context, "computer", hiss, About(label=Label.NOISE), actor="an").created
    long = sound_file(tmp_path / "offered", 5, 6.0)
    assert add_file(context, "computer", long, About(label=Label.NEGATIVE), actor="an").created


def test_what_looks_wrong_is_flagged_and_taken(context, tmp_path):
    make(context)
    offered = tmp_path / "offered"
    shown = {}
    loud = np.clip(utterance(1) * 40, -1, 1)
    shown["clipped"] = raw_file(offered, loud, "loud.wav")
    shown["low_snr"] = raw_file(offered, utterance(2) + noise(2.0, seed=9, level_dbfs=-32), "noisy.wav")
    shown["quiet"] = raw_file(offered, utterance(3) * 0.03, "quiet.wav")
    cut = utterance(4)[9_600:]
    shown["speech_at_edge"] = raw_file(offered, cut, "cut.wav")
    for flag, path in shown.items():
        clip = add_file(context, "computer", path, About(label=Label.POSITIVE), actor="an").clip
        assert flag in clip.flags, (flag, clip)
    spoken = raw_file(offered, utterance(5), "spoken.wav")
    noisy = add_file(context, "computer", spoken, About(label=Label.NOISE), actor="an").clip
    assert "speech_in_noise" in noisy.flags
    assert datasets.change_clip(context, noisy.clip_id, Wish(label=Label.NEGATIVE), actor="an").flags == ()


# ---------------------------------------------------------------- copies


def test_the_same_audio_again_is_the_same_clip(filled, tmp_path):
    before = ids_of(filled)
    again = sound_file(tmp_path / "again", 1, name="renamed.wav", container="flac")
    added = add_file(filled, "computer", again, About(label=Label.POSITIVE), actor="an")
    assert (added.created, added.clip.source_name) == (False, "1.wav")
    assert ids_of(filled) == before


def test_the_same_audio_under_another_label_is_a_conflict(filled, tmp_path):
    with pytest.raises(ConflictError) as refused:
        add(filled, tmp_path, 1, "negative")
    assert refused.value.code == "clip.other_label"
    (name, *_) = ids_of(filled, "negative")
    datasets.delete_clips(filled, [name], actor="an")
    with pytest.raises(ConflictError) as refused:
        add(filled, tmp_path, 4, "negative")
    assert refused.value.code == "clip.deleted"


def test_a_copy_with_another_level_and_start_names_its_twin_and_does_not_count(filled, tmp_path):
    first = next(c for c in datasets.get(filled, "computer").active() if c.source_name == "1.wav")
    louder = np.concatenate([np.zeros(3_001), utterance(1) * 0.5])
    path = raw_file(tmp_path / "offered", louder, "copy.wav")
    copy = add_file(filled, "computer", path, About(label=Label.POSITIVE), actor="an").clip
    assert copy.twin_of == first.clip_id
    assert metrics(filled)["flags"]["near_duplicate"] == 2
    assert metrics(filled)["gate"]["counted"]["positive"] == 3
    datasets.delete_clips(filled, [first.clip_id], actor="an")
    assert "near_duplicate" not in metrics(filled)["flags"]
    assert metrics(filled)["gate"]["counted"]["positive"] == 3


def test_copies_within_one_batch_are_found_too(context, tmp_path):
    make(context)
    files = [raw_file(tmp_path / "offered", utterance(1) * gain, f"{gain}.wav") for gain in (1.0, 0.5, 0.25)]
    about = About(label=Label.POSITIVE)
    with adding(context, "computer", actor="an") as adder:
        clips = [adder.take(inspect_file(context, path, about), about, "").clip for path in files]
    assert clips[1].twin_of == clips[2].twin_of == clips[0].clip_id
    assert datasets.get(context, "computer").revision == 2


# ---------------------------------------------------------------- labels


def test_labels_speakers_and_notes_change_and_say_who_reviewed(filled):
    name = ids_of(filled, "positive")[0]
    wish = Wish(label=Label.NEGATIVE, speaker="  Chi ", notes="says computers")
    clip = datasets.change_clip(filled, name, wish, actor="reviewer")
    assert (clip.label, clip.speaker, clip.notes) == (Label.NEGATIVE, "Chi", "says computers")
    assert (clip.reviewed_by, metrics(filled)["last_reviewer"]) == ("reviewer", "reviewer")
    with filled.records.transaction() as tx:
        assert tx.get(Speaker, "Chi") is not None
        (entry,) = tx.find(AuditEntry, action="clip.changed")
    assert entry.actor == "reviewer"
    assert entry.detail["label"] == {"from": "positive", "to": "negative"}


def test_a_clip_without_enough_speech_cannot_become_a_positive(hearing_context, tmp_path):
    context = hearing_context
    make(context)
    hiss = raw_file(tmp_path / "offered", noise(2.0, level_dbfs=-40), "hiss.wav")
    clip = add_file(context, "computer", hiss, About(label=Label.NOISE), actor="an").clip
    with pytest.raises(AudioError) as refused:
        datasets.change_clip(context, clip.clip_id, Wish(label=Label.POSITIVE), actor="an")
    assert refused.value.code == "clip.no_speech"


def test_deleting_is_soft_and_can_be_taken_back(filled):
    name = ids_of(filled)[0]
    (clip,) = datasets.delete_clips(filled, [name], actor="binh")
    assert clip.deleted_by == "binh"
    assert name not in ids_of(filled)
    assert datasets.clip_file(filled, name).exists()
    with pytest.raises(ConflictError):
        datasets.change_clip(filled, name, Wish(notes="x"), actor="an")
    revision = datasets.get(filled, "computer").revision
    datasets.delete_clips(filled, [name], actor="an")
    assert datasets.get(filled, "computer").revision == revision
    datasets.restore_clips(filled, [name], actor="an")
    assert name in ids_of(filled)


def test_purging_removes_what_was_deleted_long_enough_ago(filled):
    old, young = ids_of(filled)[:2]
    datasets.delete_clips(filled, [old, young], actor="an")
    with pytest.raises(InputError):
        datasets.purge(filled, "computer", older_than_days=-1, actor="an")
    assert datasets.purge(filled, "computer", older_than_days=30, actor="an") == []
    later = utc_now() + timedelta(days=31)
    gone = datasets.purge(filled, "computer", older_than_days=30, actor="an", now=later)
    assert {clip.clip_id for clip in gone} == {old, young}
    assert len(list((filled.root / "datasets" / "computer" / "clips").iterdir())) == 2
    with pytest.raises(NotFoundError):
        datasets.restore_clips(filled, [old], actor="an")


@pytest.mark.parametrize("name", ["../../records", "none", "", "0" * 32])
def test_a_clip_that_is_not_there_is_said(filled, name):
    with pytest.raises(NotFoundError) as refused:
        datasets.clip_file(filled, name)
    assert refused.value.code == "clip.missing"


def test_several_clips_are_changed_together_or_not_at_all(filled):
    known = ids_of(filled, "positive")
    with pytest.raises(NotFoundError):
        datasets.delete_clips(filled, [*known, str(uuid.uuid4())], actor="an")
    assert ids_of(filled, "positive") == known


def test_everything_that_is_done_is_in_the_audit_log_once(filled):
    name = ids_of(filled)[0]
    datasets.delete_clips(filled, [name], actor="binh")
    with filled.records.transaction() as tx:
        actions = [(e.actor, e.action) for e in tx.find(AuditEntry, order_by="created_at")]
    assert actions == [("an", "dataset.created"), *[("an", "clip.added")] * 4, ("binh", "clip.deleted")]


# ---------------------------------------------------------------- metrics and the gate


def test_metrics_say_how_much_there_is_and_what_is_missing(filled):
    found = metrics(filled)
    assert found["clips"]["positive"]["count"] == 3
    assert found["clips"]["positive"]["minutes"] == pytest.approx(3 * 2.0 / 60, abs=0.001)
    assert found["clips"]["noise"] | {"minutes": 0.0} == found["clips"]["noise"]
    assert found["speakers"] == {"An": {"positive": 2}, "Binh": {"negative": 1, "positive": 1}}
    assert found["balance"] == 0.75
    assert found["gate"]["met"] is True


def test_below_the_gate_the_refusal_counts(context, tmp_path):
    make(context)
    add(context, tmp_path, 1)
    dataset = datasets.get(context, "computer")
    with pytest.raises(InputError) as refused:
        datasets_metrics.require_gate(dataset, context.rules)
    assert refused.value.code == "dataset.gate"
    assert "1 of 2 positive clips and 0 of 1 negative clips" in refused.value.message
    assert "1 positive and 1 negative" in refused.value.hint


def test_one_speaker_and_no_negatives_are_warned_of(context, tmp_path):
    make(context)
    for seed in (1, 2):
        add(context, tmp_path, seed, speaker="An")
    warnings = " ".join(metrics(context)["warnings"])
    assert "one speaker, An" in warnings
    assert "no negative clips" in warnings


def test_the_readers_of_the_training_see_labels_speakers_and_deletions(filled):
    name = ids_of(filled, "positive")[0]
    datasets.delete_clips(filled, [name], actor="an")
    found = read_clips([filled.root / "datasets" / "computer" / "clips"], WavDecoder(), label=Label.POSITIVE)
    assert found.removed == 1
    assert sorted(clip.label.value for clip in found.clips) == ["negative", "positive", "positive"]
    assert found.speakers == {"An", "Binh"}


class WavDecoder:
    def decode(self, path, rate_hz=16_000):
        from phonoloop.audio.decode import Decoded

        pcm = np.rint(read_wav(path) * 32768).astype(np.int16)
        return Decoded(
            pcm=pcm,
            rate_hz=rate_hz,
            source_rate_hz=rate_hz,
            channels=1,
            container="wav",
            codec="pcm_s16le",
        )


# ---------------------------------------------------------------- forgetting


def test_a_forgotten_speaker_is_gone_and_stays_away(filled, tmp_path):
    assert datasets.forget_in_datasets(filled, "An", actor="an") == 2
    assert datasets.forget_in_datasets(filled, "An", actor="an") == 0
    assert len(list((filled.root / "datasets" / "computer" / "clips").iterdir())) == 2
    assert metrics(filled)["speakers"] == {"Binh": {"negative": 1, "positive": 1}}
    with pytest.raises(InputError) as refused:
        add(filled, tmp_path, 1, speaker="somebody else")
    assert refused.value.code == "speaker.forgotten"


# ---------------------------------------------------------------- what killed writers leave


def test_what_a_killed_writer_left_is_put_right_at_the_next_look(filled):
    folder = filled.root / "datasets" / "computer"
    kept = sorted(path.name for path in (folder / "clips").iterdir())
    (folder / ".writing").touch()
    (folder / "clips" / f"{uuid.uuid4()}.wav").write_bytes(b"half")
    (folder / "clips" / ".part-1").write_bytes(b"half")
    (folder / "metrics.json").write_text("{}")
    datasets.get(filled, "computer")
    assert sorted(path.name for path in (folder / "clips").iterdir()) == kept
    assert metrics(filled)["clips"]["positive"]["count"] == 3
    assert not (folder / ".writing").exists()


def test_a_change_that_the_audit_log_missed_is_recorded_once(filled):
    with filled.records.transaction() as tx:
        entries = tx.find(AuditEntry, order_by="created_at")
        tx.delete(AuditEntry, entries[-1].audit_id)
    for _ in range(2):
        (filled.root / "datasets" / "computer" / ".writing").touch()
        datasets.get(filled, "computer")
    with filled.records.transaction() as tx:
        assert tx.total(AuditEntry) == len(entries)
