import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from phonoloop.adapters.espeak import EspeakSynthesizer
from phonoloop.adapters.espeak_pool import EspeakPool
from phonoloop.core.errors import InputError, NotFoundError, UnavailableError
from phonoloop.text.ipa import sequence_distance

pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed")

SENTENCE = "bật đèn phòng khách"


@pytest.fixture(scope="module")
def espeak():
    return EspeakSynthesizer()


def fundamental_hz(samples):
    """The median over loud frames of the lag, from 2 to 16 ms, at which a frame is most like itself."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 1024)[::160]
    frames = frames[np.std(frames, axis=1) > 0.5 * np.std(samples)]
    correlation = np.fft.irfft(np.abs(np.fft.rfft(frames, 2048)) ** 2)[:, :512]
    lags = 32 + np.argmax(correlation[:, 32:256], axis=1)
    return 16_000 / float(np.median(lags))


def test_the_voices_of_a_language_are_its_regions_with_and_without_variants(espeak):
    voices = espeak.voices("vi")
    assert {"vi", "vi+f2", "vi-vn-x-central", "vi-vn-x-south+m3"} <= set(voices)
    assert len(voices) == len(set(voices)) > 300
    assert espeak.voices("english") == []


def test_a_language_is_not_the_beginning_of_another_ones_name(espeak):
    assert not [v for v in espeak.voices("en") if v.split("+")[0].split("-")[0] != "en"]


@pytest.mark.parametrize("language", ["vi", "en", "fr", "cmn"])
def test_every_region_of_a_language_speaks(espeak, language):
    regions = [voice for voice in espeak.voices(language) if "+" not in voice]
    assert regions
    assert all(len(espeak.synthesize("1", voice=region)) > 1600 for region in regions)


def test_speech_is_16_khz_float_of_a_plausible_length(espeak):
    speech = espeak.synthesize(SENTENCE, voice="vi")
    assert speech.dtype == np.float32
    assert 0.6 < len(speech) / 16_000 < 2.0
    assert 0.1 < np.abs(speech).max() <= 1.0


@pytest.mark.parametrize("voice", ["vi", "vi+f2", "vi+klatt2", "vi+whisper", "vi-vn-x-south+croak"])
def test_what_was_said_before_changes_nothing(espeak, voice):
    first = espeak.synthesize(SENTENCE, voice=voice)
    espeak.synthesize("mười hai giờ", voice="vi+klatt3", speed=0.7, pitch=1.4)
    assert np.array_equal(first, espeak.synthesize(SENTENCE, voice=voice))


def test_voices_differ(espeak):
    one, other = (espeak.synthesize(SENTENCE, voice=v) for v in ("vi+f2", "vi+m3"))
    assert fundamental_hz(one) > 1.2 * fundamental_hz(other)


def test_speed_and_pitch_are_factors(espeak):
    plain = espeak.synthesize(SENTENCE, voice="vi")
    assert len(plain) / len(espeak.synthesize(SENTENCE, voice="vi", speed=1.5)) == pytest.approx(1.5, abs=0.2)
    higher = espeak.synthesize(SENTENCE, voice="vi", pitch=1.4)
    assert fundamental_hz(higher) / fundamental_hz(plain) == pytest.approx(1.4, abs=0.2)
    assert len(higher) == pytest.approx(len(plain), rel=0.02)


def test_threads_take_turns(espeak):
    voices = ["vi", "vi+f2", "vi+klatt2", "en-us"] * 4
    alone = [espeak.synthesize(SENTENCE, voice=v) for v in voices]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda v: espeak.synthesize(SENTENCE, voice=v), voices))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_phonemes_cover_all_clauses(espeak):
    assert espeak.phonemise("xin chào. khỏe không?", "vi") == [
        ("s", "i", "n"),
        ("tʃ", "aː", "2", "w"),
        ("x", "w", "ɛ", "4"),
        ("x", "o", "ŋ"),
    ]


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("en-us", "computer, turn on", ["k ə m p j uː ɾ ɚ", "t ɜː n", "ɔ n"]),
        ("de", "Köche", ["k œ ç ə"]),
        ("ru", "мир", ["mʲ i r"]),
        ("fr", "je m'appelle", ["ʒ ə", "m a p ɛ l"]),
        ("cmn", "你好", ["n i 2 χ ɑu 2"]),
        ("vi", "cá", ["k aː 3"]),  # espeak-ng writes this tone with the letter of a vowel
        ("cmn", "房", ["f ɑ 3 ŋ"]),
        ("vi", "chào facebook", ["tʃ aː 2 w", "f eɪ s b ʊ k"]),
        ("vi", "12", ["m yə 2 j h aːɪ"]),
        ("en-us", "[[h@l]] <b>", None),
    ],
)
def test_phonemes_of_any_language(espeak, language, text, words):
    found = [" ".join(word) for word in espeak.phonemise(text, language)]
    assert found == words if words is not None else len(found) > 3  # commands to espeak-ng are only text
    assert not any(mark in word for word in found for mark in "ˈˌ_-()\x1f")


def test_many_texts_at_once_have_the_phonemes_of_each(espeak):
    texts = ["hey computer", "", "turn on, please", "कंप्यूटर"]
    assert espeak.phonemise_all(texts, "en-us") == [espeak.phonemise(text, "en-us") for text in texts]


def test_a_text_that_cannot_be_read_has_no_phonemes_among_many(espeak):
    silent = next(name for name in espeak.languages() if phonemes_or_error(espeak, "mama", name) == [])
    assert espeak.phonemise_all(["mama", "12"], silent)[0] == []


@pytest.mark.parametrize(
    ("language", "text"), [("en-us", "hey computer"), ("vi", "cà phê sữa"), ("de", "guten Tag")]
)
def test_names_of_phonemes_say_the_same_as_the_text(espeak, language, text):
    (words,) = espeak.named_phonemes([text], language)
    assert [tuple(p for ipa, _ in word for p in ipa) for word in words] == espeak.phonemise(text, language)
    names = " ".join("".join(name for _, name in word) for word in words)
    again = espeak.synthesize_phonemes(names, voice=language)
    assert len(again) == pytest.approx(len(espeak.synthesize(text, voice=language)), rel=0.15)


def test_a_pool_says_what_one_process_says(espeak):
    voices = ["vi", "vi+f2", "en-us", "vi+klatt2"] * 3
    with EspeakPool(workers=2) as shared, ThreadPoolExecutor(3) as threads:
        together = list(threads.map(lambda voice: shared.synthesize(SENTENCE, voice=voice), voices))
        assert shared.phonemise(SENTENCE, "vi") == espeak.phonemise(SENTENCE, "vi")
        assert shared.voices("vi") == espeak.voices("vi")
    alone = [espeak.synthesize(SENTENCE, voice=voice) for voice in voices]
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def phonemes_or_error(espeak, text, language):
    try:
        return espeak.phonemise(text, language)
    except InputError as error:
        return [] if error.code == "espeak.no_phonemes" else error


def test_a_language_that_is_listed_has_phonemes_or_says_that_it_has_none(espeak):
    languages = espeak.languages()
    assert {"vi", "vi-vn-x-south", "en-us", "fr", "cmn"} <= set(languages)
    silent = [language for language in languages if phonemes_or_error(espeak, "mama", language) == []]
    assert len(silent) < 0.05 * len(languages)  # espeak-ng 1.52 comes without the dictionaries of three


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "…"])
def test_nothing_to_say_has_no_phonemes(espeak, text):
    assert espeak.phonemise(text, "vi") == []


@pytest.mark.parametrize("text", ["\0", "ba\0", "\ud800"])
def test_what_is_no_text_has_no_phonemes_but_an_error(espeak, text):
    with pytest.raises(InputError) as caught:
        espeak.phonemise(text, "vi")
    assert caught.value.code == "espeak.text"


def test_a_language_that_is_not_there_has_no_phonemes(espeak):
    with pytest.raises(NotFoundError) as caught:
        espeak.phonemise("hello", "klingon")
    assert caught.value.code == "espeak.voice"


def test_long_and_strange_texts_have_phonemes_too(espeak):
    assert len(espeak.phonemise("một hai ba " * 10_000, "vi")) == 30_000
    assert espeak.phonemise("x" * 100_000, "en-us")
    assert espeak.phonemise("😀 मिठाई 日本 \u202e abc", "vi")


def test_words_that_sound_alike_have_near_phonemes(espeak):
    computer, commuter, banana = (
        [phoneme for word in espeak.phonemise(text, "en-us") for phoneme in word]
        for text in ("computer", "commuter", "banana")
    )
    assert sequence_distance(computer, commuter) < 0.2 < sequence_distance(computer, banana)


@pytest.mark.parametrize("voice", ["xx", "vi+nobody", "", "+f2", "../vi"])
def test_a_voice_that_is_not_there_is_refused(espeak, voice):
    with pytest.raises(NotFoundError) as caught:
        espeak.synthesize(SENTENCE, voice=voice)
    assert caught.value.code == "espeak.voice"


@pytest.mark.parametrize("text", ["", " \n", "một\0hai", "…"])
def test_nothing_to_say_is_an_error(espeak, text):
    with pytest.raises(InputError) as caught:
        espeak.synthesize(text, voice="vi")
    assert caught.value.code == "espeak.text"


@pytest.mark.parametrize(("name", "value"), [("speed", 0.0), ("speed", 9.0), ("pitch", 0.1), ("pitch", 2.5)])
def test_factors_out_of_range_are_refused(espeak, name, value):
    with pytest.raises(InputError) as caught:
        espeak.synthesize(SENTENCE, voice="vi", **{name: value})
    assert caught.value.code == f"espeak.{name}"


def test_a_missing_wheel_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UnavailableError) as caught:
        EspeakSynthesizer()
    assert caught.value.code == "espeak.missing"
    assert "phonoloop[espeak]" in caught.value.hint


def test_a_deep_installation_folder_does_not_matter(espeak, tmp_path, monkeypatch):
    import espeakng_loader

    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 8, "espeak-ng-data")
    shutil.copytree(espeakng_loader.get_data_path(), deep)
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(deep))
    assert np.array_equal(
        EspeakSynthesizer().synthesize(SENTENCE, voice="vi"), espeak.synthesize(SENTENCE, voice="vi")
    )


def test_data_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    import espeakng_loader

    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path / "none"))
    with pytest.raises(UnavailableError) as caught:
        EspeakSynthesizer().synthesize(SENTENCE, voice="vi")
    assert caught.value.code == "espeak.data"
