"""Syllables as they are written."""

import os
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonoloop.core.errors import InputError
from phonoloop.text.syllables import (
    TONES,
    Syllable,
    all_syllables,
    compose,
    onsets,
    parse,
    rimes,
    strip_marks,
    tone_of,
)
from phonoloop.text.tables import read_table
from phonoloop.text.vietnamese import place_tone

ALL = sorted(all_syllables(), key=compose)
REAL_TEXT = Path(os.environ.get("PHONOLOOP_REAL_DATA", "")) / "text" / "vi"
real_text = pytest.mark.skipif(
    "PHONOLOOP_REAL_DATA" not in os.environ, reason="PHONOLOOP_REAL_DATA names no folder with Vietnamese text"
)


@pytest.mark.parametrize(
    ("word", "onset", "rime", "tone"),
    [
        ("tiếng", "t", "iêng", "sắc"),
        ("việt", "v", "iêt", "nặng"),
        ("nghiêng", "ngh", "iêng", "ngang"),
        ("ghế", "gh", "ê", "sắc"),
        ("khuya", "kh", "uya", "ngang"),
        ("đường", "đ", "ương", "huyền"),
        ("uống", "", "uông", "sắc"),
        ("yêu", "", "yêu", "ngang"),
        ("ở", "", "ơ", "hỏi"),
        ("cua", "c", "ua", "ngang"),
        ("loẻng", "l", "oeng", "hỏi"),
        ("kạn", "k", "an", "nặng"),
        ("đắk", "đ", "ăk", "sắc"),
    ],
)
def test_a_word_is_taken_apart(word, onset, rime, tone):
    assert parse(word) == Syllable(onset, rime, tone)


@pytest.mark.parametrize(
    ("word", "onset", "rime"),
    [
        ("gì", "gi", "i"),
        ("gìn", "gi", "in"),
        ("già", "gi", "a"),
        ("giữa", "gi", "ưa"),
        ("giêng", "gi", "iêng"),
        ("giết", "gi", "iêt"),
        ("giễu", "gi", "iêu"),
        ("giề", "gi", "ê"),
        ("giúp", "gi", "up"),
        ("gà", "g", "a"),
    ],
)
def test_gi_is_one_onset_and_swallows_an_i(word, onset, rime):
    assert (parse(word).onset, parse(word).rime) == (onset, rime)


@pytest.mark.parametrize(
    ("word", "rime"),
    [
        ("quốc", "ôc"),
        ("quyển", "yên"),
        ("quý", "y"),
        ("quí", "i"),
        ("quả", "a"),
        ("quýt", "yt"),
        ("quơ", "ơ"),
    ],
)
def test_qu_is_one_onset(word, rime):
    assert parse(word).onset == "qu"
    assert parse(word).rime == rime


@pytest.mark.parametrize(
    ("one", "other"), [("hoà", "hòa"), ("thuỷ", "thủy"), ("toán", "tóan"), ("qúy", "quý")]
)
def test_the_tone_mark_may_stand_on_any_vowel(one, other):
    assert parse(one) == parse(other)


def test_i_and_y_stay_as_they_are_written():
    assert parse("kỹ") == Syllable("k", "y", "ngã")
    assert parse("kĩ") == Syllable("k", "i", "ngã")


def test_case_and_composition_make_no_difference():
    for word in (
        "TIẾNG",
        "Tiếng",
        unicodedata.normalize("NFD", "tiếng"),
        unicodedata.normalize("NFD", "TIẾNG"),
    ):
        assert parse(word) == parse("tiếng")


@pytest.mark.parametrize(
    "word",
    [
        *("", " ", "b", "đ", "123", "h2o", "hello", "gen", "km", "tp", "ceo", "việtnam"),
        *("lưỡí", "cuờng", "ngía", "iêu", "giia", "quu", "kưa?", " ta", "ta "),
        *("tá\u0301", "ta\u0308", "ta\u200b", "か", "а", "ａ"),
    ],
)
def test_what_is_no_syllable(word):
    assert parse(word) is None


@pytest.mark.parametrize("word", ["bat", "còc", "sảch", "họp\u0301", "đẽp"])
def test_after_a_stop_there_are_two_tones_only(word):
    assert parse(word) is None


def test_a_tone_that_was_left_out_can_be_let_through():
    assert parse("bat", any_tone=True) == Syllable("b", "at", "ngang")
    assert parse("bat", any_tone=True) != parse("bát", any_tone=True)
    assert parse("hello", any_tone=True) is None


def test_every_syllable_comes_back_from_its_spelling():
    assert 17_000 < len(ALL) < 20_000
    assert all(parse(compose(syllable)) == syllable for syllable in ALL)
    assert len({compose(syllable) for syllable in ALL}) == len(ALL)


