from dataclasses import replace
from types import SimpleNamespace

import pytest
from registry_builders import NOON, clip, golden, heard, model, recording, speaker, terms

from phonoloop.adapters.blobs_memory import MemoryBlobStore
from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.data.manifest import ManifestRow, write_manifest
from phonoloop.data.model import AuditEntry, Clip, Provenance, Recording, Snapshot, Split
from phonoloop.registry.card import model_card
from phonoloop.registry.decide import judge_candidate
from phonoloop.registry.figures import syllable_figures
from phonoloop.registry.lineage import lineage_of, mark_models_of_speaker, models_that_heard
from phonoloop.registry.model import Model, Prediction, TrainingRun
from phonoloop.registry.promote import register


def snapshot(tx, blobs, name, **rows):
    """Rows by split, as (speaker, licence, synthetic)."""
    manifests = {}
    for split, people in rows.items():
        key = f"datasets/snapshots/{name}/{split}.jsonl"
        blobs.put(key, write_manifest(bring(tx, person, Split(split)) for person in people))
        manifests[split] = key
    tx.put(
        Snapshot(
            snapshot_id=name,
            manifests=manifests,
            clips=9,
            hours={},
            hours_by_provenance={},
            speakers={},
            rules={},
        )
    )


def bring(tx, person, split):
    name, licence, synthetic = person
    who = speaker(name, split)
    said = recording(f"{name}0", who, licence=licence, attributes={"synthetic": synthetic})
    part = clip(said, provenance=Provenance.HUMAN if split is not Split.TRAIN else Provenance.SIDECAR)
    tx.put(who, said, part)
    return ManifestRow(
        said.path, part.text, 3600.0, name, part.clip_id, extras={"provenance": part.provenance.value}
    )


def trained(tx, name, snapshot_id, initial=""):
    tx.put(
        TrainingRun(
            run_id=name,
            kind="asr",
            job_id="job",
            snapshot_id=snapshot_id,
            recipe={"model": {"layers": 6}},
            seed=7,
            code_version="0.1.0+abc",
            initial_model_id=initial,
        )
    )
    register(tx, model(name, run_id=name, snapshot_id=snapshot_id))


@pytest.fixture
def house(tx):
    """`base` heard anna, and val is dung; `warm` began with it and heard binh; `other` heard chi."""
    blobs = MemoryBlobStore()
    dung = ("dung", "CC0", False)
    snapshot(tx, blobs, "one", train=[("anna", "CC BY 4.0", True)], val=[dung])
    snapshot(tx, blobs, "two", train=[("binh", "", False)])
    snapshot(tx, blobs, "three", train=[("chi", "CC0", False)])
    trained(tx, "base", "one")
    trained(tx, "warm", "two", initial="base")
    trained(tx, "other", "three")
    return SimpleNamespace(tx=tx, blobs=blobs)


def test_a_model_leads_to_its_run_snapshot_clips_speakers_and_licences(house):
    lineage = lineage_of(house.tx, house.blobs, "base")
    assert lineage.ancestors[0].run.code_version == "0.1.0+abc"
    assert lineage.ancestors[0].snapshot.snapshot_id == "one"
    assert [(c.speaker_id, c.split) for c in lineage.clips] == [("anna", Split.TRAIN), ("dung", Split.VAL)]
    assert lineage.speakers == {"anna": "anna", "dung": "dung"}
    assert lineage.licences == ["CC BY 4.0", "CC0"]
    assert lineage.gaps == ()


def test_a_warm_start_inherits_what_was_heard(house):
    lineage = lineage_of(house.tx, house.blobs, "warm")
    assert [a.model.model_id for a in lineage.ancestors] == ["warm", "base"]
    assert set(lineage.speakers) == {"anna", "binh", "dung"}
    assert "unstated" in lineage.licences


