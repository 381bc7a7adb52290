from dataclasses import replace

import pytest
from registry_builders import NOON, clip, recording, speaker

from phonoloop.core import ids
from phonoloop.core.errors import ConflictError, InputError, SplitConflictError
from phonoloop.data.manifest import ManifestRow, parse_manifest
from phonoloop.data.model import ClipStatus, Provenance, Split
from phonoloop.registry.golden import (
    choose_clips,
    freeze,
    golden_rows,
    what_is_missing,
)
from phonoloop.registry.slices import noise_band, slices_of


def bring(tx, name, split, *, attributes=None, **changes):
    who = speaker(name, split)
    said = recording(f"{name}-audio", who, attributes=attributes or {}, environment="car")
    tx.put(who, said, clip(said, **changes))


@pytest.fixture
def people(tx):
    bring(tx, "anna", Split.TEST, attributes={"dialect": "south", "synthetic": True})
    bring(tx, "binh", Split.TEST, provenance=Provenance.HUMAN)
    bring(tx, "chi", Split.TRAIN)
    bring(tx, "dung", Split.VAL)
    bring(tx, "em", Split.TEST, status=ClipStatus.WAITING, text="", provenance=None)
    bring(tx, "giang", Split.TEST, status=ClipStatus.REFUSED)
    return tx


def test_only_checked_clips_of_test_speakers_are_chosen(people):
    assert [c.speaker_id for c in choose_clips(people)] == ["anna", "binh"]


def test_a_row_says_where_its_audio_is_and_what_it_belongs_to(people):
    anna, _ = golden_rows(people, choose_clips(people))
    assert (anna.audio_filepath, anna.speaker, anna.duration) == ("audio/raw/anna-audio.wav", "anna", 3.0)
    assert anna.extras["synthetic"] is True
    assert slices_of(anna) == {
        "dialect": "south",
        "environment": "car",
        "noise": "20-30 dB",
        "speech": "synthetic",
    }


def test_a_golden_set_is_frozen_by_hash_and_reads_back(people):
    rows = golden_rows(people, choose_clips(people))
    frozen = freeze(people, rows, now=NOON)
    assert frozen.golden.manifest_sha256 == ids.sha256_hex(frozen.manifest)
    assert frozen.golden.name == f"test-{frozen.golden.manifest_sha256[:12]}"
    assert (frozen.golden.clips, frozen.golden.speakers) == (2, 2)
    assert parse_manifest(frozen.manifest) == rows


def test_freezing_the_same_again_is_the_same_set(people):
    rows = golden_rows(people, choose_clips(people))
    first = freeze(people, rows, name="calls", now=NOON)
    people.put(first.golden)
    assert freeze(people, rows[::-1], name="calls") == first


def test_a_frozen_set_does_not_change(people):
    rows = golden_rows(people, choose_clips(people))
    people.put(freeze(people, rows, name="calls").golden)
    with pytest.raises(ConflictError) as caught:
        freeze(people, rows[:1], name="calls")
    assert caught.value.code == "golden.frozen"


ROW = ManifestRow("a.wav", "xin chào", 2.0, "zoe", extras={"provenance": "human"})


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (replace(ROW, text=" "), "golden.no_text"),
        (replace(ROW, extras={"provenance": "machine"}), "golden.machine_text"),
        (replace(ROW, extras={}), "golden.machine_text"),
    ],
)
def test_rows_nobody_checked_are_refused(people, row, code):
    with pytest.raises(InputError) as caught:
        freeze(people, [ROW, row])
    assert caught.value.code == code


@pytest.mark.parametrize("who", ["chi", "dung"])
def test_speakers_that_a_training_hears_are_refused(people, who):
    with pytest.raises(SplitConflictError) as caught:
        freeze(people, [replace(ROW, speaker=who)])
    assert (caught.value.code, caught.value.subject) == ("golden.heard", who)


@pytest.mark.parametrize("name", ["../x", "A b", "x" * 65, ".hidden"])
def test_a_name_that_is_no_name_is_refused(people, name):
    with pytest.raises(InputError) as caught:
        freeze(people, [ROW], name=name)
    assert caught.value.code == "golden.name"


def test_an_empty_set_says_what_is_missing(tx):
    with pytest.raises(InputError) as caught:
        freeze(tx, [])
    assert caught.value.code == "golden.empty"
    assert "no speaker is in the test split" in caught.value.hint


def test_what_is_missing_goes_away_step_by_step(tx):
    who = speaker("anna", Split.TEST)
    said = recording("a", who)
    assert "no speaker" in what_is_missing(tx)[0]
    tx.put(who)
    assert "no recording" in what_is_missing(tx)[0]
    tx.put(said, clip(said, status=ClipStatus.WAITING, text="", provenance=None))
    assert "no clip" in what_is_missing(tx)[0]
    tx.put(clip(said))
    assert what_is_missing(tx) == []


@pytest.mark.parametrize(
    ("snr_db", "band"),
    [
        (-3, "below 5 dB"),
        (5, "5-10 dB"),
        (9.99, "5-10 dB"),
        (10, "10-20 dB"),
        (29, "20-30 dB"),
        (30, "from 30 dB"),
        (float("inf"), "from 30 dB"),
    ],
)
def test_noise_bands_do_not_overlap(snr_db, band):
    assert noise_band(snr_db) == band


def test_a_ratio_that_was_not_measured_has_no_band():
    with pytest.raises(InputError):
        noise_band(float("nan"))


def test_every_extra_that_names_something_is_a_slice():
    extras = {"snr_db": 12.3, "dialect": "north", "noisy": True, "floor": 2, "room": "", "level": 0.5}
    row = ManifestRow("a.wav", "x", 1.0, "s1", extras=extras | {"provenance": "human", "synthetic": False})
    assert slices_of(row) == {
        "dialect": "north",
        "noise": "10-20 dB",
        "noisy": "yes",
        "floor": "2",
        "speech": "recorded",
    }
