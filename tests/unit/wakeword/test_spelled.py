import numpy as np
import pytest
from speaking_fakes import Beeper

from phonoloop.wakeword.parts import syllable_parts, tones_of, word_parts
from phonoloop.wakeword.scrambles import scrambles, sounds_in
from phonoloop.wakeword.spelled import accent, inventory, named_words, written


@pytest.fixture(scope="module")
def espeak():
    pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed")
    from phonoloop.adapters.espeak import EspeakSynthesizer

    with EspeakSynthesizer() as synthesizer:
        yield synthesizer


def test_names_keep_stress_and_do_not_run_together():
    assert written(named_words("tan lo", "xx", Beeper())) == "t|'a|n l|'o"


def test_a_phrase_in_another_languages_sounds(espeak):
    words = named_words("hey tars", "en-us", espeak)
    german = inventory(
        "de", ["heute", "arbeit", "tee", "rose", "sehr", "tag", "lesen", "herr", "feier"], espeak
    )
    said = accent(words, german)
    assert said is not None
    assert said.distance < 0.15
    assert espeak.synthesize_phonemes(said.names, voice="de").size > 5_000


def test_a_language_without_near_sounds_has_no_accent(espeak):
    words = named_words("hey tars", "en-us", espeak)
    assert accent(words, inventory("de", ["um"], espeak)) is None


def test_tones_have_no_accent(espeak):
    words = named_words("cà phê", "vi", espeak)
    assert accent(words, inventory("en-us", ["coffee", "car", "hey"], espeak)) is None


def test_words_read_as_another_language_have_no_names(espeak):
    assert named_words("chào facebook", "vi", espeak) == ()
    assert named_words("chào", "vi", espeak) != ()


def test_scrambles_are_near_and_never_without_a_vowel():
    speaker = Beeper()
    words = named_words("tan lamp", "xx", speaker)
    known = inventory("xx", ["fan", "tin", "sun", "lampo", "ked", "bag"], speaker)
    endless = scrambles(words, known, np.random.default_rng(0))
    made = [next(endless) for _ in range(300)]
    assert len({one.names for one in made}) > 150
    assert all(set(one.sounds) & set("aeiou") for one in made)
    assert all(abs(len(one.sounds) - 7) <= 3 for one in made)


def test_parts_by_syllables():
    speaker = Beeper()
    parts = ["".join(sounds_in(part)) for part in syllable_parts(named_words("komputa", "xx", speaker))]
    assert {"kom", "komp", "puta", "ta"} & set(parts)
    assert "komputa" not in parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("computer", set()),
        ("hey tars", {"hey", "tars", "tars hey", "hey hey"}),
        ("a b c", {"a b", "a c", "b c"}),
    ],
)
def test_parts_by_words(text, parts):
    assert parts <= set(word_parts(text))
    assert text not in word_parts(text)


def test_tones_of_a_vietnamese_phrase_begin_with_one_change():
    tones = tones_of("cà phê")
    assert len(tones) == 35
    assert {"ca phê", "cá phê", "cả phê", "cạ phê", "cà phế"} <= set(tones[:10])
    assert tones_of("computer") == []
    assert len(tones_of("bát")) == 1  # before a stop there are two tones
