import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonoloop.text.ipa import sequence_distance
from phonoloop.wakeword.near import (
    distances_to,
    holding,
    inside_costs,
    nearest,
    nearest_pairs,
    word_table,
)

words_of_sounds = st.lists(
    st.sampled_from(["k", "t", "s", "h", "a", "eɪ", "ə", "ɔː", "m"]), min_size=1, max_size=6
)


def table_of(words):
    return word_table(words, [tuple(word) for word in words])


@given(st.lists(words_of_sounds, min_size=1, max_size=8), words_of_sounds)
def test_distances_to_all_words_are_those_of_each(words, wanted):
    table = word_table([""] * len(words), [tuple(word) for word in words])
    alone = [sequence_distance(word, wanted) for word in words]
    assert distances_to(table, tuple(wanted)) == pytest.approx(alone, abs=1e-5)


@given(st.lists(words_of_sounds, min_size=1, max_size=5), words_of_sounds)
def test_the_phrase_costs_nothing_inside_of_what_holds_it(words, wanted):
    around = [(*word, *wanted, *word) for word in words]
    assert np.allclose(inside_costs(word_table([""] * len(words), around), tuple(wanted)), 0.0)


@given(words_of_sounds, words_of_sounds)
def test_inside_is_the_best_of_all_stretches(word, wanted):
    stretches = [word[i:j] for i, j in itertools.combinations(range(len(word) + 1), 2)]
    costs = [sequence_distance(part, wanted) * max(len(part), len(wanted)) for part in stretches]
    (found,) = inside_costs(word_table([""], [tuple(word)]), tuple(wanted))
    assert found <= min(costs) + 1e-5


def test_the_nearest_come_first_and_of_equal_ones_the_frequent():
    table = table_of(["kat", "tak", "kad", "kat"])
    assert [(one.text, one.rank) for one in nearest(table, tuple("kat"), 3)] == [
        ("kat", 0),
        ("kat", 3),
        ("kad", 2),
    ]


def test_words_without_sounds_are_left_out_and_the_ranks_stay():
    table = word_table(["a", "?", "b"], [("a",), (), ("b",)])
    assert (table.texts, table.ranks.tolist()) == (("a", "b"), [0, 2])


def test_two_words_that_make_up_the_phrase_are_found():
    table = table_of(["sun", "day", "mon", "fun"])
    (best, *_) = nearest_pairs(table, tuple("sunday"), 5)
    assert (best.text, best.distance, best.rank) == ("sun day", 0.0, 1)
    assert "fun day" in [one.text for one in nearest_pairs(table, tuple("sunday"), 5)]


def test_longer_words_that_hold_the_phrase_are_found():
    assert [one.text for one in holding(table_of(["kat", "kats", "skate", "kate"]), tuple("kat"))] == [
        "kats",
        "skate",
        "kate",
    ]


def test_no_words_are_near_where_there_are_none():
    empty = table_of([])
    assert nearest(empty, ("a",), 3) == []
    assert nearest_pairs(empty, ("a", "b"), 3) == []
