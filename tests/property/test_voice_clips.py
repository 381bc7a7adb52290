"""Whatever is cut, marked and set: clips are of their source, no longer than allowed, cut without a click."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.testing.sounds import noise, speech_like
from phonoloop.voice.data import RATE_HZ, Segment, Stretch
from phonoloop.voice.process import ProcessSettings, process_source
from phonoloop.voice.trim import CUT_REACH

DURATION_S = 6
MAX_S = 2.0


def _recordings() -> list[np.ndarray]:
    speech = speech_like(DURATION_S, seed=3, rate_hz=RATE_HZ, pause_s=0.4, phrase_s=0.9)
    hiss = noise(DURATION_S, seed=4, rate_hz=RATE_HZ, level_dbfs=-60)
    muted = speech.samples.copy()
    loud = np.clip(speech.samples * 20 + hiss, -1, 1)
    return [speech.samples + hiss, muted, loud, speech.samples + hiss * 20 + np.float32(0.1), hiss, hiss * 0]


RECORDINGS = [(one * 32767).astype(np.int16) for one in _recordings()]


@dataclass(frozen=True)
class Held:
    pcm: np.ndarray

    @property
    def samples(self) -> int:
        return self.pcm.size

    def read(self, start: int, end: int) -> np.ndarray:
        assert 0 <= start <= end <= self.pcm.size
        return (self.pcm[start:end] / np.float32(32768)).astype(np.float32)


@st.composite
def segmented(draw) -> list[Segment]:
    """Disjoint, in order, none over the maximum; some touch, some are tiny."""
    cuts = sorted(draw(st.sets(st.integers(0, DURATION_S * RATE_HZ), min_size=2, max_size=12)))
    return [
        Segment(start, min(end, start + round(MAX_S * RATE_HZ)), draw(st.booleans()))
        for start, end in itertools.pairwise(cuts)
        if draw(st.integers(0, 4))
    ]


@st.composite
def marked(draw) -> list[Stretch]:
    places = st.integers(0, DURATION_S * RATE_HZ)
    return [
        Stretch(min(a, b), max(a, b), draw(st.sampled_from(["music", "speakers"])), draw(st.floats(0, 1)))
        for a, b in draw(st.lists(st.tuples(places, places), max_size=3))
    ]


SETTINGS = st.builds(
    lambda pad_s, more_s, join_below_s, gap_s, fade_ms: ProcessSettings(
        max_s=MAX_S,
        pad_s=pad_s,
        longest_pause_s=2 * pad_s + more_s,
        join_below_s=join_below_s,
        join_gap_s=gap_s,
        fade_ms=fade_ms,
    ),
    *(st.floats(0.02, 0.3), st.floats(0, 1), st.floats(0, 2), st.floats(0, 2), st.integers(0, 20)),
)


@given(recording=st.sampled_from(RECORDINGS), segments=segmented(), marks=marked(), rules=SETTINGS)
@settings(max_examples=40, deadline=None)
def test_clips_are_what_they_say(recording, segments, marks, rules):
    held = Held(recording)
    made = list(process_source(held, segments, source_id="s", marks=marks, settings=rules))
    spans = [span for clip, _ in made for span in clip.spans]
    for before, after in itertools.pairwise(spans):
        assert before.end <= after.start
    for clip, pcm in made:
        assert pcm.dtype == np.int16
        assert pcm.size == clip.samples == sum(span.samples for span in clip.spans)
        assert 0 < clip.samples <= round(MAX_S * RATE_HZ)
        _check_places(clip.spans, segments, recording, joined=rules)
        assert all(0 <= marked_s <= clip.duration_s + 0.001 for marked_s in clip.facts["marked_s"].values())
    assert len({clip.clip_id for clip, _ in made}) == len(made)
    assert _every_segment_is_heard_of(segments, spans)


def _check_places(spans, segments, recording, *, joined):
    """Both ends in segments; at a rising zero, or nowhere near there is one; gaps inside are short."""
    for span in spans:
        assert any(segment.start <= span.start < segment.end for segment in segments)
        assert any(segment.start < span.end <= segment.end for segment in segments)
        for place in (span.start, span.end):
            assert _is_quiet(recording, place, segments)
        outside = span.samples - sum(
            max(0, min(span.end, segment.end) - max(span.start, segment.start)) for segment in segments
        )
        assert outside <= joined.longest_pause_s * RATE_HZ


def _is_quiet(recording, place, segments):
    """The wave rises through zero there, or nowhere around a place that the cut may have been moved from."""
    rises = np.flatnonzero((recording[:-1] < 0) & (recording[1:] >= 0)) + 1
    if place in rises:
        return True
    own = [segment for segment in segments if segment.start <= place <= segment.end]
    low, high = min(segment.start for segment in own), max(segment.end for segment in own)
    wished = range(place - CUT_REACH, place + CUT_REACH + 1)
    found = [_rises_between(rises, max(at - CUT_REACH, low), min(at + CUT_REACH, high)) for at in wished]
    return not all(found) or min(segment.samples for segment in own) <= 2 * CUT_REACH


def _rises_between(rises, first, last):
    return np.searchsorted(rises, last, side="right") > np.searchsorted(rises, first)


def _every_segment_is_heard_of(segments, spans):
    return all(
        any(span.start < segment.end and span.end > segment.start for span in spans)
        for segment in segments
        if segment.samples
    )
