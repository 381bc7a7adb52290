from dataclasses import replace

import numpy as np
import pytest
from speaking_fakes import Beeper, Reader

from phonoloop.audio.wav import read_wav
from phonoloop.core.errors import InputError, ManifestError, ResourceError, UnavailableError
from phonoloop.wakeword.confusables import Confusable, find_confusables
from phonoloop.wakeword.phrase import read_phrase
from phonoloop.wakeword.rejects import HeardNegative, rejected_texts, write_table
from phonoloop.wakeword.samples import write_samples
from phonoloop.wakeword.synthesis import (
    LEVELS_DBFS,
    PITCHES,
    SPEEDS,
    TRACTS,
    Utterance,
    native_voices,
    plan_negatives,
    plan_positives,
    speak,
    speak_negatives,
    speak_positives,
    voice_person,
)
from phonoloop.wakeword.trim import at_level, trimmed
from phonoloop.wakeword.words import WordList

NEAR = [
    Confusable("ran lamp", 0.1, "similar"),
    Confusable("t|'a|n r|'a", 0.2, "scramble", phonemes=True),
    Confusable("lamp", 0.4, "part"),
]


@pytest.fixture
def phrase():
    return read_phrase("tan lamp", "xx", Beeper())


@pytest.fixture(scope="module")
def espeak():
    pytest.importorskip("espeakng_loader", reason="the espeak extra is not installed")
    from phonoloop.adapters.espeak_pool import EspeakPool

    with EspeakPool(2) as pool:
        yield pool


def test_voices_are_named_with_their_synthesiser():
    voices = native_voices("xx", [Beeper(), Reader()])
    assert voices[0] == "beeper:xx+low"
    assert "beeper:xx-south+odd" in voices
    assert voices[-1] == "reader:only"


def test_positives_use_all_voices_about_equally_often(phrase):
    plan = plan_positives(phrase, [Beeper(), Reader()], count=70, seed=1)
    times = [sum(one.voice == voice for one in plan) for voice in native_voices("xx", [Beeper(), Reader()])]
    assert times == [10] * 7


def test_positives_vary_in_speed_pitch_level_and_spelling(phrase):
    plan = plan_positives(phrase, [Beeper()], count=300, seed=1)
    ranges = {"speed": SPEEDS, "pitch": PITCHES, "level_dbfs": LEVELS_DBFS, "tract": TRACTS}
    for name, (low, high) in ranges.items():
        values = [getattr(one, name) for one in plan]
        assert low <= min(values) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < max(values) <= high
    assert {one.text for one in plan} == {"tan lamp", "tan lamp.", "tan lamp?", "tan lamp!", "tan, lamp"}


