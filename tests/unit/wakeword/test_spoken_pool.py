import json

import numpy as np
import pytest
from speaking_fakes import Beeper

from phonoloop.core.errors import CancelledError
from phonoloop.wakeword.phrase import read_phrase
from phonoloop.wakeword.pool import AUDIO, INDEX, fill_pool, read_pool
from phonoloop.wakeword.synthesis import plan_positives, speak


@pytest.fixture
def plan():
    return plan_positives(read_phrase("tan lamp", "xx", Beeper()), [Beeper()], count=12, seed=1)


def test_a_pool_holds_what_was_spoken_in_the_plans_order(tmp_path, plan):
    pool = fill_pool(tmp_path, plan, [Beeper()])
    spoken = list(speak(plan, [Beeper()]))
    assert [row.key for row in pool.rows] == [one.key for one in plan]
    for at, one in enumerate(spoken):
        kept = pool.spoken(at)
        assert (kept.text, kept.voice, kept.speed) == (one.text, one.voice, one.speed)
        assert np.abs(kept.samples - one.samples).max() < 1e-4


def test_it_is_mapped_and_not_read(tmp_path, plan):
    assert isinstance(fill_pool(tmp_path, plan, [Beeper()]).audio, np.memmap)


def test_what_is_there_is_not_said_again(tmp_path, plan):
    fill_pool(tmp_path, plan[:8], [Beeper()])
    before = (tmp_path / AUDIO).read_bytes()
    beeper = Beeper()
    pool = fill_pool(tmp_path, plan, [beeper])
    assert len(beeper.spoken) == 4
    assert (tmp_path / AUDIO).read_bytes()[: len(before)] == before
    assert [row.key for row in pool.rows] == [one.key for one in plan]


@pytest.mark.parametrize("audio_bytes_lost", [0, 1, 500])
@pytest.mark.parametrize("index_bytes_lost", [1, 30, 700])
def test_half_written_utterances_are_said_again(tmp_path, plan, audio_bytes_lost, index_bytes_lost):
    whole = fill_pool(tmp_path / "whole", plan, [Beeper()])
    fill_pool(tmp_path / "cut", plan, [Beeper()])
    for name, lost in ((AUDIO, audio_bytes_lost), (INDEX, index_bytes_lost)):
        data = (tmp_path / "cut" / name).read_bytes()
        (tmp_path / "cut" / name).write_bytes(data[: len(data) - lost])
    pool = fill_pool(tmp_path / "cut", plan, [Beeper()])
    assert pool.rows == whole.rows
    assert np.array_equal(pool.audio, whole.audio)


def test_a_damaged_line_costs_what_comes_after_it_and_nothing_else(tmp_path, plan):
    fill_pool(tmp_path, plan, [Beeper()])
    lines = (tmp_path / INDEX).read_bytes().splitlines(keepends=True)
    (tmp_path / INDEX).write_bytes(b"".join([*lines[:7], b"{half\n", *lines[8:]]))
    beeper = Beeper()
    assert len(fill_pool(tmp_path, plan, [beeper])) == 12
    assert len(beeper.spoken) == 5


def test_what_could_not_be_said_is_kept_apart_and_not_tried_again(tmp_path):
    phrase = read_phrase("crash", "xx", Beeper())
    plan = plan_positives(phrase, [Beeper()], count=3, seed=1)
    pool = fill_pool(tmp_path, plan, [Beeper()])
    assert (len(pool), {row.error for row in pool.refused}) == (0, {"beeper.crashed"})
    again = Beeper()
    fill_pool(tmp_path, plan, [again])
    assert again.spoken == []


def test_it_stops_when_asked_and_goes_on_from_there(tmp_path, plan):
    done = []
    with pytest.raises(CancelledError):
        fill_pool(
            tmp_path,
            plan,
            [Beeper()],
            on_progress=lambda now, total: done.append((now, total)),
            should_stop=lambda: len(done) == 5,
        )
    assert done[-1] == (5, 12)
    assert len(read_pool(tmp_path)) == 5
    assert len(fill_pool(tmp_path, plan, [Beeper()])) == 12


def test_an_empty_plan_makes_an_empty_pool(tmp_path):
    assert len(fill_pool(tmp_path, [], [])) == 0


def test_the_index_is_a_line_of_json_each(tmp_path, plan):
    fill_pool(tmp_path, plan, [Beeper()])
    rows = [json.loads(line) for line in (tmp_path / INDEX).read_text().splitlines()]
    assert [row["voice"] for row in rows] == [one.voice for one in plan]
