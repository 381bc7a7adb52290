"""A stream of any pieces gives the frames that the whole gives."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.audio.features import FrontEnd, StreamingFrontEnd
from phonoloop.testing.sounds import speech_like

SAMPLES = speech_like(2, seed=9).samples


@settings(max_examples=60, deadline=None)
@given(
    total=st.integers(0, SAMPLES.size),
    pieces=st.lists(st.integers(0, 5_000), min_size=1, max_size=20),
    n_mels=st.sampled_from([40, 80]),
)
def test_stream_is_batch(total, pieces, n_mels):
    front_end = FrontEnd(n_mels=n_mels)
    stream, frames, position = StreamingFrontEnd(front_end), [], 0
    for piece in [*pieces, total]:
        frames.append(stream.push(SAMPLES[position : min(position + piece, total)]))
        position = min(position + piece, total)
    frames.append(stream.flush())
    assert np.array_equal(np.concatenate(frames), front_end.compute(SAMPLES[:total]))


@settings(max_examples=5, deadline=None)
@given(piece=st.sampled_from([1, 7, 160, 161, 512]))
def test_pieces_of_one_size(piece):
    stream = StreamingFrontEnd(FrontEnd())
    pushed = [stream.push(SAMPLES[start : start + piece]) for start in range(0, 8_000, piece)]
    end = -(-8_000 // piece) * piece
    assert np.array_equal(np.concatenate(pushed), FrontEnd().compute(SAMPLES[:end]))
