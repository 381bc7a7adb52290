"""An epoch is better that is understood, takes the speaker's time and has no artefacts."""

import dataclasses

import numpy as np
import pytest

from phonoloop.audio.wav import to_int16, wav_bytes
from phonoloop.core.speech import Transcription
from phonoloop.voice.datasets import DatasetSettings, Utterance, write_dataset
from phonoloop.voice.evaluate import (
    PREVIEWS,
    Reference,
    artefacts_of,
    band_powers,
    read_score,
    reference_of,
    score_epoch,
    score_sentence,
    sentences_of,
    summed,
)

RATE_HZ = 22_050
TEXT = "xin chào các bạn"
LETTERS = 13


class Ears:
    """Hears the same whatever is said."""

    def __init__(self, text, name="ears"):
        self.text, self.model_version, self.asked = text, name, 0

    def transcribe(self, samples):
        assert samples.dtype == np.float32
        self.asked += 1
        return Transcription(self.text)


def noise(seconds, *, level=0.1, seed=0):
    """Noise that falls towards high frequencies, as speech does."""
    white = np.random.default_rng(seed).normal(size=round(seconds * RATE_HZ))
    soft = np.convolve(white, np.hanning(24), "same")
    return (level * soft / np.abs(soft).max()).astype(np.float32)


@pytest.fixture(scope="module")
def speaker():
    """Thirteen letters a second."""
    powers = band_powers(noise(5.0, seed=9), RATE_HZ)
    levels = 10 * np.log10(np.maximum(powers / powers.max(), 1e-6))
    return Reference(letters_per_s=LETTERS, spectrum_db=tuple(levels))


def scored(samples, speaker, heard=TEXT):
    ears = None if heard is None else Ears(heard)
    return score_sentence(TEXT, samples, RATE_HZ, reference=speaker, language="vi", transcriber=ears)


def total(samples, speaker, heard=TEXT):
    return summed([scored(samples, speaker, heard)], epoch=1, heard_by="x").score


def test_what_is_said_well_scores_near_zero(speaker):
    assert total(noise(1.0), speaker) < 0.05


def test_what_is_not_understood_scores_by_its_characters(speaker):
    spoken = scored(noise(1.0), speaker, heard="xin chào")
    assert (spoken.errors, spoken.characters) == (len(" các bạn"), len(TEXT))
    assert total(noise(1.0), speaker, heard="xin chào") == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(("seconds", "ratio"), [(0.5, 0.5), (2.0, 2.0)])
def test_too_fast_and_too_slow_are_worse(speaker, seconds, ratio):
    assert scored(noise(seconds), speaker).duration_ratio == pytest.approx(ratio, rel=0.01)
    assert total(noise(seconds), speaker) > total(noise(1.0), speaker) + 0.3


def test_without_a_recogniser_the_error_is_left_out(speaker):
    found = summed([scored(noise(1.0), speaker, heard=None)], epoch=1, heard_by="")
    assert found.cer is None
    assert "cer" not in found.figures()
    assert found.score < 0.05


# ---------------------------------------------------------------- artefacts


def test_clean_noise_has_no_artefacts(speaker):
    found = artefacts_of(noise(2.0), RATE_HZ, speaker)
    assert (found.clipped, found.clicks_per_s, found.gaps) == (0.0, 0.0, 0.0)
    assert found.total < 0.05


def test_clipping_is_heard(speaker):
    loud = np.clip(noise(2.0, level=4.0), -1.0, 1.0)
    assert artefacts_of(loud, RATE_HZ, speaker).clipped > 0.05


def test_one_peak_at_full_scale_is_no_clipping(speaker):
    samples = noise(1.0)
    samples[1000] = 1.0
    assert artefacts_of(samples, RATE_HZ, speaker).clipped == 0.0


def test_clicks_are_counted(speaker):
    samples = noise(2.0)
    samples[[5000, 20000, 30000]] += 0.9
    found = artefacts_of(samples, RATE_HZ, speaker)
    assert 1.5 <= found.clicks_per_s <= 4.5 * 1.5


