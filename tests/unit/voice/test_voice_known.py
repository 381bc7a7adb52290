"""A text that came along is given to a clip only where it is sure to be in it."""

import pytest

from phonoloop.data.sidecar import TimedText
from phonoloop.testing.voice_texts import clip, source
from phonoloop.voice.known import Known, known_texts, laid_over


def timed(*segments):
    return source(timed=tuple(TimedText(*segment) for segment in segments))


def test_segments_inside_a_clip_are_its_text_in_their_order():
    clips = [clip("a", 0, 4), clip("b", 4, 9)]
    said = timed((100, 1_900, "một"), (2_000, 3_900, "hai"), (4_100, 8_000, "ba"))
    assert known_texts(said, clips) == {"a": Known("một hai"), "b": Known("ba")}


def test_a_little_over_the_edge_is_still_inside():
    clips = [clip("a", 0, 4), clip("b", 4, 9)]
    assert known_texts(timed((0, 4_140, "một")), clips) == {"a": Known("một")}


def test_silence_that_was_dropped_around_a_clip_does_not_matter():
    assert known_texts(timed((0, 3_000, "một")), [clip("a", 0.7, 2.4)]) == {"a": Known("một")}


def test_a_clip_that_holds_less_than_half_of_a_text_does_not_get_it():
    assert known_texts(timed((0, 4_000, "một hai ba bốn")), [clip("a", 0, 1.5)]) == {}


def test_a_text_that_a_cut_goes_through_is_split_at_the_mark_that_is_there():
    clips = [clip("a", 0, 5), clip("b", 5.2, 10)]
    known = known_texts(timed((0, 10_000, "Trời hôm nay đẹp quá, ta đi chơi nhé!")), clips)
    assert known == {
        "a": Known("Trời hôm nay đẹp quá,", split=True),
        "b": Known("ta đi chơi nhé!", split=True),
    }


def test_a_text_in_three_clips_is_split_twice():
    clips = [clip("a", 0, 2), clip("b", 2, 4), clip("c", 4, 6)]
    known = known_texts(timed((0, 6_000, "một hai ba, bốn năm sáu. bảy tám chín")), clips)
    assert [known[one].text for one in "abc"] == ["một hai ba,", "bốn năm sáu.", "bảy tám chín"]


@pytest.mark.parametrize(
    "said", ["Trời hôm nay đẹp quá ta đi chơi nhé", "Trời, hôm nay đẹp quá ta đi chơi nhé"]
)
def test_where_no_mark_is_near_the_cut_neither_clip_gets_a_text(said):
    clips = [clip("a", 0, 5), clip("b", 5, 10), clip("c", 10, 12)]
    assert known_texts(timed((0, 10_000, said), (10_000, 12_000, "ba")), clips) == {"c": Known("ba")}


def test_where_two_marks_are_as_near_neither_clip_gets_a_text():
    clips = [clip("a", 0, 5), clip("b", 5, 10)]
    assert known_texts(timed((0, 10_000, "Ta đã gặp Lan, Mai, Cúc và Đào rồi")), clips) == {}


def test_one_unsure_text_takes_a_clips_other_texts_with_it():
    clips = [clip("a", 0, 5), clip("b", 5, 10)]
    assert known_texts(timed((0, 2_000, "một"), (2_000, 8_000, "hai ba bốn")), clips) == {}


def test_a_text_where_no_clip_is_belongs_to_nobody():
    assert known_texts(timed((8_000, 9_000, "một")), [clip("a", 0, 5)]) == {}


def test_a_refused_clip_takes_its_text_away_from_the_others():
    clips = [clip("a", 0, 5, refused=("music",)), clip("b", 5, 10)]
    assert known_texts(timed((0, 4_900, "một"), (5_100, 9_000, "hai")), clips)["b"] == Known("hai")


def test_one_text_for_one_clip():
    said = source(text="xin chào")
    assert known_texts(said, [clip("a")]) == {"a": Known("xin chào")}
    assert known_texts(said, [clip("a"), clip("b", 2, 3)]) == {}
    assert known_texts(source(), [clip("a")]) == {}


# ---------------------------------------------------------------- a text without times


def test_a_text_without_times_is_divided_by_what_was_heard():
    said = "Hôm nay trời đẹp, chúng ta đi chơi. Ngày mai có 2 cuộc họp."
    heard = ["hôm nay trời đẹp", "chúng ta đi chới", "ngày mai có hai cuộc họp"]
    assert laid_over(said, heard, "vi") == [
        "Hôm nay trời đẹp,",
        "chúng ta đi chơi.",
        "Ngày mai có 2 cuộc họp.",
    ]


def test_words_that_were_not_heard_inside_a_clip_are_its_own():
    assert laid_over("một hai ba bốn năm sáu", ["một ba", "bốn năm sáu"], "vi") == [
        "một hai ba",
        "bốn năm sáu",
    ]


def test_words_that_were_not_heard_at_a_cut_leave_both_clips_without():
    heard = ["một hai", "bốn năm", "sáu bảy"]
    assert laid_over("một hai ba bốn năm sáu bảy", heard, "vi") == [None, None, "sáu bảy"]


def test_a_word_at_a_cut_that_was_misheard_stays_with_the_word_it_was_heard_as():
    assert laid_over("một hai ba bốn năm", ["một hai bà", "bốn năm"], "vi") == ["một hai ba", "bốn năm"]
    assert laid_over("một hai ba bốn năm", ["một hai thì", "bốn năm"], "vi") == [None, None]


def test_words_at_a_cut_that_were_misheard_and_left_out_leave_both_clips_without():
    heard = ["một hai bà", "năm sáu", "bảy tám"]
    assert laid_over("một hai ba bốn năm sáu bảy tám", heard, "vi") == [None, None, "bảy tám"]


def test_what_was_heard_beside_the_text_takes_nothing_away():
    heard = ["à một hai ừm", "ờ ba bốn"]
    assert laid_over("một hai ba bốn", heard, "vi") == ["một hai", "ba bốn"]


def test_words_before_and_after_what_was_heard_are_in_doubt():
    heard = ["bốn năm sáu", "bảy tám", "chín mười"]
    assert laid_over("một hai ba bốn năm sáu bảy tám chín mười hết", heard, "vi") == [None, "bảy tám", None]


def test_a_clip_that_says_something_else_gets_nothing():
    heard = ["một hai ba", "quảng cáo dầu gội", "bốn năm sáu"]
    assert laid_over("một hai ba bốn năm sáu", heard, "vi")[1] is None


@pytest.mark.parametrize(("said", "heard"), [("", ["một"]), ("một", [""]), ("một " * 13_000, ["một"])])
def test_nothing_to_lay_over_or_too_much(said, heard):
    assert laid_over(said, heard, "vi") == [None]
