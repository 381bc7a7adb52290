"""Numbers in words and back: exact both ways."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonoloop.core.errors import InputError
from phonoloop.text.normalise import to_spoken, to_written
from phonoloop.text.numbers import number_to_words, roman_to_number, words_to_number

MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "không"),
        (1, "một"),
        (4, "bốn"),
        (5, "năm"),
        (10, "mười"),
        (11, "mười một"),
        (14, "mười bốn"),
        (15, "mười lăm"),
        (20, "hai mươi"),
        (21, "hai mươi mốt"),
        (24, "hai mươi tư"),
        (25, "hai mươi lăm"),
        (55, "năm mươi lăm"),
        (100, "một trăm"),
        (101, "một trăm linh một"),
        (104, "một trăm linh bốn"),
        (105, "một trăm linh năm"),
        (110, "một trăm mười"),
        (115, "một trăm mười lăm"),
        (1000, "một nghìn"),
        (1005, "một nghìn không trăm linh năm"),
        (1010, "một nghìn không trăm mười"),
        (10_001, "mười nghìn không trăm linh một"),
        (1_000_005, "một triệu không trăm linh năm"),
        (1_000_500, "một triệu không nghìn năm trăm"),
        (2_300_000_000, "hai tỷ ba trăm triệu"),
        (10**12, "một nghìn tỷ"),
        (10**18, "một tỷ tỷ"),
        (-7, "âm bảy"),
        (Decimal("3.5"), "ba phẩy năm"),
        (Decimal("-0.05"), "âm không phẩy không năm"),
        (Decimal("3.50"), "ba phẩy năm mươi"),
        (Decimal("0.125"), "không phẩy một hai năm"),
    ],
)
def test_words_of_a_number_and_back(number, words):
    assert number_to_words(number) == words
    assert words_to_number(words) == number


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("Một ngàn lẻ một", 1001),
        ("hai mươi bốn", 24),
        ("ba mươi nhăm", 35),
        ("hai mốt", 21),
        ("một trăm hai", 120),
        ("một nghìn hai", 1200),
        ("hai triệu ba", 2_300_000),
        ("hai triệu rưỡi", 2_500_000),
        ("một trăm rưỡi", 150),
        ("ba tỉ rưỡi", 3_500_000_000),
        ("bẩy", 7),
        ("nửa", Decimal("0.5")),
        ("hai nghìn hai mươi", 2020),
    ],
)
def test_other_ways_of_saying_it_are_understood(words, number):
    assert words_to_number(words) == number


@pytest.mark.parametrize(
    "text", ["", "người", "trăm", "mười năm", "một trăm năm", "hai tỷ lệ", "một hai", "hai tỷ ba tỷ", "linh"]
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(InputError) as refused:
        words_to_number(text)
    assert refused.value.code == "number.not_words"


def test_a_number_without_words_is_refused():
    with pytest.raises(InputError) as refused:
        number_to_words(Decimal("NaN"))
    assert refused.value.code == "number.not_finite"


@given(st.integers(-(10**30), 10**30))
def test_every_whole_number_comes_back(number):
    assert words_to_number(number_to_words(number)) == number


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_every_decimal_comes_back(number):
    assert words_to_number(number_to_words(number)) == number


def test_all_small_numbers_and_a_sample_of_the_others_come_back():
    sample = [*range(12_000), *random.Random(1).sample(range(1_000_001), 30_000), 1_000_000]
    assert [n for n in sample if words_to_number(number_to_words(n)) != n] == []


@pytest.mark.long
def test_all_numbers_to_a_million_come_back_as_words_and_as_text():
    assert [n for n in range(1_000_001) if words_to_number(number_to_words(n)) != n] == []
    assert [n for n in range(1, 1_000_001) if round_trip(str(n)) != str(n)] == []


def test_a_sample_of_numbers_comes_back_as_text():
    sample = [*range(1, 1200), *random.Random(4).sample(range(1_000_001), 3000), 1_000_000]
    assert [n for n in sample if round_trip(str(n)) != str(n)] == []
    assert to_written("không").text == "không", "an answer, and no zero"


@pytest.mark.parametrize(
    ("roman", "number"), [("I", 1), ("IV", 4), ("XIX", 19), ("XXI", 21), ("MCMXLV", 1945)]
)
def test_roman_numerals(roman, number):
    assert roman_to_number(roman) == number


@pytest.mark.parametrize("letters", ["", "IIII", "VX", "IC", "ABC", "iv", "XIXI"])
def test_letters_that_are_no_roman_numeral(letters):
    assert roman_to_number(letters) is None


def round_trip(text: str) -> str:
    return to_written(to_spoken(text).text).text


def a_date(rng: random.Random) -> str:
    month = rng.randint(1, 12)
    return f"{rng.randint(1, MONTHS[month - 1])}/{month}/{rng.randint(1000, 2999)}"


def a_formal_date(rng: random.Random) -> str:
    day, month, year = a_date(rng).split("/")
    return f"ngày {day} tháng {month} năm {year}"


def a_time(rng: random.Random) -> str:
    return f"{rng.randint(0, 23)}h{rng.randint(1, 59):02}"


def a_time_with_seconds(rng: random.Random) -> str:
    return f"{rng.randint(0, 23)}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}"


def a_sum(rng: random.Random) -> str:
    """In full, but not a round number of millions: people write those as 5 triệu."""
    value = rng.randrange(10 ** rng.randint(2, 13))
    value += 1000 if value % 1_000_000 == 0 else 0
    return f"{value:,} đồng".replace(",", ".")


def a_round_sum(rng: random.Random) -> str:
    scale, unit = rng.choice(["triệu", "tỷ"]), rng.choice(["đồng", "USD"])
    return rng.choice(
        [f"{rng.randint(1, 999)} {scale} {unit}", f"{rng.randint(2, 99)},{rng.randint(1, 9)} {scale} {unit}"]
    )


KINDS = (a_date, a_formal_date, a_time, a_time_with_seconds, a_sum, a_round_sum)


def lost(count: int, seed: int) -> list[tuple[str, str]]:
    """Of so many dates, times and sums those that came back as something else."""
    rng = random.Random(seed)
    texts = (KINDS[i % len(KINDS)](rng) for i in range(count))
    return [(text, back) for text in texts if (back := round_trip(text)) != text]


def test_a_sample_of_dates_times_and_sums_comes_back():
    assert lost(6000, seed=2) == []


@pytest.mark.long
def test_a_hundred_thousand_dates_times_and_sums_come_back():
    assert lost(100_000, seed=3) == []
