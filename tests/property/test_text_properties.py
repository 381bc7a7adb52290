"""What holds for any text."""

import unicodedata

import jiwer
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.text.corrections import apply
from phonoloop.text.error_rates import Edit, align, char_errors, count, word_errors
from phonoloop.text.normalise import display, for_scoring, for_training, normalise, to_spoken, to_written
from phonoloop.text.tokens import BpeTokenizer, CharTokenizer
from phonoloop.text.vietnamese import vietnamese_letters

ANY_TEXT = st.text(alphabet=st.characters(), max_size=60)  # surrogates too
TRICKY = st.text(
    alphabet=st.sampled_from("aàoòâuyqgi\u0300\u0301\u0302\u0323\u0309.,'-–’/:1 \u200b\ufe0f\u034fİΣẞ\u3000"),
    max_size=25,
)
#: all that the spoken form acts on, to be put together in every wrong order
PARTS = """
0 1 4 10 05 2020 1.000 , . / - – : % đ ₫ $ kg km/h m2 °C h g30 ' TP TP.HCM tp.hcm Q. P.5 UBND v.v. IV XIX
FPT H5N1 NĐ-CP @ a@b.vn www.a.vn/1 + = > & ( ) Việt hoà kĩ ngày tháng thứ số lẻ trăm mươi bốn năm mười ờ à
thế_kỷ gọi thắng tỷ_lệ từ đến phần phẩy giờ phút mét
"""
SAYABLE = st.lists(st.sampled_from([*PARTS.split(), " ", "  ", "\t", "e\u0301", "\u200b"]), max_size=14).map(
    lambda parts: "".join(parts).replace("_", " ")
)
VIETNAMESE = st.text(alphabet=vietnamese_letters() + " ", max_size=40).map(for_training)
WORDS = st.lists(st.sampled_from(["a", "b", "c", "ba", "à"]), max_size=12)

CHAR = CharTokenizer.train([], cover="vi")
BPE = BpeTokenizer.train(["xin chào các bạn", "hôm nay trời đẹp quá"] * 3, 125, cover="vi")


@settings(deadline=None)
@given(ANY_TEXT | TRICKY | SAYABLE)
def test_normalising_twice_is_normalising_once(text):
    assert for_scoring(for_scoring(text)) == for_scoring(text)
    assert display(display(text)) == display(text)


@settings(deadline=None)
@given(ANY_TEXT | TRICKY | SAYABLE)
def test_decomposed_text_is_the_same_text(text):
    assert for_scoring(unicodedata.normalize("NFD", text)) == for_scoring(text)


@settings(deadline=None)
@given(ANY_TEXT | TRICKY | SAYABLE)
def test_scoring_form_is_composed_lower_case_and_single_spaced(text):
    scored = for_scoring(text)
    assert unicodedata.is_normalized("NFC", scored)
    assert scored == " ".join(scored.split())
    assert not any(unicodedata.category(ch)[0] == "C" for ch in scored)
    assert scored.encode("utf-8").decode("utf-8") == scored


@settings(deadline=None)
@given(ANY_TEXT | TRICKY | SAYABLE)
def test_corrections_remake_every_form(text):
    for form in (normalise, to_spoken, to_written):
        rewritten = form(text)
        assert apply(text, rewritten.corrections) == rewritten.text
        assert all(c.before != c.after for c in rewritten.corrections)
    assert normalise(normalise(text).text).text == normalise(text).text


@settings(deadline=None)
@given(ANY_TEXT | TRICKY | SAYABLE)
def test_no_digit_is_left_to_say(text):
    assert not set("0123456789") & set(for_training(text))


@settings(deadline=None)
@given(st.text(alphabet="͸中بд🙂字а٣ ", max_size=30))
def test_other_scripts_are_not_touched(text):
    for form in (normalise, to_spoken, to_written):
        assert form(text).text == display(text)


@settings(deadline=None)
@given(ANY_TEXT)
def test_what_nobody_sees_makes_no_difference(text):
    assert for_scoring("\u200b".join(text)) == for_scoring(text.replace("\u200b", ""))


@settings(deadline=None)
@given(VIETNAMESE)
def test_tokens_come_back_as_text(text):
    for tokenizer in (CHAR, BPE):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(deadline=None)
@given(st.text(max_size=40).map(for_training))
def test_any_text_can_be_encoded(text):
    for tokenizer in (CHAR, BPE):
        assert all(0 < i < tokenizer.vocab_size for i in tokenizer.encode(text))


@settings(deadline=None)
@given(WORDS, WORDS)
def test_word_errors_are_those_of_jiwer(reference, hypothesis):
    ours = word_errors(" ".join(reference), " ".join(hypothesis))
    if not reference:  # jiwer has no rate there
        assert ours.errors == len(hypothesis)
        return
    theirs = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    assert ours.errors == theirs.substitutions + theirs.deletions + theirs.insertions
    assert ours.rate == theirs.wer


@settings(deadline=None)
@given(WORDS.filter(bool), WORDS)
def test_character_errors_are_those_of_jiwer(reference, hypothesis):
    theirs = jiwer.process_characters(" ".join(reference), " ".join(hypothesis))
    ours = char_errors(" ".join(reference), " ".join(hypothesis))
    assert ours.errors == theirs.substitutions + theirs.deletions + theirs.insertions


@settings(deadline=None)
@given(WORDS, WORDS)
def test_an_alignment_walks_through_both_texts_and_costs_what_is_counted(reference, hypothesis):
    ops = align(reference, hypothesis)
    assert [op.reference for op in ops if op.edit is not Edit.INSERT] == reference
    assert [op.hypothesis for op in ops if op.edit is not Edit.DELETE] == hypothesis
    assert all((op.edit is Edit.MATCH) == (op.reference == op.hypothesis) for op in ops)
    assert sum(op.edit is not Edit.MATCH for op in ops) == count(reference, hypothesis).errors


@settings(deadline=None)
@given(WORDS, WORDS)
def test_errors_are_the_same_in_both_directions(reference, hypothesis):
    assert count(reference, hypothesis).errors == count(hypothesis, reference).errors