def test_the_same_seed_says_the_same_and_another_something_else(phrase):
    plans = [plan_positives(phrase, [Beeper()], count=20, seed=seed) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    first, again = ([one.samples for one in speak(plan, [Beeper()], workers=2)] for plan in plans[:2])
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_more_of_the_same_begins_with_the_same(phrase):
    few, many = (plan_positives(phrase, [Beeper()], count=count, seed=1) for count in (5, 50))
    assert many[:5] == few


def test_what_is_spoken_is_trimmed_and_at_its_level(phrase):
    for one, spoken in zip(
        plan_positives(phrase, [Beeper()], count=12, seed=3),
        speak_positives(phrase, [Beeper()], count=12, seed=3),
        strict=True,
    ):
        assert (spoken.text, spoken.voice, spoken.kind) == (one.text, one.voice, "phrase")
        loud = np.abs(spoken.samples) > 0.1 * np.abs(spoken.samples).max()
        assert np.flatnonzero(loud)[0] < 320  # 20 ms
        assert len(loud) - np.flatnonzero(loud)[-1] < 320
        level_dbfs = 10 * np.log10(np.mean(spoken.samples**2))
        assert level_dbfs == pytest.approx(one.level_dbfs, abs=0.1)


def test_a_shorter_throat_has_the_same_speed_and_pitch(espeak):
    one = Utterance("smart mirror", "espeak-ng:en-us+f2", "en-us", 1.0, 1.2, -20.0)
    usual, shorter = (next(speak([replace(one, tract=tract)], [espeak])).samples for tract in (1.0, 1.15))
    assert len(shorter) == pytest.approx(len(usual), rel=0.05)
    assert fundamental_hz(shorter) == pytest.approx(fundamental_hz(usual), rel=0.08)
    bins = np.arange(30, 450)  # 0.2 to 3.5 kHz, where the resonances are
    there, here = envelope(shorter)[bins], envelope(usual)
    moved = np.corrcoef(there, np.interp(bins / 1.15, np.arange(1024), here))[0, 1]
    assert moved > np.corrcoef(there, here[bins])[0, 1] + 0.01
    assert moved > 0.95


def fundamental_hz(samples):
    """The median over loud frames of the lag, from 2 to 16 ms, at which a frame is most like itself."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 1024)[::160]
    frames = frames[np.std(frames, axis=1) > 0.5 * np.std(samples)]
    correlation = np.fft.irfft(np.abs(np.fft.rfft(frames, 2048)) ** 2)[:, :512]
    return 16_000 / float(np.median(32 + np.argmax(correlation[:, 32:256], axis=1)))


def envelope(samples):
    """(1024,) decibels from 0 to 8 kHz, the harmonics smoothed away."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 2048)[::320] * np.hanning(2048)
    power = np.mean(np.abs(np.fft.rfft(frames, axis=1)) ** 2, axis=0)[:1024]
    return np.convolve(10 * np.log10(power + 1e-9), np.hanning(61) / 30, mode="same")


def test_negatives_come_in_turn_and_phonemes_only_from_who_speaks_them(phrase):
    plan = plan_negatives(phrase, NEAR, [Beeper(), Reader()], count=30, seed=1)
    assert [sum(one.kind == kind for one in plan) for kind in ("similar", "scramble", "part")] == [10, 10, 10]
    assert {one.voice for one in plan if one.phonemes} == {"beeper:xx+low", "beeper:xx+high", "beeper:xx+odd"}
    assert "reader:only" in {one.voice for one in plan}
    assert {one.distance for one in plan} == {0.1, 0.2, 0.4}


def test_without_a_speaker_of_phonemes_only_spelled_ones_are_said(phrase):
    plan = plan_negatives(phrase, NEAR, [Reader()], count=10, seed=1)
    assert {one.kind for one in plan} == {"similar", "part"}
    with pytest.raises(InputError) as caught:
        plan_negatives(phrase, NEAR[1:2], [Reader()], count=10, seed=1)
    assert caught.value.code == "wakeword.no_negatives"


def test_what_crashes_is_told_and_left_out(phrase):
    skipped = []
    crash = Confusable("crash", 0.3, "similar")
    spoken = list(
        speak_negatives(
            phrase,
            [crash, NEAR[0]],
            [Beeper()],
            count=10,
            seed=1,
            on_skip=lambda utterance, error: skipped.append((utterance.text.strip(".?!"), error.code)),
        )
    )
    assert len(spoken) == 5
    assert skipped == [("crash", "beeper.crashed")] * 5


def test_an_error_that_is_not_about_the_words_stops_it(phrase):
    class Broken(Beeper):
        def synthesize(self, text, **_):
            raise ResourceError("no memory", code="espeak.memory")

    with pytest.raises(ResourceError):
        list(speak_positives(phrase, [Broken()], count=3, seed=1))


def test_nothing_is_said_by_nobody(phrase):
    with pytest.raises(UnavailableError) as caught:
        plan_positives(phrase, [], count=1, seed=0)
    assert caught.value.code == "wakeword.no_voice"


@pytest.mark.parametrize(
    ("voice", "person"),
    [
        ("espeak-ng:en-us+f3", "espeak-ng:f3"),
        ("espeak-ng:de+f3", "espeak-ng:f3"),
        ("espeak-ng:en-us", "espeak-ng:en-us"),
        ("piper:libritts#12", "piper:libritts#12"),
    ],
)
def test_a_timbre_is_one_person_in_all_languages(voice, person):
    assert voice_person(voice) == person


def test_trimming_keeps_quiet_consonants_and_cuts_silence():
    speech = np.concatenate((np.full(800, 0.01), np.full(1600, 0.5))).astype(np.float32)
    padded = np.pad(speech, 4000)
    assert len(trimmed(padded)) == pytest.approx(len(speech), abs=240)
    assert len(trimmed(np.zeros(1000, np.float32))) == 0
    assert len(trimmed(np.zeros(0, np.float32))) == 0


def test_a_level_that_would_clip_is_as_loud_as_fits():
    peaky = np.zeros(1000, np.float32)
    peaky[10] = 0.5
    assert np.abs(at_level(peaky, -6.0)).max() == pytest.approx(0.99)


# ---------------------------------------------------------------- to listen to


def test_samples_to_listen_to_have_a_table(phrase, tmp_path):
    speaker = Beeper()
    words = WordList(("fan", "tin", "lamp", "can", "ramp"), "five")
    found = find_confusables(phrase, speaker, count=80, seed=0, words=words)
    written = write_samples(tmp_path / "out", phrase, found, [speaker], count=20, seed=0)
    assert len(written.rows) == 20
    assert {row.used for row in written.rows} == {True, False}
    assert all(read_wav(tmp_path / "out" / row.file).size > 800 for row in written.rows)
    assert rejected_texts(written.table) == []


def test_lines_that_a_person_marked_are_rejected(tmp_path):
    row = HeardNegative("1.wav", "ran lamp", "similar", 0.1, "beeper:xx", "ranlamp")
    write_table(tmp_path / "negatives.tsv", [row])
    marked = (tmp_path / "negatives.tsv").read_text(encoding="utf-8").rstrip("\n") + "x\n"
    (tmp_path / "negatives.tsv").write_text(marked, encoding="utf-8")
    assert rejected_texts(tmp_path / "negatives.tsv") == ["ran lamp"]


def test_a_list_with_texts_alone_rejects_all_of_them(tmp_path):
    (tmp_path / "list.tsv").write_text("text\nran lamp\nfan\n", encoding="utf-8")
    assert rejected_texts(tmp_path / "list.tsv") == ["ran lamp", "fan"]


@pytest.mark.parametrize("content", [b"", b"file\tkind\na\tb\n", b"\xff\xfe\x00"])
def test_what_is_no_such_table_is_refused(tmp_path, content):
    (tmp_path / "list.tsv").write_bytes(content)
    with pytest.raises(ManifestError) as caught:
        rejected_texts(tmp_path / "list.tsv")
    assert caught.value.code == "wakeword.rejects"


# ---------------------------------------------------------------- real voices


def test_espeak_says_a_phrase_in_hundreds_of_voices_and_accents(espeak):
    phrase = read_phrase("hey tars", "en", espeak)
    plan = plan_positives(phrase, [espeak], count=800, seed=1)
    assert len({one.voice for one in plan}) > 650
    assert 0.2 < np.mean([one.kind == "accent" for one in plan]) < 0.3
    accents = {one.voice.partition("+")[0] for one in plan if one.kind == "accent"}
    assert len(accents) > 8
    spoken = list(speak(plan[:60], [espeak]))
    durations_s = [len(one.samples) * one.speed / 16_000 for one in spoken]
    assert len(spoken) >= 58
    assert min(durations_s) > 0.3
    assert max(durations_s) < 1.6


def test_speech_is_found_in_what_is_spoken(espeak):
    from phonoloop.audio.vad import SileroDetector

    phrase = read_phrase("smart mirror", "en-us", espeak)
    detector = SileroDetector()
    floor = np.random.default_rng(0).standard_normal(64_000).astype(np.float32) * 1e-4
    heard = []
    for one in speak_positives(phrase, [espeak], count=40, seed=2):
        padded = np.pad(one.samples, 8000)
        heard.append(detector.probabilities(padded + floor[: len(padded)]).max() > 0.5)
    assert np.mean(heard) > 0.9
