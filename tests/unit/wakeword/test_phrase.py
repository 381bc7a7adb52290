import pytest
from speaking_fakes import LetterPhonemiser

from phonoloop.core.errors import InputError
from phonoloop.wakeword.phrase import LONGEST_CHARS, Phrase, near_languages, read_phrase


@pytest.fixture(scope="module")
def espeak():
    pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed")
    from phonoloop.adapters.espeak import EspeakSynthesizer

    with EspeakSynthesizer() as synthesizer:
        yield synthesizer


@pytest.mark.parametrize(
    ("text", "language", "ipa", "syllables"),
    [
        ("computer", "en-us", "kəmpjuːɾɚ", 3),
        ("  hey \n tars ", "en-us", "heɪ tɑːɹz", 2),
        ("cà phê", "vi", "kaː˨˩ fe˧˧", 2),
        ("ca\u0300 phe\u0302", "vi", "kaː˨˩ fe˧˧", 2),
        ("guten Tag Haus", "de", "ɡuːtən tɑːk haʊs", 4),
        ("привет дом", "ru", "prʲivʲet dom", 3),
    ],
)
def test_a_phrase_knows_how_it_sounds(espeak, text, language, ipa, syllables):
    phrase = read_phrase(text, language, espeak)
    assert (phrase.ipa, phrase.syllables) == (ipa, syllables)
    assert phrase.text == " ".join(phrase.text.split())


def test_tones_are_phonemes_but_no_sounds():
    phrase = Phrase("cà", "vi", (("k", "aː", "˨˩"),))
    assert phrase.phonemes == ("k", "aː", "˨˩")
    assert phrase.sounds == ("k", "aː")
    assert phrase.vowels == ("aː",)


def test_a_word_without_a_vowel_is_a_syllable():
    assert Phrase("krk brno", "cs", (("k", "r", "k"), ("b", "r", "n", "o"))).syllables == 2


@pytest.mark.parametrize("text", ["", "  \n", "!?…", "—", "x" * (LONGEST_CHARS + 1), "日本"])
def test_what_cannot_be_said_is_refused(text):
    with pytest.raises(InputError) as caught:
        read_phrase(text, "xx", LetterPhonemiser())
    assert caught.value.code == "wakeword.phrase"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("language", "near"), [("yyy", "yy"), ("xx-north", "xx"), ("XX", "xx"), ("klingon", "Give a code")]
)
def test_an_unknown_language_names_near_ones(language, near):
    with pytest.raises(InputError) as caught:
        read_phrase("hello", language, LetterPhonemiser())
    assert caught.value.code == "wakeword.language"
    assert near in caught.value.hint


def test_a_language_is_also_found_by_its_english_name():
    known = ["de", "en", "en-us", "vi", "vi-vn-x-south"]
    assert near_languages("Vietnamese", known)[0] == "vi"
    assert near_languages("germn", known)[0] == "de"
    assert near_languages("en-uk", known)[:2] == ["en", "en-us"]
    assert near_languages("qqq", known) == []