def test_hours_count_a_clip_once_however_many_trainings_heard_it(house):
    trained(house.tx, "again", "one", initial="base")
    lineage = lineage_of(house.tx, house.blobs, "again")
    assert lineage.hours_by("provenance", Split.TRAIN) == {"sidecar": 1.0}
    assert lineage.hours_by("split") == {"train": 1.0, "val": 1.0}


def test_clips_of_one_file_that_have_no_name_all_count(house):
    rows = [ManifestRow("talk.wav", "a", 1800.0, "anna", offset=at) for at in (0.0, 1800.0)]
    house.blobs.put("given.jsonl", write_manifest(rows))
    house.tx.put(replace(house.tx.get(Snapshot, "three"), manifests={"train": "given.jsonl"}))
    lineage = lineage_of(house.tx, house.blobs, "other")
    assert lineage.hours_by("provenance") == {"unstated": 1.0}
    assert lineage.gaps == ()


def test_a_speaker_leads_to_every_model_that_heard_them(house):
    assert models_that_heard(house.tx, house.blobs, "anna") == {"base": "train", "warm": "began with base"}
    assert models_that_heard(house.tx, house.blobs, "binh") == {"warm": "train"}
    assert models_that_heard(house.tx, house.blobs, "dung")["base"] == "val"
    assert models_that_heard(house.tx, house.blobs, "nobody") == {}


def test_a_long_line_of_warm_starts_inherits_to_its_end(house):
    for i, parent in enumerate(["warm", "a3", "a2"]):
        trained(house.tx, f"a{3 - i}", "three", initial=parent)
    assert set(models_that_heard(house.tx, house.blobs, "anna")) == {"base", "warm", "a1", "a2", "a3"}


def test_forgetting_somebody_marks_the_models(house):
    marked = mark_models_of_speaker(house.tx, house.blobs, "anna", actor="lan", now=NOON)
    assert [m.model_id for m in marked] == ["base", "warm"]
    mark = house.tx.get(Model, "warm").marks["speaker/anna"]
    assert (mark["reason"], mark["heard"]) == ("forgotten", "began with base")
    assert house.tx.get(Model, "other").marks == {}
    (entry,) = house.tx.find(AuditEntry, action="models.marked")
    assert (entry.actor, entry.detail["models"]) == ("lan", ["base", "warm"])


def test_marking_again_keeps_the_first_mark(house):
    mark_models_of_speaker(house.tx, house.blobs, "anna", actor="lan", reason="asked to", now=NOON)
    mark_models_of_speaker(house.tx, house.blobs, "anna", actor="lan", reason="again")
    assert house.tx.get(Model, "base").marks["speaker/anna"]["reason"] == "asked to"


def test_recordings_that_are_gone_are_counted_as_a_gap(house):
    for part in house.tx.find(Clip, speaker_id="anna"):
        house.tx.delete(Clip, part.clip_id)
    house.tx.delete(Recording, "anna0")
    lineage = lineage_of(house.tx, house.blobs, "base")
    assert lineage.gaps == ("1 of the clips are not in the records any more",)


def test_a_training_that_is_not_recorded_is_a_gap(house):
    register(house.tx, model("found", snapshot_id="gone", run_id="gone"))
    trained(house.tx, "child", "one", initial="gone-model")
    assert len(lineage_of(house.tx, house.blobs, "found").gaps) == 2
    assert "began with gone-model" in lineage_of(house.tx, house.blobs, "child").gaps[0]


def test_models_that_begin_with_each_other_are_refused(house):
    house.tx.put(replace(house.tx.get(TrainingRun, "base"), initial_model_id="warm"))
    with pytest.raises(IntegrityError) as caught:
        lineage_of(house.tx, house.blobs, "warm")
    assert caught.value.code == "lineage.circle"
    assert set(models_that_heard(house.tx, house.blobs, "anna")) == {"base", "warm"}


def test_a_model_that_is_not_there_has_no_lineage(house):
    with pytest.raises(NotFoundError):
        lineage_of(house.tx, house.blobs, "nobody")


GOLDEN = golden()


