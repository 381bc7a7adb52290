"""How Vietnamese sounds, and how near words sound."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.core.errors import InputError
from phonoloop.text.ipa import sequence_distance, sound_distance
from phonoloop.text.phonetics import (
    DIALECTS,
    WEIGHTS,
    distance,
    distance_matrix,
    phones,
    sounds,
    sounds_same,
    word_distance,
)
from phonoloop.text.syllables import all_syllables, compose
from phonoloop.text.tables import read_table

ALL = sorted(map(compose, all_syllables()))
WORDS = st.sampled_from(ALL)
DIALECT = st.sampled_from(DIALECTS)


@pytest.mark.parametrize(
    ("word", "north", "centre", "south"),
    [
        ("tiếng", "t iə ŋ ˧˥", "t iə ŋ ˩˧", "t iə ŋ ˦˥"),
        ("việt", "v iə t ˨˩ˀ", "v iə k ˨˩ˀ", "j iə k ˨˩˨"),
        ("quốc", "k w o k͡p ˧˥", "k w o k͡p ˩˧", "w o k͡p ˦˥"),
        ("quyển", "k w iə n ˧˩˨", "k w iə ŋ ˧˩˨", "w iə ŋ ˨˩˦"),
        ("giếng", "z iə ŋ ˧˥", "j iə ŋ ˩˧", "j iə ŋ ˦˥"),
        ("anh", "ʔ a ɲ ˧˧", "ʔ ɛ ɲ ˧˥", "ʔ a n ˧˧"),
        ("hoa", "h w aː ˧˧", "h w aː ˧˥", "w aː ˧˧"),
        ("mỹ", "m i ˧ˀ˥", "m i ˧˩˨", "m i ˨˩˦"),
        ("thuở", "tʰ w əː ˧˩˨", "tʰ w əː ˧˩˨", "tʰ w əː ˨˩˦"),
        ("xoong", "s ɔː ŋ ˧˧", "s ɔː ŋ ˧˥", "s ɔː ŋ ˧˧"),
    ],
)
def test_sounds_of_a_word_in_three_dialects(word, north, centre, south):
    assert [" ".join(phones(word, dialect)) for dialect in DIALECTS] == [north, centre, south]


def test_a_word_that_is_no_syllable_has_no_phones():
    assert phones("hello") == phones("") == phones("12") == ()
    assert sounds("hello") is None


def test_an_unknown_dialect_is_refused():
    for call in (
        lambda: phones("ba", "east"),
        lambda: distance("a", "b", "east"),
        lambda: distance_matrix(["a"], [], "x"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.code == "text.dialect"


@pytest.mark.parametrize(
    ("one", "other", "merged_in"),
    [
        ("trời", "chời", {"north"}),
        ("sao", "xao", {"north"}),
        ("ra", "da", {"north"}),
        ("giành", "dành", {"north", "centre", "south"}),
        ("vác", "dác", {"south"}),
        ("mả", "mã", {"centre", "south"}),
        ("tan", "tang", {"centre", "south"}),
        ("mắt", "mắc", {"centre", "south"}),
        ("lên", "lênh", {"centre", "south"}),
        ("lên", "lêng", set()),
        ("tin", "tinh", {"centre", "south"}),
        ("bằn", "bành", set()),
        ("hoa", "oa", {"south"}),
        ("chiêm", "chim", {"south"}),
        ("tuổi", "tủi", {"south"}),
        ("rượu", "riệu", {"north"}),
        ("kĩ", "kỹ", {"north", "centre", "south"}),
        ("lò", "nò", set()),
        ("con", "cong", set()),
    ],
)
def test_what_a_dialect_does_not_tell_apart(one, other, merged_in):
    assert {dialect for dialect in DIALECTS if sounds_same(one, other, dialect)} == merged_in


def test_texts_sound_the_same_word_by_word():
    assert sounds_same("Trời sanh", "chời xanh")
    assert not sounds_same("trời xanh", "trời xanh xanh")
    assert sounds_same("hello bà", "hello bà")
    assert not sounds_same("hello bà", "hallo bà")


@settings(deadline=None)  # the first use builds the tables
@given(WORDS, WORDS, DIALECT)
def test_distance_of_syllables(one, other, dialect):
    apart = distance(one, other, dialect)
    assert 0 <= apart <= 1
    assert apart == distance(other, one, dialect)
    assert distance(one, one, dialect) == 0
    assert (apart < 1e-6) == sounds_same(one, other, dialect)


TEXTS = st.lists(WORDS | st.text(max_size=8), max_size=5).map(" ".join)


@settings(deadline=None)  # the first use builds the tables
@given(TEXTS, TEXTS, DIALECT)
def test_distance_of_any_texts(one, other, dialect):
    apart = distance(one, other, dialect)
    assert 0 <= apart <= 1
    assert apart == distance(other, one, dialect)
    assert distance(one, one, dialect) == 0


def test_what_sounds_nearer_is_nearer():
    chains = [
        ("ba", "bà", "bì", "chì"),
        ("nam", "lam", "sam"),
        ("thu", "tu", "mu"),
        ("một", "mốt", "hai"),
        ("bật đèn phòng khách", "bật đèn phòng cách", "bật đèn phòng ngủ", "mấy giờ rồi"),
        ("xin chào", "sin chao", "chào"),
    ]
    for first, *others in chains:
        apart = [distance(first, other) for other in others]
        assert apart == sorted(apart)
        assert len(set(apart)) == len(apart)


def test_no_place_of_a_syllable_weighs_more_than_it_may():
    assert sum(WEIGHTS.values()) == pytest.approx(1)
    assert distance("ma", "mà") <= WEIGHTS["tone"]
    assert distance("ma", "ta") <= WEIGHTS["onset"]
    tones = [
        distance(one, other) for one, other in itertools.combinations(["ma", "mà", "má", "mả", "mã", "mạ"], 2)
    ]
    assert min(tones) > 0.02
    assert max(tones) > 0.15


def test_words_that_are_no_syllables_are_compared_by_letters():
    assert distance("café", "cafe") == pytest.approx(1 / 12)
    assert distance("hello", "hallo") == pytest.approx(1 / 5)
    assert distance("hello", "ba") == 1
    assert distance("x" * 1_000_000, "y" * 1_000_000) == 1
    assert distance("", "") == 0
    assert distance("", "ba") == 1


def test_the_matrix_has_the_distance_of_each_pair():
    ones, others = ["ba", "hello", "quốc", ""], ["bà", "hallo", "nguyên"]
    for dialect in DIALECTS:
        matrix = distance_matrix(ones, others, dialect)
        assert matrix.dtype == np.float32
        expected = [[word_distance(one, other, dialect) for other in others] for one in ones]
        assert np.allclose(matrix, expected, atol=1e-6)
    assert distance_matrix([], others).shape == (0, 3)
    by_name = distance_matrix(["hello", "ba"], ["hallo", "hello", "ba"], letters=False)
    assert by_name.tolist() == [[1, 0, 1], [1, 1, 0]]


def test_every_syllable_has_sounds_that_the_features_know():
    heard = {part for word in ALL for dialect in DIALECTS for part in phones(word, dialect)}
    assert 50 < len(heard) < 60
    # what is known is nearer than 1 to something else
    assert all(min(sound_distance(one, other) for other in heard - {one}) < 1 for one in heard)


def test_every_line_of_the_tables_names_rimes_and_onsets_that_are_there():
    rimes = {line["rime"] for line in read_table("rimes.tsv")}
    written = [rime for line in read_table("rime_sounds.tsv") for rime in line["written"].split(" ")]
    assert sorted(written) == sorted(rimes)
    assert {line["onset"] for line in read_table("onset_sounds.tsv")} == {
        line["sound"] for line in read_table("onsets.tsv")
    }


class TestAnyLanguage:
    @pytest.mark.parametrize(
        ("one", "nearer", "farther"),
        [
            ("p", "b", "ʃ"),
            ("t", "tʰ", "m"),
            ("i", "e", "ɑ"),
            ("aː", "a", "u"),
            ("j", "i", "ɑ"),
            ("tʃ", "ʃ", "l"),
            ("iə", "i", "uə"),
            ("˧˥", "˧ˀ˥", "˨˩"),
            ("n", "l", "k"),
            ("w", "u", "i"),
            ("ŋ͡m", "ŋ", "t"),
        ],
    )
    def test_features_order_sounds(self, one, nearer, farther):
        assert 0 < sound_distance(one, nearer) < sound_distance(one, farther) <= 1

    def test_ties_and_stress_do_not_matter(self):
        assert sound_distance("t͡ʃ", "tʃ") == sound_distance("ˈa", "a") == sound_distance("ŋ͡m", "ŋm") == 0

    def test_unknown_symbols_are_like_themselves_only(self):
        assert sound_distance("5", "5") == 0
        assert sound_distance("5", "2") == sound_distance("5", "a") == sound_distance("", "a") == 1

    @settings(deadline=None)  # the first use builds the tables
    @given(
        st.lists(st.sampled_from(["a", "t", "ʃ", "h", "5", "iə", "˧˥", "x̌", ""]), max_size=6),
        st.text(max_size=6),
    )
    def test_sequences(self, one, text):
        other = list(text)
        assert sequence_distance(one, other) == sequence_distance(other, one)
        assert 0 <= sequence_distance(one, other) <= 1
        assert sequence_distance(one, one) == 0

    def test_words_that_sound_alike_are_near(self):
        computer, commuter, banana = list("kəmpjutɚ"), list("kəmjutɚ"), list("bənænə")
        assert sequence_distance(computer, commuter) < 0.2 < sequence_distance(computer, banana)

    def test_every_line_of_the_tables_is_used(self):
        symbols = [
            line["symbol"] for name in ("ipa_consonants.tsv", "ipa_vowels.tsv") for line in read_table(name)
        ]
        assert len(symbols) == len(set(symbols))
        assert all(sound_distance(symbol, "a" if symbol != "a" else "e") > 0 for symbol in symbols)