def test_the_tone_mark_stands_where_the_older_style_puts_it():
    assert all(place_tone(compose(syllable)) == compose(syllable) for syllable in ALL)
    wanted = "hòa khỏe thủy quý già gì gìn giếng của mía khuỷu thuở ruồi rượu ngoằn khuya quyển"
    assert [compose(parse(word)) for word in wanted.split()] == wanted.split()


@given(st.sampled_from(ALL), st.integers(0, 3), st.sampled_from(["NFC", "NFD"]), st.booleans())
def test_any_style_of_writing_gives_the_one_spelling(syllable, place, form, upper):
    bare = "".join(ch for ch in unicodedata.normalize("NFD", compose(syllable)) if ch not in TONES.values())
    bare = unicodedata.normalize("NFC", bare)
    vowels = [at for at, ch in enumerate(bare) if strip_marks(ch) in "aeiouy"]
    at = vowels[place % len(vowels)]
    typed = unicodedata.normalize(form, bare[: at + 1] + TONES[syllable.tone] + bare[at + 1 :])
    assert parse(typed.upper() if upper else typed) == syllable
    assert place_tone(unicodedata.normalize("NFC", typed)) == compose(syllable)


@given(st.text(max_size=30))
def test_no_text_is_a_crash(text):
    found = parse(text)
    assert found is None or compose(found) == place_tone(unicodedata.normalize("NFC", text.lower()))
    assert tone_of(text) in (*TONES, None)


def test_a_very_long_word_is_no_syllable():
    assert parse("a" * 1_000_000) is None
    assert parse("a" + "\u0301" * 1_000_000) is None
    assert place_tone("à" * 1_000_000) == "à" * 1_000_000


@pytest.mark.parametrize(
    "parts",
    [("c", "e", "ngang"), ("k", "oa", "ngang"), ("b", "xx", "sắc"), ("b", "a", "rising"), ("q", "a", "sắc")],
)
def test_parts_that_do_not_go_together_are_refused(parts):
    with pytest.raises(InputError) as caught:
        compose(Syllable(*parts))
    assert caught.value.code == "syllable.unknown"


@pytest.mark.parametrize(
    ("word", "tone"),
    [
        *(("ma", "ngang"), ("mà", "huyền"), ("má", "sắc"), ("mả", "hỏi"), ("mã", "ngã"), ("mạ", "nặng")),
        *(("café", "sắc"), ("123", "ngang"), ("má mà", None)),
    ],
)
def test_tone_of_any_word(word, tone):
    assert tone_of(word) == tone
    assert tone_of(unicodedata.normalize("NFD", word)) == tone


def test_marks_are_stripped_and_nothing_else():
    assert strip_marks("Đường phố Hà Nội, café ở Zürich: 50 %!") == "Duong pho Ha Noi, cafe o Zurich: 50 %!"
    assert strip_marks("한국 Москва й か゛ ½ ﬁ") == "한국 Москва й か゛ ½ ﬁ"
    assert strip_marks(unicodedata.normalize("NFD", "Tiếng Việt đẹp")) == "Tieng Viet dep"


@given(st.text(max_size=40))
def test_stripping_keeps_positions_and_is_done_after_once(text):
    composed = unicodedata.normalize("NFC", text)
    assert len(strip_marks(text)) == len(composed)
    assert strip_marks(strip_marks(text)) == strip_marks(text)


class TestTables:
    def test_every_example_has_the_rime_or_onset_of_its_line(self):
        for line in read_table("rimes.tsv"):
            assert parse(line["example"]).rime == line["rime"]
        for line in read_table("onsets.tsv"):
            assert parse(line["example"]).onset == line["onset"].replace("·", "")

    def test_every_rime_and_onset_is_used(self):
        assert {syllable.onset for syllable in ALL} == set(onsets())
        assert {syllable.rime for syllable in ALL} == set(rimes())

    def test_every_line_of_a_table_has_every_column(self):
        assert all(all(cell for cell in line.values()) for line in read_table("rimes.tsv"))


@real_text
@pytest.mark.parametrize(("name", "share"), [("viet74k.txt", 0.985), ("vtb_train.txt", 0.98)])
def test_nearly_every_word_of_real_text_is_a_syllable(name, share):
    words = re.findall(r"[^\W\d_]+", (REAL_TEXT / name).read_text(encoding="utf-8"))
    assert sum(parse(word) is not None for word in words) > share * len(words)


@real_text
def test_what_is_left_out_of_a_word_list_is_foreign_or_misspelled():
    words = Counter(re.findall(r"[^\W\d_]+", (REAL_TEXT / "viet74k.txt").read_text(encoding="utf-8").lower()))
    marked = {word: n for word, n in words.items() if tone_of(word) != "ngang" and len(word) <= 7}
    missed = [word for word in marked if parse(word) is None]
    assert len(missed) < 0.025 * len(marked)
