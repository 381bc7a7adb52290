"""A change says where it was made; a list of changes remakes the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonoloop.core.errors import InputError
from phonoloop.text.corrections import Correction, Rewritten, apply, compose


def change(text: str, before: str, after: str, rule: str = "r", confidence: float = 1.0) -> Correction:
    start = text.index(before)
    return Correction(start, start + len(before), before, after, rule, confidence)


def test_corrections_count_characters_of_the_input():
    text = "10 kg và 20 m"
    changes = [change(text, "20 m", "hai mươi mét"), change(text, "10 kg", "mười ki lô gam")]

    assert apply(text, changes) == "mười ki lô gam và hai mươi mét"


def test_an_insertion_takes_no_room():
    assert apply("ab", [Correction(1, 1, "", "-", "r")]) == "a-b"


@pytest.mark.parametrize(
    "wrong",
    [
        [Correction(0, 2, "xy", "", "r")],
        [Correction(0, 2, "ab", "", "r"), Correction(1, 3, "bc", "", "r")],
        [Correction(2, 1, "", "", "r")],
        [Correction(0, 9, "abc", "", "r")],
    ],
)
def test_a_correction_of_another_text_is_refused(wrong):
    with pytest.raises(InputError) as refused:
        apply("abc", wrong)

    assert refused.value.code == "correction.mismatch"


def test_the_least_certain_change_says_how_certain_a_text_is():
    assert Rewritten("a").confidence == 1.0
    assert (
        Rewritten("a", (Correction(0, 1, "b", "a", "r", 0.4), Correction(1, 1, "", "", "s"))).confidence
        == 0.4
    )


def test_two_stages_in_a_row_become_one_list():
    text = "tp hcm 10 kg"
    first = [change(text, "tp", "thành phố")]
    middle = apply(text, first)
    second = [change(middle, "10", "mười"), change(middle, "thành phố hcm", "Thành phố", "s", 0.5)]

    both = compose(text, first, second)

    assert both == (Correction(0, 6, "tp hcm", "Thành phố", "r+s", 0.5), Correction(7, 9, "10", "mười", "r"))


def test_a_change_that_is_taken_back_is_no_change():
    assert compose("a", [Correction(0, 1, "a", "b", "r")], [Correction(0, 1, "b", "a", "s")]) == ()


@st.composite
def a_text_with_corrections(draw, text):
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
    after = st.text(alphabet="xyz", max_size=3)
    return [Correction(a, b, text[a:b], draw(after), "r") for a, b in pairs]


@given(st.data(), st.text(alphabet="abc", max_size=12))
def test_the_one_list_gives_what_the_two_gave(data, text):
    first = data.draw(a_text_with_corrections(text))
    middle = apply(text, first)
    second = data.draw(a_text_with_corrections(middle))

    both = compose(text, first, second)

    assert apply(text, both) == apply(middle, second)
    assert all(c.before != c.after for c in both)