def judged(house, name, errors_of):
    house.tx.put(*heard(name, errors_of, of=GOLDEN))
    judge_candidate(house.tx, name, terms(GOLDEN), now=NOON)


def test_a_card_states_what_each_figure_was_measured_on(house):
    judged(house, "base", lambda i: 4 - i % 2)
    card = model_card(house.tx, house.blobs, "base")
    assert "# base" in card
    assert "Word error rate **35.00 %** (95 % interval" in card
    for told in (GOLDEN.manifest_sha256, "`basic-vi-1`", "800 words", "8 speakers", "seed 7", "0.1.0+abc"):
        assert told in card
    assert "CC BY 4.0 1.00 h" in card


def test_a_card_says_which_part_of_a_syllable_was_wrong(house):
    spoken = heard("base", lambda i: 1, of=GOLDEN)
    house.tx.put(*(replace(one, reference="má ngã", hypothesis="má ngả") for one in spoken))
    figures = {"base": syllable_figures(house.tx.find(Prediction))}
    judge_candidate(house.tx, "base", replace(terms(GOLDEN), syllable_figures=figures), now=NOON)
    card = model_card(house.tx, house.blobs, "base")
    assert "| | tone | onset | rime |" in card
    assert "| all | 50.00 % of 160 (95 % interval 50.00 % to 50.00 %, over speakers) | 0.00 % of 160" in card
    assert "| south | 50.00 % of 80" in card
    assert "Most often taken for another (tones, onsets, rimes): ngã → hỏi (80×)" in card
    assert "no Vietnamese syllables" not in card
    judged(house, "other", lambda i: 1)
    assert "onset" not in model_card(house.tx, house.blobs, "other")


def test_a_card_says_that_speech_was_synthetic(house):
    assert "100 % of this speech is synthetic" in model_card(house.tx, house.blobs, "base")
    assert "50 % of this speech is synthetic" in model_card(house.tx, house.blobs, "warm")
    assert "synthetic" not in model_card(house.tx, house.blobs, "other")


def test_a_card_says_where_a_figure_was_measured_on_synthetic_speech(house):
    judged(house, "other", lambda i: 4)
    assert "synthetic" not in model_card(house.tx, house.blobs, "other")
    spoken = golden(name="spoken", manifest_sha256="f" * 64)
    voices = heard("base", lambda i: 4, of=spoken)
    house.tx.put(*(replace(p, slices={"speech": "synthetic"}) for p in voices))
    house.tx.put(*heard("other", lambda i: 2, of=spoken))
    judge_candidate(house.tx, "base", terms(spoken), now=NOON)
    card = model_card(house.tx, house.blobs, "base")
    assert "**100 % of these clips are synthetic speech**" in card
    assert "8 speakers of synthetic speech: worse" in card


def test_a_card_tells_verdicts_slices_and_ancestors(house):
    judged(house, "base", lambda i: 4)
    judged(house, "warm", lambda i: i % 3)
    card = model_card(house.tx, house.blobs, "warm")
    assert "against base: **better**, promoted" in card
    assert "| dialect: south | 400 | 4 |" in card
    assert "Began with base: run `base`" in card
    assert "state no licence" in card


def test_a_card_of_an_unproven_model_says_what_is_missing(house):
    judge_candidate(house.tx, "other", terms(None), now=NOON)
    card = model_card(house.tx, house.blobs, "other")
    assert "Status: champion, unproven" in card
    assert "Missing: no speaker is in the test split" in card
    assert "is not known" in card


def test_a_card_shows_marks(house):
    mark_models_of_speaker(house.tx, house.blobs, "anna", actor="lan", now=NOON)
    assert "**Marked** speaker/anna" in model_card(house.tx, house.blobs, "base")


def test_a_card_is_the_same_from_the_same_records(house):
    judged(house, "base", lambda i: 4)
    assert model_card(house.tx, house.blobs, "base") == model_card(house.tx, house.blobs, "base")
