"""The lines between a job's child process and its runner."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.jobs.progress import Eta, Failure, Report, Result, parse_line, to_line

json_values = st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none())
plain_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
lines = st.one_of(
    st.builds(
        Report,
        plain_text,
        st.floats(0, 1),
        st.none() | st.floats(0, 1e9),
        json_values,
    ),
    st.builds(Result, json_values),
    st.builds(Failure, plain_text.filter(bool), plain_text.filter(bool), plain_text, st.booleans()),
)


@settings(deadline=None)
@given(lines)
def test_what_is_written_is_what_is_read(line):
    text = to_line(line)
    assert "\n" not in text
    assert parse_line(text) == line


@pytest.mark.parametrize("text", ["", "epoch 3", "{", "[1]", "3", '{"loss": 1}', '{"result": 3}'])
def test_what_libraries_print_is_no_line(text):
    assert parse_line(text) is None


def test_numbers_that_json_has_no_word_for_become_null():
    line = parse_line(to_line(Report("train", 0.5, math.inf, {"loss": math.nan, "all": [math.inf, 1.0]})))
    assert line == Report("train", 0.5, None, {"loss": None, "all": [None, 1.0]})


@pytest.mark.parametrize(("told", "kept"), [(-1, 0.0), (7, 1.0), ("half", 0.0), (True, 0.0), (None, 0.0)])
def test_progress_is_between_0_and_1(told, kept):
    assert (
        parse_line(
            f'{{"stage": "train", "progress": {told!r}}}'.replace("'", '"')
            .replace("T", "t")
            .replace("None", "null")
        ).progress
        == kept
    )


def test_text_that_records_cannot_keep_is_cleaned():
    assert parse_line('{"stage": "a\\u0000b\\ud800", "progress": 0}').stage == "ab?"


def test_an_error_without_words_still_has_a_code():
    assert parse_line('{"error": {}}') == Failure("internal", "it did not say why")


class TestEta:
    def test_by_the_pace_since_the_start(self):
        times = iter([100.0, 110.0])
        eta = Eta(clock=lambda: next(times))
        assert eta.at(0.25) == pytest.approx(30.0)

    def test_a_resumed_job_is_timed_from_where_it_resumed(self):
        times = iter([0.0, 10.0])
        eta = Eta(start=0.5, clock=lambda: next(times))
        assert eta.at(0.75) == pytest.approx(10.0)

    def test_without_a_pace_there_is_none(self):
        assert Eta(start=0.5).at(0.5) is None
