import pytest

from phonoloop.core.errors import ResourceError
from phonoloop.text import alignment, error_rates
from phonoloop.text.error_rates import (
    Counts,
    Edit,
    align,
    by_class,
    char_errors,
    score,
    syllable_errors,
    total,
    word_errors,
)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "counts"),
    [
        ("một hai ba", "một hai ba", Counts(0, 0, 0, 3)),
        ("một hai ba", "một bốn ba", Counts(1, 0, 0, 3)),
        ("một hai ba", "một ba", Counts(0, 1, 0, 3)),
        ("một hai ba", "một hai hai ba", Counts(0, 0, 1, 3)),
        ("một hai ba", "", Counts(0, 3, 0, 3)),
        ("", "một hai", Counts(0, 0, 2, 0)),
        ("", "", Counts(0, 0, 0, 0)),
    ],
)
def test_word_errors(reference, hypothesis, counts):
    assert word_errors(reference, hypothesis) == counts


def test_alignment_says_what_became_of_each_word():
    ops = align(["a", "b", "c", "d"], ["a", "x", "c", "d", "e"])
    assert [(op.edit, op.reference, op.hypothesis) for op in ops] == [
        (Edit.MATCH, "a", "a"),
        (Edit.SUBSTITUTE, "b", "x"),
        (Edit.MATCH, "c", "c"),
        (Edit.MATCH, "d", "d"),
        (Edit.INSERT, "", "e"),
    ]
    assert align(["a"], []) == [error_rates.Op(Edit.DELETE, "a", "")]


def test_characters_count_the_space_between_words_once():
    assert char_errors("ab  cd", "ab cd") == Counts(reference=5)
    assert char_errors("ab cd", "abcd").deletions == 1


def test_syllables_are_cut_at_hyphens():
    assert syllable_errors("xi-măng tốt", "xi măng tốt") == Counts(reference=3)
    assert word_errors("xi-măng tốt", "xi măng tốt").errors == 2


def test_parts_of_syllables_are_counted_in_vietnamese_only():
    assert score("má", "mà").parts.tone.errors == 1
    assert score("can to", "can do", "en").parts == score("", "", "en").parts


def test_score_compares_the_scoring_forms():
    scores = score("Hoà bình!", "hòa bình")
    assert scores.words == Counts(reference=2)
    assert (scores + scores).words.reference == 4


def test_rate_of_many_is_over_all_words_not_a_mean_of_rates():
    both = total([Counts(1, 0, 0, 1), Counts(0, 0, 0, 99)])
    assert both.rate == pytest.approx(0.01)


def test_rate_without_a_reference_is_a_number():
    assert Counts().rate == 0.0
    assert Counts(insertions=5).rate == 1.0


def test_by_class_adds_up_each_class():
    classes = by_class(
        [("nam", Counts(1, 0, 0, 2)), ("bắc", Counts(0, 0, 0, 4)), ("nam", Counts(0, 0, 0, 2))]
    )
    assert list(classes) == ["bắc", "nam"]
    assert classes["nam"] == Counts(1, 0, 0, 4)


def test_texts_that_would_not_fit_in_memory_are_refused(monkeypatch):
    monkeypatch.setattr(alignment, "_MOST_CELLS", 8)
    with pytest.raises(ResourceError) as caught:
        word_errors("a b c", "d e f")
    assert caught.value.code == "text.too_long"