def test_a_gap_in_the_middle_counts_and_silence_at_the_ends_does_not(speaker):
    gap = np.zeros(RATE_HZ, np.float32)
    middle = np.concatenate([noise(1.0), gap, noise(1.0)])
    ends = np.concatenate([gap, noise(2.0), gap])
    assert artefacts_of(middle, RATE_HZ, speaker).gaps == pytest.approx(1 / 3, abs=0.02)
    assert artefacts_of(ends, RATE_HZ, speaker).gaps == 0.0


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(RATE_HZ, np.float32)])
def test_silence_is_as_bad_as_can_be(speaker, samples):
    assert artefacts_of(samples, RATE_HZ, speaker).total == 1.0


def test_a_buzz_has_another_spectrum(speaker):
    buzz = np.sign(np.sin(2 * np.pi * 120 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32) * 0.3
    assert artefacts_of(buzz, RATE_HZ, speaker).spectrum_db > 6
    assert artefacts_of(buzz, RATE_HZ, speaker).total > 0.1


# ---------------------------------------------------------------- an epoch


@pytest.fixture
def epoch(tmp_path):
    """A folder with the previews of two sentences."""
    previews = tmp_path / "epoch" / PREVIEWS
    previews.mkdir(parents=True)
    for at in range(2):
        (previews / f"{at:02d}.wav").write_bytes(wav_bytes(to_int16(noise(1.0, seed=at)), RATE_HZ))
    return tmp_path / "epoch"


def score(epoch, speaker, ears):
    return score_epoch(epoch, [TEXT, TEXT], speaker, epoch=7, language="vi", transcriber=ears)


def test_an_epoch_is_scored_once(epoch, speaker):
    ears = Ears(TEXT)
    first = score(epoch, speaker, ears)
    assert ears.asked == 2
    assert score(epoch, speaker, ears) == first == read_score(epoch)
    assert ears.asked == 2
    assert (first.epoch, first.cer, first.heard_by) == (7, 0.0, "ears")
    assert first.score == pytest.approx(0.0, abs=0.05)


def test_another_recogniser_hears_it_anew(epoch, speaker):
    score(epoch, speaker, Ears(TEXT))
    other = score(epoch, speaker, Ears("", name="deaf"))
    assert (other.cer, other.heard_by) == (1.0, "deaf")
    assert score(epoch, speaker, None).heard_by == ""


def test_an_epoch_that_was_not_scored_has_no_score(tmp_path):
    assert read_score(tmp_path) is None


# ---------------------------------------------------------------- the speaker


@pytest.fixture
def dataset(tmp_path):
    used = []
    for at in range(12):
        path = tmp_path / f"c{at:02d}.wav"
        path.write_bytes(wav_bytes(to_int16(noise(1.0 + at / 10, seed=at)), RATE_HZ))
        used.append(Utterance(clip_id=path.stem, audio=path, text=f"{TEXT} {at % 6}", passage=f"p{at // 3}"))
    return write_dataset(used, tmp_path / "set", DatasetSettings(val_pct=30), name="x", language="vi")


def test_pace_and_spectrum_are_those_of_the_clips(dataset):
    found = reference_of(dataset)
    trained = [clip for clip in dataset.clips if clip.split == "train"]
    letters = (LETTERS + 1) * len(trained)
    assert found.letters_per_s == pytest.approx(letters / sum(clip.samples for clip in trained) * RATE_HZ)
    assert artefacts_of(noise(2.0, seed=50), RATE_HZ, found).spectrum_db < 2


def test_sentences_come_from_what_is_not_trained_on(dataset):
    held_out = {clip.text for clip in dataset.clips if clip.split == "val"}
    found = sentences_of(dataset, ())
    assert set(found) <= held_out
    assert len(set(found)) == len(found) > 0
    assert sentences_of(dataset, ("a", "b")) == ("a", "b")


def test_sentences_of_a_dataset_without_validation_are_trained_on(dataset):
    clips = tuple(dataclasses.replace(clip, split="train") for clip in dataset.clips)
    assert len(sentences_of(dataclasses.replace(dataset, clips=clips), ())) == 6
