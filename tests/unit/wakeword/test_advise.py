import time

import pytest
from speaking_fakes import LetterPhonemiser

from phonoloop.wakeword.advise import advise, verdict_of
from phonoloop.wakeword.words import WordList

EVERYDAY = WordList(("the", "and", "lamp", "mirror", "on", "mirrors", "lam", "pon"), "eight words")


def codes(advice):
    return {finding.code: finding.severity for finding in advice.findings}


def on(text, words=EVERYDAY, language="xx"):
    return advise(text, language, LetterPhonemiser(), words=words)


@pytest.fixture(scope="module")
def espeak():
    pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed")
    from phonoloop.adapters.espeak import EspeakSynthesizer

    with EspeakSynthesizer() as synthesizer:
        yield synthesizer


def test_a_long_and_varied_phrase_is_good():
    advice = on("kalimo tepus")
    assert advice.verdict == "good"
    assert not advice.variants


@pytest.mark.parametrize(
    ("text", "severity"), [("ok", "bad"), ("strnk", "bad"), ("kala", "bad"), ("kalas", "warning")]
)
def test_a_short_phrase_is_not(text, severity):
    assert codes(on(text))["short"] == severity


@pytest.mark.parametrize(("text", "severity"), [("kalimotepu" * 2, "warning"), ("kalimotepu" * 3, "bad")])
def test_a_long_one_is_not_either(text, severity):
    assert codes(on(text))["long"] == severity


def test_the_same_sounds_over_and_over_are_little_variety():
    assert codes(on("mamama mama"))["variety"] == "warning"


def test_an_everyday_word_is_said_without_meaning_the_device():
    advice = on("mirror")
    assert codes(advice)["everyday"] == "warning"
    assert "mirrors" in next(finding.text for finding in advice.findings if finding.code == "inside")


def test_near_words_are_named_but_never_the_phrase_itself():
    advice = on("lamp on")
    assert advice.near
    assert "lamp on" not in [one.text for one in advice.near]
    assert "lam on" in [one.text for one in advice.near]


def test_without_words_it_says_so_instead_of_praising():
    advice = on("kalimo tepus", WordList((), ""))
    assert codes(advice) == {"no_words": "note"}
    assert "--words" in advice.findings[0].text
    assert advice.near == ()


def test_three_warnings_are_poor_and_one_is_usable():
    finding = type("Finding", (), {"severity": "warning"})
    assert [verdict_of([finding] * count) for count in range(4)] == ["good", "usable", "usable", "poor"]


@pytest.mark.parametrize(
    ("text", "language", "verdict", "expected"),
    [
        ("computer", "en", "usable", {"everyday": "warning", "assistant": "warning"}),
        ("hey tars", "en", "usable", {"short": "warning"}),
        ("smart mirror", "en-us", "good", {}),
        ("ok", "en", "poor", {"short": "bad", "everyday": "warning", "spelled": "note"}),
        ("alexa", "de", "poor", {"assistant": "bad"}),
        ("xqzt bvl", "en", "usable", {"spelled": "warning"}),
        ("cà phê", "vi", "poor", {"tones": "warning"}),
        ("xin chào nhà", "vi", "good", {}),
        ("guten tag haus", "de", "good", {}),
    ],
)
def test_phrases_of_real_languages(espeak, text, language, verdict, expected):
    advice = advise(text, language, espeak)
    assert advice.verdict == verdict
    assert expected.items() <= codes(advice).items()


@pytest.mark.parametrize(("text", "language"), [("hey tars", "en"), ("cà phê", "vi"), ("haus", "de")])
def test_variants_are_better_than_the_phrase(espeak, text, language):
    advice = advise(text, language, espeak)
    assert 2 <= len(advice.variants) <= 3
    for variant in advice.variants:
        assert {"good": 0, "usable": 1, "poor": 2}[variant.verdict] <= {"usable": 1, "poor": 2}[
            advice.verdict
        ]
    assert not any(
        "hey hey" in variant.text or variant.text.startswith("hello hey") for variant in advice.variants
    )


def test_a_language_without_a_list_still_gets_advice(espeak):
    advice = advise("habari yako", "sw", espeak)
    assert advice.phrase.syllables == 5
    assert "no_words" in codes(advice)


def test_it_takes_less_than_two_seconds(espeak):
    began = time.process_time()
    advise("smart mirror", "en", espeak)
    assert time.process_time() - began < 2.0
