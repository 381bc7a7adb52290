import pytest
from speaking_fakes import Beeper, LetterPhonemiser

from phonoloop.text.ipa import sequence_distance
from phonoloop.wakeword.confusables import confusables, find_confusables
from phonoloop.wakeword.homophones import judge_texts, relax
from phonoloop.wakeword.phrase import read_phrase
from phonoloop.wakeword.words import WordList, frequent_words

SOME = "fan tan pan kan fin tin sun san lamp on off mam nana tas fat"
WORDS = WordList(tuple(SOME.split()), "some words")


def found(text="tan lamp", words=WORDS, phonemiser=None, count=200, **options):
    speaker = phonemiser or Beeper()
    phrase = read_phrase(text, "xx", speaker)
    return find_confusables(phrase, speaker, count=count, seed=1, words=words, **options)


@pytest.fixture(scope="module")
def espeak():
    pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed")
    from phonoloop.adapters.espeak import EspeakSynthesizer

    with EspeakSynthesizer() as synthesizer:
        yield synthesizer


def texts(some):
    return [one.text for one in some]


def test_the_phrase_and_what_holds_it_are_never_used():
    result = found()
    for one in result.used:
        assert "tanlamp" not in one.text.replace(" ", "").replace("|", "").replace("'", "")
    assert all(one.reason for one in result.doubtful)


def test_every_kind_is_there_and_no_text_twice():
    result = found(count=400)
    assert {"similar", "part", "scramble", "inside", "sentence", "word"} <= {one.kind for one in result.used}
    assert len({text.lower() for text in texts(result.used)}) == len(result.used)


def test_parts_are_single_words_doubled_words_and_other_orders():
    assert {"tan", "lamp", "lamp tan", "tan tan", "lamp lamp"} <= set(texts(found().used))
    assert "tan lamp lamp" not in texts(found().used)  # the phrase is in it


def test_what_a_region_says_the_same_is_no_negative():
    phrase = read_phrase("sun", "xx", LetterPhonemiser())
    same, other = judge_texts(phrase, ["fun", "tun"], LetterPhonemiser())
    assert same.same  # in the south both are `sun`
    assert same.region == "xx-south"
    assert not other.same
    assert "fun" not in texts(found("sun", WordList(("fun", "tin"), "two")).used)


def test_length_and_colour_of_vowels_tell_nothing_apart():
    assert relax(("k", "ɑːɹ", "z")) == relax(("k", "ɑː", "z"))
    assert relax(("b", "ʌ", "ɾ", "ɚ")) == relax(("b", "ʌ", "t", "ə"))
    assert relax(("ɹ", "ɛ", "d")) != relax(("l", "ɛ", "d"))


def test_distances_are_those_of_the_sounds():
    phonemiser = LetterPhonemiser()
    for one in found(phonemiser=phonemiser).used:
        own = [sound for word in phonemiser.phonemise(one.text, "xx") for sound in word]
        assert one.distance == pytest.approx(sequence_distance(own, "tanlamp"), abs=1e-4)


def test_the_same_seed_gives_the_same():
    phrase = read_phrase("tan lamp", "xx", Beeper())
    one, other, third = (
        find_confusables(phrase, Beeper(), count=150, seed=seed, words=WORDS).used for seed in (4, 4, 5)
    )
    assert one == other != third
    assert confusables(phrase, Beeper(), count=20, seed=4) == confusables(phrase, Beeper(), count=20, seed=4)


def test_how_much_must_differ_can_be_asked_for():
    strict, usual, lax = (found(least_cost=cost) for cost in (1.5, 0.3, 0.0))
    assert len(strict.doubtful) > len(usual.doubtful) > len(lax.doubtful)
    assert "tan lamp" not in texts(lax.used)  # the same is always left out


def test_what_a_person_rejected_is_left_out():
    assert "lamp" in texts(found().used)
    assert "lamp" not in texts(found(reject_texts=["Lamp "]).used)


def test_who_cannot_speak_phonemes_gets_only_spelled_ones():
    result = found(phonemiser=LetterPhonemiser())
    assert result.used
    assert not any(one.phonemes for one in result.used)


def test_without_words_there_are_still_parts_and_words_that_are_none():
    result = found(words=WordList((), ""))
    assert {one.kind for one in result.used} == {"part", "scramble"}
    assert len(result.used) > 100
    assert result.source == ""


def test_given_sentences_are_taken():
    assert "the quick fan" in texts(found(sentences=["the quick fan", "tan lamp is on"], count=400).used)
    assert "tan lamp is on" not in texts(found(sentences=["tan lamp is on"], count=400).used)


def test_no_more_than_asked_for():
    assert [len(found(count=count).used) for count in (1, 10, 100)] == [1, 10, 100]


@pytest.mark.parametrize(
    ("text", "language", "doubtful", "used"),
    [
        ("hey tars", "en", {"hay tars"}, {"hey cars"}),
        ("computer", "en-us", set(), {"commuter", "composer"}),
        ("cà phê", "vi", {"cà phe"}, {"ca phê", "cá phê", "gà phê"}),
    ],
)
def test_real_languages(espeak, text, language, doubtful, used):
    some = (*frequent_words(language).words[:1200], "hay", "cars", "commuter", "composer", "phê", "phe")
    phrase = read_phrase(text, language, espeak)
    result = find_confusables(phrase, espeak, count=1500, seed=0, words=WordList(some, "some"))
    assert doubtful <= set(texts(result.doubtful))
    assert used & set(texts(result.used))
    assert not doubtful & set(texts(result.used))
    assert len(result.used) == 1500


def test_dialects_of_vietnamese_merge_tones(espeak):
    phrase = read_phrase("cũ kỹ", "vi", espeak)
    (merged, apart) = judge_texts(phrase, ["củ kỷ", "cù kỳ"], espeak)
    assert merged.same  # hỏi and ngã are one tone in the south
    assert not apart.doubtful("tone")
