"""Finding speech."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from phonoloop.audio.decode import Decoder
from phonoloop.audio.vad import EnergyDetector, SileroDetector, SpanRules, sliding_minimum, spans_from_scores
from phonoloop.audio.wav import to_float
from phonoloop.core.speech import Span
from phonoloop.testing.sounds import mix_at_snr, noise, silence, speech_like

RULES = SpanRules(on=0.6, off=0.4, min_speech_ms=20, min_silence_ms=20, pad_ms=0)
FRAME = 160  # 10 ms


@pytest.fixture(scope="module", params=[EnergyDetector, SileroDetector])
def detector(request):
    return request.param()


def spans(scores, rules=RULES, total_samples=None):
    total = len(scores) * FRAME if total_samples is None else total_samples
    found = spans_from_scores(np.array(scores), rules, frame_samples=FRAME, total_samples=total)
    return [(span.start / FRAME, span.end / FRAME) for span in found]


def covered(found, total_samples):
    mask = np.zeros(total_samples, bool)
    for span in found:
        mask[span.start : span.end] = True
    return mask


class TestRules:
    def test_speech_goes_on_until_the_score_is_under_the_lower_threshold(self):
        assert spans([0.5, 0.7, 0.5, 0.5, 0.3, 0.5]) == [(1, 4)]

    def test_a_short_gap_is_filled_and_a_long_one_is_not(self):
        assert spans([1, 1, 0, 1, 1, 0, 0, 1, 1]) == [(0, 5), (7, 9)]

    def test_short_speech_is_dropped(self):
        assert spans([0, 0, 1, 0, 0, 1, 1, 0]) == [(5, 7)]

    def test_padding_stays_inside_and_joins_what_it_reaches(self):
        rules = SpanRules(on=0.6, off=0.4, min_speech_ms=20, min_silence_ms=20, pad_ms=10)
        assert spans([1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1], rules) == [(0, 7), (8, 11)]

    def test_the_last_frame_may_be_short(self):
        assert spans([0, 1, 1], total_samples=2 * FRAME + 80) == [(1, 2.5)]

    def test_no_scores_no_spans(self):
        assert spans([]) == []


class TestSlidingMinimum:
    @pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 100])
    @pytest.mark.parametrize("reach", [1, 3, 50])
    def test_it_is_the_minimum_on_both_sides(self, size, reach):
        values = np.random.default_rng(size).standard_normal(size)
        expected = [values[max(0, i - reach) : i + reach + 1].min() for i in range(size)]
        assert np.array_equal(sliding_minimum(values, reach), expected)


class TestDetectors:
    @pytest.mark.parametrize("snr_db", [10, 20, 40])
    def test_speech_is_found(self, detector, snr_db):
        speech = speech_like(12, seed=2, pause_s=1.5)
        mixed = mix_at_snr(speech, noise(12, seed=3), snr_db).astype(np.float32)
        found = covered(detector.speech_spans(mixed), mixed.size)
        # what is made here only resembles speech, and Silero is the harder one to please
        assert found[speech.active].mean() > (0.95 if isinstance(detector, EnergyDetector) else 0.7)

    def test_pauses_are_found_too(self, detector):
        speech = speech_like(12, seed=2, pause_s=1.5)
        mixed = mix_at_snr(speech, noise(12, seed=3), 20).astype(np.float32)
        found = covered(detector.speech_spans(mixed), mixed.size)
        assert found[~speech.active].mean() < 0.4

    @pytest.mark.parametrize("quiet", [silence(2), noise(2, level_dbfs=-50), noise(2, level_dbfs=-20)])
    def test_silence_and_steady_noise_are_not_speech(self, detector, quiet):
        assert detector.speech_spans(quiet) == []

    @pytest.mark.parametrize("samples", [0, 1, 159, 160, 511, 512, 513])
    def test_very_short_audio_is_handled(self, detector, samples):
        found = detector.speech_spans(silence(1)[:samples])
        assert all(0 <= span.start < span.end <= samples for span in found)

    def test_calls_do_not_hear_each_other(self, detector):
        speech = speech_like(4, seed=5).samples
        first = detector.speech_spans(speech)
        detector.speech_spans(noise(1, level_dbfs=-10))
        assert detector.speech_spans(speech) == first

    def test_offsets_are_integers(self, detector):
        (span, *_) = detector.speech_spans(speech_like(4, seed=5).samples)
        assert isinstance(span, Span)
        assert type(span.start) is type(span.end) is int


def test_a_louder_background_later_on_is_not_speech():
    """A fan is switched on after ten seconds: the floor follows."""
    steps = np.concatenate([noise(10, seed=1, level_dbfs=-60), noise(20, seed=2, level_dbfs=-35)])
    found = covered(EnergyDetector().speech_spans(steps), steps.size)
    assert found[(14 * 16_000) :].mean() == 0


def test_one_silero_serves_many_threads():
    detector, speech = SileroDetector(), speech_like(3, seed=6).samples
    expected = detector.speech_spans(speech)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(detector.speech_spans(speech))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 3


@pytest.mark.skipif("PHONOLOOP_REAL_DATA" not in os.environ, reason="PHONOLOOP_REAL_DATA names no recordings")
class TestRealRecordings:
    def files(self, folder, count):
        found = sorted(path for path in (Path(os.environ["PHONOLOOP_REAL_DATA"]) / folder).rglob("*.*"))
        chosen = [path for path in found if path.suffix in {".wav", ".flac", ".ogg"}]
        assert len(chosen) >= count
        return chosen[:: len(chosen) // count][:count]

    @pytest.mark.parametrize(("make", "least_share"), [(EnergyDetector, 0.8), (SileroDetector, 0.9)])
    def test_somebody_speaks_in_recordings_of_speech(self, make, least_share):
        detector = make()
        with Decoder() as decoder:
            found = [
                detector.speech_spans(to_float(decoder.decode(path).pcm))
                for path in self.files("speech/athena", 30)
            ]
        assert np.mean([bool(spans) for spans in found]) > least_share

    def test_silero_hears_little_speech_in_noise(self):
        detector = SileroDetector()
        with Decoder() as decoder:
            clips = [to_float(decoder.decode(path).pcm) for path in self.files("noise", 30)]
        heard = sum(span.samples for clip in clips for span in detector.speech_spans(clip))
        assert heard / sum(clip.size for clip in clips) < 0.1
