"""However somebody speaks, the spans hold all of it and none is too long."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.audio.segment import cut_at_pauses
from phonoloop.audio.vad import SpanRules, spans_from_scores
from phonoloop.core.speech import Span

MAX_S = 1.0  # everything a thirtieth of the usual, to be quick
SECOND = 16_000


class Told:
    """Knows where speech is; is asked about one window."""

    def __init__(self, spans):
        self.spans = spans

    def speech_spans(self, samples):
        return [Span(s.start, min(s.end, samples.size)) for s in self.spans if s.start < samples.size]


@st.composite
def recordings(draw):
    lengths = draw(st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 60_000)), max_size=12))
    spans, position = [], 0
    for pause, speech in lengths:
        start = position + pause + (1 if spans else 0)  # spans of a detector are disjoint
        spans.append(Span(start, start + speech))
        position = start + speech
    size = position + draw(st.integers(0, 30_000))
    pcm = np.random.default_rng(draw(st.integers(0, 100))).integers(-99, 99, size).astype(np.int16)
    return pcm, spans


@settings(max_examples=150, deadline=None)
@given(
    recordings(),
    st.sampled_from([0.1, 0.5, MAX_S]),
    st.sampled_from([0.0, 0.05, 0.3]),
    st.sampled_from([0.1, 0.5]),
)
def test_spans_are_ordered_disjoint_short_enough_and_hold_all_speech(recording, max_s, pad_s, long_pause_s):
    pcm, speech = recording
    spans = cut_at_pauses(pcm, Told(speech), max_s=max_s, pad_s=pad_s, long_pause_s=long_pause_s)
    assert all(0 <= span.start < span.end <= pcm.size for span in spans)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
    assert all(span.samples <= round(max_s * SECOND) for span in spans)
    held = np.zeros(pcm.size, bool)
    for span in spans:
        held[span.start : span.end] = True
    assert all(held[span.start : span.end].all() for span in speech)


@settings(max_examples=150, deadline=None)
@given(
    scores=st.lists(st.floats(0, 1), max_size=200),
    min_speech_ms=st.integers(0, 100),
    min_silence_ms=st.integers(0, 100),
    pad_ms=st.integers(0, 50),
)
def test_spans_of_any_scores_are_ordered_and_disjoint(scores, min_speech_ms, min_silence_ms, pad_ms):
    rules = SpanRules(0.6, 0.4, min_speech_ms=min_speech_ms, min_silence_ms=min_silence_ms, pad_ms=pad_ms)
    total = max(len(scores) * 160 - 17, 0)
    spans = spans_from_scores(np.array(scores), rules, frame_samples=160, total_samples=total)
    assert all(0 <= span.start < span.end <= total for span in spans)
    assert all(a.end < b.start for a, b in itertools.pairwise(spans))
