"""Texts for language models: sentences in the recogniser's form, nothing dropped without being counted."""

from __future__ import annotations

import pytest

from phonoloop.core.errors import InputError, NotFoundError
from phonoloop.text.ngram_text import read_texts, sentences_of, without_held_out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bật đèn. Tắt quạt!", ["bật đèn", "tắt quạt"]),
        ("Tôi ở TP. Huế.", 1),
        ("giá 1.000 đồng", 1),
        ("xong... Rồi sao?", ["xong", "rồi sao"]),
        ("  \t ", []),
        ("!!! ???", []),
        ("một\u2028hai", 1),
    ],
)
def test_sentences(text, expected):
    found = list(sentences_of(text))
    assert len(found) == expected if isinstance(expected, int) else found == expected
    assert all(sentence == " ".join(sentence.split()) for sentence in found)


def test_a_file_is_read_and_told_of(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes("\ufeffBật đèn. Tắt quạt!\r\n\n".encode() + b"\xff\xfe bad\n" + "Mở cửa".encode())
    found, source = read_texts(path)
    assert found == ["bật đèn", "tắt quạt", "mở cửa"]
    assert (source.sentences, source.words, source.skipped, source.first_skipped) == (3, 6, 1, 3)
    assert len(source.sha256) == 64


def test_decomposed_letters_emoji_and_other_scripts_are_no_reason_to_stop(tmp_path):
    (tmp_path / "t.txt").write_text("Ho\u0300a bi\u0300nh 🙂 мир 平和\n", "utf-8")
    (sentence,) = read_texts(tmp_path / "t.txt")[0]
    assert sentence.split()[:2] == ["hòa", "bình"]


def test_a_line_of_a_megabyte(tmp_path):
    (tmp_path / "t.txt").write_text("một hai " * 130_000, "utf-8")
    found, source = read_texts(tmp_path / "t.txt")
    assert (len(found), source.words) == (1, 260_000)


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(NotFoundError) as caught:
        read_texts(tmp_path / "none.txt")
    assert caught.value.code == "lm.no_file"
    with pytest.raises(InputError) as refused:
        read_texts(tmp_path)
    assert refused.value.code == "lm.unreadable"


def test_sentences_of_held_out_speakers_are_left_out():
    assert without_held_out(["a b", "c d", "a b", "e f", "g h"], ["a b", "x"]) == (["c d", "e f", "g h"], 2)


def test_where_everybody_says_the_same_sentences_they_stay():
    assert without_held_out(["a b", "c d", "a b"], ["a b", "c d"]) == (["a b", "c d", "a b"], 0)
    assert without_held_out([], ["a"]) == ([], 0)
