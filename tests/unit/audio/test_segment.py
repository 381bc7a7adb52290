"""Cutting long recordings at pauses."""

import itertools
import tracemalloc

import numpy as np
import pytest

from phonoloop.audio.segment import cut_at_pauses
from phonoloop.audio.vad import EnergyDetector
from phonoloop.audio.wav import to_int16
from phonoloop.core.speech import Span
from phonoloop.testing.sounds import mix_at_snr, noise, silence, speech_like, tone

SECOND = 16_000


class Loud:
    """Speech is every run of samples that are not zero, gaps of under 10 ms filled."""

    def __init__(self):
        self.longest_heard = 0

    def speech_spans(self, samples):
        self.longest_heard = max(self.longest_heard, samples.size)
        loud = np.flatnonzero(samples)
        if loud.size == 0:
            return []
        breaks = np.flatnonzero(np.diff(loud) > 160)
        starts, ends = loud[np.append(0, breaks + 1)], loud[np.append(breaks, loud.size - 1)] + 1
        return [Span(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]


def recording(*parts):
    """("speech" or "pause", seconds) ... as int16."""
    values = {"speech": 1000, "pause": 0}
    return np.concatenate([np.full(round(s * SECOND), values[kind], np.int16) for kind, s in parts])


def cut_s(pcm, **settings):
    return [(s.start / SECOND, s.end / SECOND) for s in cut_at_pauses(pcm, Loud(), **settings)]


def test_a_short_recording_is_one_span_whole_and_is_not_listened_to():
    detector = Loud()
    pcm = recording(("pause", 10), ("speech", 5), ("pause", 15))
    assert cut_at_pauses(pcm, detector) == [Span(0, pcm.size)]
    assert detector.longest_heard == 0


def test_nothing_is_no_span():
    assert cut_at_pauses(np.zeros(0, np.int16), Loud()) == []


def test_a_long_one_is_cut_in_the_middle_of_the_longest_pause_in_reach():
    pcm = recording(
        ("speech", 12), ("pause", 0.2), ("speech", 5), ("pause", 0.6), ("speech", 10), ("pause", 0.4)
    )
    pcm = np.concatenate([pcm, recording(("speech", 10))])
    assert cut_s(pcm) == [(0, 17.5), (17.5, 38.2)]


def test_an_early_pause_is_not_taken_where_a_later_one_will_do():
    pcm = recording(("speech", 2), ("pause", 1.0), ("speech", 17), ("pause", 0.3), ("speech", 20))
    assert cut_s(pcm) == [(0, 20.15), (20.15, 40.3)]


def test_long_silence_is_left_out_but_for_some_padding():
    pcm = recording(("pause", 20), ("speech", 5), ("pause", 20), ("speech", 5), ("pause", 5))
    assert cut_s(pcm) == [(19.7, 25.3), (44.7, 50.3)]


def test_long_silence_has_no_span():
    assert cut_s(recording(("pause", 100))) == []


def test_without_a_pause_the_cut_is_where_it_is_quietest():
    pcm = recording(("speech", 40))
    pcm[22 * SECOND : 22 * SECOND + 320] = 100
    assert cut_s(pcm) == [(0, 22.01), (22.01, 40)]


def test_speech_that_just_fits_is_not_cut_for_its_padding():
    pcm = recording(("pause", 5), ("speech", 29.9), ("pause", 5))
    assert cut_s(pcm) == [(4.95, 34.95)]


@pytest.mark.parametrize("max_s", [5, 12, 30])
def test_speech_in_noise(max_s):
    speech = speech_like(90, seed=3, pause_s=0.6)
    pcm = to_int16(mix_at_snr(speech, noise(90, seed=4), 20))
    spans = cut_at_pauses(pcm, EnergyDetector(), max_s=max_s)
    inside = np.zeros(pcm.size, bool)
    for span in spans:
        inside[span.start : span.end] = True
    assert max(span.samples for span in spans) <= max_s * SECOND
    assert inside[speech.active].mean() > 0.99
    cuts = [a.end for a, b in itertools.pairwise(spans) if a.end == b.start]
    assert np.mean([speech.active[cut] for cut in cuts]) < 0.1


def test_the_detector_hears_a_long_recording_in_parts():
    detector = Loud()
    pcm = np.tile(recording(("speech", 4), ("pause", 0.5)), 100)
    spans = cut_at_pauses(pcm, detector)
    assert detector.longest_heard == 120 * SECOND
    assert all(pcm[span.end - 1] == 0 for span in spans[:-1])


def test_memory_does_not_grow_with_the_recording():
    minute = to_int16(mix_at_snr(speech_like(60, seed=3), noise(60, seed=4), 20))
    assert _peak_bytes(np.tile(minute, 20)) < _peak_bytes(np.tile(minute, 4)) + (2 << 20)


def _peak_bytes(pcm):
    tracemalloc.start()
    cut_at_pauses(pcm, EnergyDetector())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_senseless_limit_is_refused():
    with pytest.raises(ValueError, match="max_s"):
        cut_at_pauses(to_int16(tone(440, 1)), Loud(), max_s=0)


def test_silence_before_speech_at_the_very_start_and_end():
    pcm = np.concatenate([to_int16(silence(0.1)), recording(("speech", 31))])
    spans = cut_s(pcm, max_s=31.05)
    assert spans[0][0] <= 0.1
    assert spans[-1][1] == 31.1
