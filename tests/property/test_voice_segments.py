"""Whatever is recorded, the segments and what is dropped are the recording, and none is too long."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.voice.data import RATE_HZ
from phonoloop.voice.envelope import FRAME_SAMPLES, Envelope, frame_levels
from phonoloop.voice.segment import SegmentSettings, dropped, segment

KINDS = st.sampled_from(["silence", "hiss", "tone", "waves", "click"])
PARTS = st.lists(st.tuples(KINDS, st.integers(0, 60_000), st.floats(-80, 0)), max_size=8)
SETTINGS = st.builds(
    SegmentSettings,
    max_s=st.sampled_from([0.5, 0.9, 2.0, 12.0]),
    min_s=st.sampled_from([0.0, 0.2, 0.4]),
    method=st.sampled_from(["rolling", "global"]),
    rounds=st.integers(1, 5),
    pad_s=st.sampled_from([0.0, 0.1, 0.25]),
    floor_reach_s=st.sampled_from([1.0, 15.0]),
)


def sound(kind, samples, level_db):
    time_s = np.arange(samples) / RATE_HZ
    made = {
        "silence": lambda: np.zeros(samples),
        "hiss": lambda: np.random.default_rng(samples).standard_normal(samples),
        "tone": lambda: np.sin(2 * np.pi * 150 * time_s),
        "waves": lambda: np.sin(2 * np.pi * 150 * time_s) * np.sin(2 * np.pi * 2 * time_s),
        "click": lambda: (time_s < 0.01).astype(float),
    }[kind]()
    return (made * 10 ** (level_db / 20)).astype(np.float32)


@st.composite
def recordings(draw):
    parts = [sound(*part) for part in draw(PARTS)]
    return np.concatenate([np.zeros(0, np.float32), *parts])


@st.composite
def blocks(draw, audio):
    cuts = sorted(draw(st.lists(st.integers(0, audio.size), max_size=5)))
    return np.split(audio, cuts)


@settings(max_examples=150, deadline=None)
@given(recordings(), SETTINGS)
def test_kept_and_dropped_are_the_input_to_the_sample_and_none_is_too_long(audio, wanted):
    found = segment([audio], wanted)
    spans = sorted([(one.start, one.end) for one in [*found, *dropped(found, audio.size)]])
    edges = [at for span in spans for at in span]
    assert edges == sorted(edges)
    assert sum(end - start for start, end in spans) == audio.size
    assert all(0 < one.samples <= wanted.max_s * RATE_HZ for one in found)


@settings(max_examples=100, deadline=None)
@given(st.data(), recordings(), SETTINGS)
def test_where_the_blocks_begin_makes_no_difference(data, audio, wanted):
    assert segment(data.draw(blocks(audio)), wanted) == segment([audio], wanted)


@settings(max_examples=50, deadline=None)
@given(recordings(), SETTINGS)
def test_a_forced_cut_is_marked_on_both_sides(audio, wanted):
    """Who stands at a forced cut has a neighbour who does; who was not forced ends where it is quieter."""
    found = segment([audio], wanted)
    ends = {one.end for one in found if one.forced_cut} & {one.start for one in found if one.forced_cut}
    for one in (each for each in found if each.forced_cut):
        assert one.start in ends or one.end in ends


@settings(max_examples=100, deadline=None)
@given(st.data(), recordings())
def test_levels_are_those_of_the_whole_whatever_the_blocks(data, audio):
    parts = list(frame_levels(data.draw(blocks(audio))))
    levels = np.concatenate([np.zeros(0, np.float32), *parts])
    assert np.array_equal(levels, Envelope.of([audio]).levels_db)
    assert levels.size == -(-audio.size // FRAME_SAMPLES)
    assert np.all((levels >= -100) & (levels <= 1))
