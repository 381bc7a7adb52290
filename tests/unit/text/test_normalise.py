import time
import unicodedata

import pytest

from phonoloop.text.normalise import (
    NORMALISER_VERSION,
    display,
    for_scoring,
    for_training,
    is_vietnamese,
    normalise,
    to_spoken,
    to_written,
)
from phonoloop.text.vietnamese import place_tone, vietnamese_letters


@pytest.mark.parametrize(
    ("written", "scored"),
    [
        ("Xin chào, Việt Nam!", "xin chào việt nam"),
        ("  hai \t ba\r\nbốn ", "hai ba bốn"),
        ("“Vâng” – anh nói…", "vâng anh nói"),
        ("don’t e‑mail", "don't e-mail"),
        ("'tis rock 'n' roll-", "tis rock n roll"),
        ("chào.tạm biệt", "chào tạm biệt"),
        (
            "1.000,5 đồng lúc 10:30 ngày 2/9, 10–20 người",
            "một nghìn phẩy năm đồng lúc mười giờ ba mươi ngày hai tháng chín mười đến hai mươi người",
        ),
        ("Hà Nội–Huế", "hà nội huế"),
        ("a\u200bb\ufeffc\u00add", "abcd"),
        ("một\u00a0hai\u3000ba", "một hai ba"),
        ("giá 50% 🙂 rẻ", "giá năm mươi phần trăm rẻ"),
        ("\ud800 nửa ký tự", "nửa ký tự"),
        ("\u0301 dấu lạc", "dấu lạc"),
        ("ĐƯỜNG", "đường"),
        ("", ""),
        ("…?!", ""),
    ],
)
def test_scoring_form(written, scored):
    assert for_scoring(written) == scored


@pytest.mark.parametrize(
    ("written", "scored"),
    [
        ("$1,000.5 at 10:30 on 2/9, 10–20 people", "1,000.5 at 10:30 on 2/9 10-20 people"),
        ("50% of the UN's TP. 🙂", "50 of the un's tp"),
        ("Việt Nam có 10 người", "việt nam có 10 người"),
    ],
)
def test_digits_and_abbreviations_of_other_languages_stay(written, scored):
    assert for_scoring(written, "en") == for_training(written, "en-GB") == scored


@pytest.mark.parametrize("language", ["vi", "vi-VN", "VI_vn"])
def test_a_digit_is_the_word_that_is_said_for_it(language):
    assert for_scoring("Có 10 người, 25 kg", language) == for_scoring(
        "có mười người hai mươi lăm ki lô gam", language
    )
    assert for_training("10h30", language) == "mười giờ ba mươi"


@pytest.mark.parametrize("language", ["", "en", "vie", "fr-VI"])
def test_only_vietnamese_is_spoken_as_vietnamese(language):
    assert not is_vietnamese(language)
    assert for_training("10 h", language) == "10 h"


@pytest.mark.parametrize(
    ("said", "scored"),
    [
        ("một ngàn lẻ năm", "một nghìn linh năm"),
        ("hai mươi bốn", "hai mươi tư"),
        ("ba mươi nhăm", "ba mươi lăm"),
        ("bẩy rưởi", "bảy rưỡi"),
        ("số lẻ, đi bốn người", "số lẻ đi bốn người"),
        ("kĩ sư, bác sỹ", "kỹ sư bác sĩ"),
    ],
)
def test_the_same_word_of_another_region_is_no_error(said, scored):
    assert for_scoring(said) == scored


def test_training_keeps_the_number_words_that_were_said():
    assert for_training("Một ngàn lẻ năm") == "một ngàn lẻ năm"


def test_what_is_left_to_say_in_lower_case_is_said_too():
    assert for_scoring("(tp.hcm), A–4") == for_scoring(for_scoring("(tp.hcm), A–4"))


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("hoà", "hòa"),
        ("khoẻ", "khỏe"),
        ("thuỷ", "thủy"),
        ("loà", "lòa"),
        ("tóan", "toán"),
        ("hùynh", "huỳnh"),
        ("qúy", "quý"),
        ("gìa", "già"),
    ],
)
def test_both_places_of_the_tone_mark_are_one_word(newer, older):
    assert for_scoring(newer) == for_scoring(older) == older


@pytest.mark.parametrize(
    "word",
    [
        "quý",
        "quà",
        "già",
        "gì",
        "giếng",
        "gìn",
        "của",
        "mía",
        "múa",
        "hòa",
        "hoàn",
        "toán",
        "khuỷu",
        "khuya",
        "thuở",
        "nghiêng",
        "muỗng",
        "rượu",
        "ruồi",
        "ngoằn",
        "ngoéo",
        "yến",
        "yếu",
        "uống",
        "ước",
        "ấy",
        "ừ",
        "ờ",
        "à",
        "xoài",
        "khoáy",
        "người",
        "những",
        "đã",
        "café",
        "día",
        "olé",
        "naïve",
    ],
)
def test_words_that_are_already_right_or_not_vietnamese_stay(word):
    assert place_tone(word) == word


def test_composed_and_decomposed_text_are_one_text():
    text = "Tiếng Việt: những người khuất mắt, khuỷu"
    assert for_scoring(unicodedata.normalize("NFD", text)) == for_scoring(text)


def test_training_text_is_what_is_scored_and_keeps_fillers():
    assert for_training("Ờ… thì, ừm, Hoà đi") == "ờ thì ừm hòa đi"


def test_display_keeps_what_was_written_but_not_what_nobody_sees():
    assert display("  “Hoà\u200b bình”,\n 1.000 đ! ") == "“Hoà bình”, 1.000 đ!"


def test_the_alphabet_has_every_letter_once():
    letters = vietnamese_letters()
    assert len(letters) == len(set(letters)) == 12 * 6 + 21
    assert set("đăâêôơưỡặểỵ") <= set(letters)


def test_version_is_a_name_that_can_stand_beside_a_figure():
    assert NORMALISER_VERSION == "spoken-vi-2"


HARD_TO_SCAN = [
    "a",
    "1",
    "1.",
    "1,",
    "-1",
    "1-",
    "ờ ",
    "a@",
    "a.",
    "x1",
    "\u0301",
    "mười ",
    "một ",
    "A.",
    "XYZ ",
]


@pytest.mark.parametrize("part", HARD_TO_SCAN)
@pytest.mark.parametrize("form", [normalise, to_spoken, to_written, for_scoring])
def test_no_line_takes_longer_than_its_length_asks(form, part):
    """A rule that looked back or ahead without end would take minutes for each of these."""
    began_s = time.process_time()
    form(part * 15_000)
    assert time.process_time() - began_s < 10
