"""`phonoloop text syllables|phonemes`: a line in, a line out."""

import json
import unicodedata

import pytest
from click.testing import CliRunner

from phonoloop.app.cli.text import text


def run(*arguments, given):
    ran = CliRunner().invoke(text, arguments, input=given)
    return ran.exit_code, ran.stdout, ran.stderr


def test_each_word_has_onset_rime_tone_and_sounds():
    code, out, _ = run("syllables", given="Tiếng Việt!\nở đây\n")
    assert code == 0
    assert out == (
        "Tiếng t·iêng·sắc [t iə ŋ ˧˥]   Việt v·iêt·nặng [v iə t ˨˩ˀ]\n"
        "ở ∅·ơ·hỏi [ʔ əː ˧˩˨]   đây đ·ây·ngang [ɗ ə j ˧˧]\n"
    )


def test_sounds_are_of_the_dialect():
    assert run("syllables", "--dialect", "south", given="vàng\n")[1] == "vàng v·ang·huyền [j aː ŋ ˨˩]\n"
    assert run("syllables", "--dialect", "west", given="vàng\n")[0] == 2


def test_what_is_no_syllable_is_marked_and_kept():
    assert run("syllables", given="xin chào facebook, 12 😀\n")[1].endswith("   facebook ?   12 ?\n")


def test_lines_stay_lines():
    code, out, _ = run("syllables", given="ba\n\n…\nbốn")
    assert code == 0
    assert [line[:3] for line in out.split("\n")] == ["ba ", "", "", "bốn"]


def test_decomposed_text_is_read_and_shown_composed():
    decomposed = unicodedata.normalize("NFD", "tiếng việt")
    assert run("syllables", given=decomposed)[1] == run("syllables", given="tiếng việt")[1]


def test_json_has_the_parts_of_each_word():
    _, out, _ = run("syllables", "--json", given="gì vậy Bob\n")
    assert json.loads(out) == {
        "text": "gì vậy Bob",
        "words": [
            {"word": "gì", "onset": "gi", "rime": "i", "tone": "huyền", "phones": ["z", "i", "˨˩"]},
            {"word": "vậy", "onset": "v", "rime": "ây", "tone": "nặng", "phones": ["v", "ə", "j", "˨˩ˀ"]},
            {"word": "Bob", "onset": None, "rime": None, "tone": None, "phones": []},
        ],
    }


def test_what_is_not_utf8_comes_out_as_it_came():
    ran = CliRunner().invoke(text, ["syllables"], input=b"ba\n\xff\xfe\n")
    assert ran.exit_code == 2
    assert ran.stdout_bytes == "ba b·a·ngang [ɓ aː ˧˧]\n".encode() + b"\xff\xfe\n"
    assert "1 line is not UTF-8" in ran.stderr


def test_a_line_of_a_megabyte():
    code, out, _ = run("syllables", given="ba " * 350_000)
    assert code == 0
    assert out.count("[ɓ aː ˧˧]") == 350_000
    assert run("syllables", given="x" * 1_000_000)[1] == "x" * 1_000_000 + " ?"


class TestPhonemes:
    @pytest.fixture(autouse=True)
    def espeak(self):
        pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed")

    def test_words_and_their_phonemes(self):
        assert run("phonemes", "--language", "en-us", given="hello world\n\n") == (
            0,
            "h ə l oʊ | w ɜː l d\n\n",
            "",
        )
        _, out, _ = run("phonemes", "--json", given="xin chào\n")
        assert json.loads(out) == {"text": "xin chào", "words": [["s", "i", "n"], ["tʃ", "aː", "2", "w"]]}

    def test_a_line_that_cannot_be_read_is_left_and_told(self):
        code, out, err = run("phonemes", given="ba\nb\0a\nba\n")
        assert (code, out) == (2, "b aː\nb\0a\nb aː\n")
        assert "[espeak.text]" in err
        _, out, _ = run("phonemes", "--json", given="b\0a\n")
        assert json.loads(out)["error"]["code"] == "espeak.text"

    def test_an_unknown_language_is_told_once(self):
        ran = CliRunner().invoke(text, ["phonemes", "--language", "klingon"], input="ba\nba\n")
        assert ran.exception.code == "espeak.voice"
        assert ran.stdout == ""
