"""A speaker's split comes from the name, and stays."""

from __future__ import annotations

import hashlib

import pytest

from phonoloop.adapters.records_memory import MemoryRecords
from phonoloop.core.errors import ConfigError, InputError, SplitConflictError
from phonoloop.data.ingest import Hints, ingest_file
from phonoloop.data.model import Speaker, Split
from phonoloop.data.split import SpeakerClaim, SplitRule, enrol, pin_speaker, speaker_id_of
from phonoloop.testing.intake import babble, write_sound


def bucket(name: str) -> int:
    return int(hashlib.md5(name.encode()).hexdigest(), 16) % 100


def test_md5_modulo_100_below_92_is_train_below_96_val_else_test():
    rule = SplitRule()
    for name in (f"speaker {number}" for number in range(500)):
        expected = Split.TRAIN if bucket(name) < 92 else Split.VAL if bucket(name) < 96 else Split.TEST
        assert rule.split_of(name) == expected


def test_shares_can_be_chosen():
    assert {SplitRule(0, 0).split_of(str(n)) for n in range(50)} == {Split.TEST}
    assert {SplitRule(100, 0).split_of(str(n)) for n in range(50)} == {Split.TRAIN}


@pytest.mark.parametrize(("train_pct", "val_pct"), [(-1, 5), (5, -1), (99, 2)])
def test_shares_must_be_of_one_whole(train_pct: int, val_pct: int):
    with pytest.raises(ConfigError) as caught:
        SplitRule(train_pct, val_pct)
    assert caught.value.code == "split.shares"


def test_the_same_name_typed_differently_is_one_speaker():
    assert speaker_id_of("  Nguye\u0302\u0303n   An ") == "Nguyễn An"


@pytest.mark.parametrize("name", ["", "   ", "a\nb\x00", "x" * 201])
def test_what_cannot_be_a_name(name: str):
    with pytest.raises(InputError) as caught:
        speaker_id_of(name)
    assert caught.value.code == "speaker.name"


def test_a_later_rule_moves_nobody():
    records = MemoryRecords()
    with records.transaction() as tx:
        first = enrol(tx, SpeakerClaim("An"), SplitRule(100, 0))
        assert enrol(tx, SpeakerClaim("An"), SplitRule(0, 0)) == first


def test_a_speaker_can_be_pinned_before_the_first_recording(context, tmp_path):
    with context.records.transaction() as tx:
        pin_speaker(tx, "An", Split.TEST)
        pin_speaker(tx, "An", Split.VAL)
    ingest_file(context, write_sound(tmp_path / "a.wav", babble(1)), Hints(speaker="An"))
    with context.records.transaction() as tx:
        speaker = tx.get(Speaker, "An")
    assert (speaker.split, speaker.pinned) == (Split.VAL, True)


def test_a_speaker_with_recordings_cannot_be_moved_but_can_be_pinned_where_he_is(context, tmp_path):
    ingest_file(context, write_sound(tmp_path / "a.wav", babble(1)), Hints(speaker="An"))
    with context.records.transaction() as tx:
        home = tx.get(Speaker, "An").split
        other = next(split for split in Split if split != home)
        assert pin_speaker(tx, "An", home).pinned
        with pytest.raises(SplitConflictError) as caught:
            pin_speaker(tx, "An", other)
    assert caught.value.code == "split.speaker_has_audio"
