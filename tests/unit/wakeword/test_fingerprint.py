"""Copies of a clip are found whatever was done to the file; another utterance is not a copy."""

import numpy as np
import pytest

from phonoloop.audio.decode import Decoder
from phonoloop.audio.wav import to_float
from phonoloop.testing.sounds import noise, speech_like, write_media
from phonoloop.wakeword.fingerprint import (
    MOST_DIFFERENT,
    Fingerprints,
    copies,
    difference,
    fingerprint,
    from_text,
    to_text,
)


def utterance(seed):
    """A second and a half of speech-like sound in a quiet room, without the pauses around it."""
    sound = speech_like(4.0, seed=seed, phrase_s=1.5, pause_s=0.3)
    span = sound.spans[0]
    return sound.samples[span.start : span.end] + noise(span.samples / 16_000, seed=seed, level_dbfs=-65)


@pytest.fixture(scope="module")
def decoder():
    with Decoder() as opened:
        yield opened


CHANGES = {
    "quieter": lambda x: 0.1 * x,
    "later": lambda x: np.concatenate([np.zeros(5_003, np.float32), x]),
    "begins 5 ms later": lambda x: x[80:],
    "cut at both ends": lambda x: x[1_200:-1_200],
    "with silence behind": lambda x: np.concatenate([x, np.zeros(16_000, np.float32)]),
    "upside down": lambda x: -x,
}


@pytest.mark.parametrize("how", CHANGES)
def test_the_same_audio_is_known_again(how):
    for seed in range(5):
        given = utterance(seed)
        assert difference(fingerprint(CHANGES[how](given)), fingerprint(given)) <= MOST_DIFFERENT


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".opus", ".flac", ".m4a"])
def test_a_lossy_copy_with_another_level_is_known_again(suffix, decoder, tmp_path):
    given = utterance(3)
    path = write_media(tmp_path / f"copy{suffix}", 0.4 * given)
    copy = to_float(decoder.decode(path).pcm)
    assert difference(fingerprint(copy), fingerprint(given)) <= MOST_DIFFERENT


def test_other_utterances_are_no_copies():
    prints = [fingerprint(utterance(seed)) for seed in range(40)]
    for index, bits in enumerate(prints):
        others = prints[:index] + prints[index + 1 :]
        assert Fingerprints(others).nearest(bits)[1] > MOST_DIFFERENT


def test_the_nearest_is_named_by_its_place_whatever_the_lengths():
    prints = [fingerprint(utterance(seed)) for seed in range(30)]
    known = Fingerprints(prints)
    for index in (0, 7, 29):
        found, differing = known.nearest(fingerprint(utterance(index)[160:]))
        assert found == index
        assert differing <= MOST_DIFFERENT


def test_silence_and_blips_resemble_nothing():
    silent = fingerprint(np.zeros(16_000, np.float32))
    assert silent.size == 0
    assert fingerprint(np.zeros(0, np.float32)).size == 0
    assert Fingerprints([silent, fingerprint(utterance(1))]).nearest(silent) == (-1, 1.0)
    assert Fingerprints([]).nearest(fingerprint(utterance(1))) == (-1, 1.0)


def test_it_survives_a_text_file():
    bits = fingerprint(utterance(2))
    assert np.array_equal(from_text(to_text(bits)), bits)


def test_copies_are_grouped_by_the_first_of_them():
    sounds = [utterance(seed) for seed in (1, 2, 1, 3, 2, 1)]
    prints = [fingerprint(0.3 * sound[40 * number :]) for number, sound in enumerate(sounds)]
    assert copies(prints) == [0, 1, 0, 3, 1, 0]
    assert copies([]) == []


def test_groups_hold_over_many_clips():
    rng = np.random.default_rng(0)
    prints = [rng.integers(0, 1 << 16, 40).astype(np.uint16) for _ in range(300)]
    assert copies([*prints, prints[2], prints[299]]) == [*range(300), 2, 299]
