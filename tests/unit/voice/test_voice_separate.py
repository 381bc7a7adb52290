"""Taking the background away: the stem is as long as the recording, whoever makes it."""

import numpy as np
import pytest

from phonoloop.audio.wav import read_wav, to_int16, wav_bytes, wav_info
from phonoloop.core.errors import IntegrityError
from phonoloop.testing.music import music
from phonoloop.testing.sounds import noise, speech_like
from phonoloop.voice import separate as separating
from phonoloop.voice.data import RATE_HZ
from phonoloop.voice.separate import NoSeparator, SimpleSeparator, separate, separate_in_chapters
from phonoloop.voice.suppress import suppress_music


def canonical(path, samples):
    path.write_bytes(wav_bytes(to_int16(samples), RATE_HZ))
    return path


def pcm(path):
    return to_int16(read_wav(path))


def si_sdr_db(wanted, got):
    """After J. Le Roux and others, "SDR – half-baked or well done?" (ICASSP 2019)."""
    part = (got @ wanted) / (wanted @ wanted) * wanted
    return 10 * np.log10((part @ part) / ((got - part) @ (got - part)))


@pytest.fixture(scope="module")
def talk():
    return speech_like(12.0, seed=4, rate_hz=RATE_HZ).samples + noise(12.0, rate_hz=RATE_HZ, level_dbfs=-65.0)


@pytest.fixture
def wav(tmp_path, talk):
    return canonical(tmp_path / "audio.wav", talk)


class Louder:
    name, thorough = "louder:1", True

    def separate(self, wav, stem):
        separate_in_chapters(wav, stem, lambda samples: 2 * samples)


class TestSeparators:
    def test_none_leaves_the_recording_where_it_is(self, wav, tmp_path):
        assert separate(wav, separator=NoSeparator(), folder=tmp_path / "stem") == wav
        assert not (tmp_path / "stem").exists()

    def test_a_stem_lies_in_a_folder_of_its_own(self, wav, tmp_path):
        before = wav.read_bytes()
        stem = separate(wav, separator=Louder(), folder=tmp_path / "stem")
        assert stem == tmp_path / "stem" / "audio.wav"
        assert wav_info(stem) == wav_info(wav)
        assert np.array_equal(pcm(stem), to_int16(2 * read_wav(wav)))
        assert wav.read_bytes() == before

    def test_one_that_gives_another_length_is_refused(self, wav, tmp_path):
        class Short(Louder):
            def separate(self, wav, stem):
                canonical(stem, read_wav(wav)[:-1])

        with pytest.raises(IntegrityError) as error:
            separate(wav, separator=Short(), folder=tmp_path / "stem")
        assert (error.value.code, error.value.subject) == ("voice.stem", "louder:1")

    def test_a_separator_that_is_not_thorough_says_so(self):
        assert NoSeparator().thorough
        assert not SimpleSeparator().thorough


class TestChapters:
    @pytest.fixture(autouse=True)
    def short_chapters(self, monkeypatch):
        monkeypatch.setattr(separating, "_CHAPTER_S", 3)

    @pytest.mark.parametrize(
        "samples", [0, 1, RATE_HZ, 3 * RATE_HZ, 5 * RATE_HZ, 5 * RATE_HZ + 1, 12 * RATE_HZ]
    )
    def test_together_they_are_the_whole(self, talk, tmp_path, samples):
        wav = canonical(tmp_path / "a.wav", talk[:samples])
        separate_in_chapters(wav, tmp_path / "b.wav", lambda chapter: chapter)
        assert (tmp_path / "b.wav").read_bytes() == wav.read_bytes()

    def test_one_fades_into_the_next(self, tmp_path):
        wav = canonical(tmp_path / "a.wav", np.full(8 * RATE_HZ, 0.5, np.float32))
        gains = iter((1.0, 0.0))
        separate_in_chapters(wav, tmp_path / "b.wav", lambda chapter: chapter * next(gains))
        made = read_wav(tmp_path / "b.wav")
        steps = np.diff(made)
        assert made[0] == 0.5
        assert made[-1] == 0
        assert steps.max() <= 0
        assert -steps.min() < 1e-4  # over two seconds, and not at once

    def test_no_chapter_is_longer_than_it_should_be(self, wav, tmp_path):
        lengths = []
        separate_in_chapters(wav, tmp_path / "b.wav", lambda c: lengths.append(c.size) or c)
        assert max(lengths) == 5 * RATE_HZ

    def test_a_chapter_of_another_length_is_refused(self, wav, tmp_path):
        with pytest.raises(IntegrityError) as error:
            separate_in_chapters(wav, tmp_path / "b.wav", lambda chapter: chapter[:-1])
        assert error.value.code == "voice.stem"


class TestSimple:
    @pytest.mark.parametrize(("style", "at_least_db"), [("pads", 5.0), ("plucked", 2.5)])
    def test_held_tones_become_quieter(self, talk, style, at_least_db):
        played = music(style, 12.0, seed=1, rate_hz=RATE_HZ)
        played *= np.sqrt((talk @ talk) / (played @ played))
        mixed = talk + played
        gained_db = si_sdr_db(talk, suppress_music(mixed)) - si_sdr_db(talk, mixed)
        assert gained_db >= at_least_db

    def test_speech_alone_stays_as_it_is(self, talk, tmp_path):
        wav = canonical(tmp_path / "a.wav", talk)
        stem = separate(wav, separator=SimpleSeparator(), folder=tmp_path / "stem")
        assert stem.read_bytes() == wav.read_bytes()

    def test_drums_are_not_its_business(self, talk):
        mixed = talk + music("drums", 12.0, seed=1, rate_hz=RATE_HZ)
        assert np.array_equal(suppress_music(mixed), mixed)

    def test_nothing_is_nothing(self):
        assert suppress_music(np.zeros(0, np.float32)).size == 0
