"""Errors by tone, onset and rime."""

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.text.alignment import Counts, Edit, align, align_nearest
from phonoloop.text.error_rates import Scores, score
from phonoloop.text.phonetics import distance_matrix
from phonoloop.text.syllable_errors import Confusion, SyllableParts, part_errors, top_confusions
from phonoloop.text.syllables import all_syllables, compose

ALL = sorted(map(compose, all_syllables()))
SENTENCES = st.lists(st.sampled_from([*ALL[::97], "hello", "12"]), max_size=8).map(" ".join)


def errors(parts):
    return parts.tone.errors, parts.onset.errors, parts.rime.errors


@pytest.mark.parametrize(
    ("said", "heard", "tone", "onset", "rime"),
    [
        ("tiếng việt", "tiếng việt", 0, 0, 0),
        ("tiếng việt", "tiêng việt", 1, 0, 0),
        ("tiếng việt", "tiếng biệt", 0, 1, 0),
        ("tiếng việt", "tiến việt", 0, 0, 1),
        ("tiếng việt", "tiếng bệt", 0, 1, 1),
        ("tiếng việt", "tiếng mạ", 0, 1, 1),
        ("tiếng việt", "tiếng", 1, 1, 1),
        ("tiếng việt", "tiếng việt nam", 1, 1, 1),
        ("tiếng việt", "", 2, 2, 2),
        ("tiếng việt", "tiếng 12", 1, 1, 1),
        ("tiếng việt", "tiếng facebook", 1, 1, 1),
        ("tiếng việt", "tiếmg việt", 0, 0, 1),
        ("tiếng việt", "tiếng vịệt", 1, 1, 1),
        ("tiếng việt", "tiếng bvệt", 0, 1, 1),
        ("bát cơm", "bat cơm", 1, 0, 0),
    ],
)
def test_an_error_counts_in_the_parts_that_differ(said, heard, tone, onset, rime):
    parts = part_errors(said, heard)
    assert errors(parts) == (tone, onset, rime)
    assert parts.tone.reference == parts.onset.reference == parts.rime.reference == 2


@pytest.mark.parametrize(
    ("said", "heard", "tone", "onset", "rime"),
    [
        ("kim", "cam", 0, 0, 1),
        ("ghi", "ga", 0, 0, 1),
        ("nghe", "nga", 0, 0, 1),
        ("quá", "cá", 0, 0, 1),
        ("quá", "hoá", 0, 1, 0),
        ("quyên", "thuyên", 0, 1, 0),
        ("kĩ", "kỹ", 0, 0, 0),
        ("yêu", "hiêu", 0, 1, 0),
        ("dành", "giành", 0, 1, 0),
        ("gì", "ghì", 0, 1, 0),
        ("quốc", "cuốc", 0, 0, 1),
    ],
)
def test_parts_are_compared_as_the_spelling_sounds(said, heard, tone, onset, rime):
    assert errors(part_errors(said, heard)) == (tone, onset, rime)


def test_words_that_are_no_syllables_are_left_out_of_the_reference():
    parts = part_errors("tôi dùng facebook 3 lần", "tôi dùng phây 3 lần")
    assert errors(parts) == (0, 0, 0)
    assert (parts.tone.reference, parts.words) == (3, 5)
    assert parts.vietnamese is False
    assert part_errors("tôi dùng facebook", "").vietnamese is True
    assert part_errors("the cat sat on the mat with its tail", "").vietnamese is False
    assert SyllableParts().vietnamese is False


def test_replaced_syllables_are_aligned_by_sound():
    parts = part_errors("xin chào các bạn", "trào các bạn")
    assert (parts.onset.substitutions, parts.onset.deletions) == (1, 1)
    assert [(one.said, one.heard) for one in top_confusions(parts, "onset")] == [("ch", "tr")]


def test_what_is_confused_with_what():
    parts = part_errors("ngã ngã mã anh quốc bà chào", "ngả ngả ma 12 quắc à chàmo")
    assert top_confusions(parts, "tone") == [
        Confusion("tone", "ngã", "hỏi", 2),
        Confusion("tone", "ngã", "ngang", 1),
    ]
    assert [(c.said, c.heard) for c in top_confusions(parts, "rime")] == [("(qu)ôc", "oăc")]
    assert [(c.said, c.heard) for c in top_confusions(parts, "onset")] == [("b", "·")]
    assert parts.confusions[("rime", "ao", "?")] == 1
    assert parts.misspelled == 2
    assert len(top_confusions(parts, "tone", most=1)) == 1


@settings(deadline=None)
@given(SENTENCES, SENTENCES)
def test_parts_agree_with_syllables(said, heard):
    scores = score(said, heard)
    assert all(n <= scores.syllables.errors for n in errors(scores.parts))
    if scores.syllables.errors == 0:
        assert errors(scores.parts) == (0, 0, 0)
        assert scores.parts.confusions == {}


@settings(deadline=None)
@given(SENTENCES, SENTENCES, SENTENCES, SENTENCES)
def test_parts_add_up(one, heard_one, other, heard_other):
    first, second = score(one, heard_one), score(other, heard_other)
    assert (first + second).parts == (second + first).parts
    assert first + Scores() == first
    assert (first + second).parts.tone.reference == first.parts.tone.reference + second.parts.tone.reference


@settings(deadline=None)
@given(SENTENCES, SENTENCES)
def test_aligning_by_sound_makes_no_more_errors(said, heard):
    ref, hyp = said.split(), heard.split()
    plain = [op.edit for op in align(ref, hyp)]
    near = [op.edit for op in align_nearest(ref, hyp, distance_matrix(ref, hyp))]
    assert len(near) - near.count(Edit.MATCH) == len(plain) - plain.count(Edit.MATCH)
    if ref:
        assert (len(near) - near.count(Edit.MATCH)) / len(ref) == pytest.approx(jiwer.wer(said, heard))


def test_empty_texts():
    assert part_errors("", "") == SyllableParts(Counts(), Counts(), Counts())
    assert errors(part_errors("", "ba")) == (1, 1, 1)
