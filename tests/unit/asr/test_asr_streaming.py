"""A stream hears what the batch hears under the same chunk mask, wherever its pieces are cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.asr.config import AsrRecipe
from phonoloop.asr.model import CtcModel
from phonoloop.asr.streaming import FeatureStream, TorchStream, left_frames
from phonoloop.core.errors import ConfigError
from phonoloop.testing.tones import tiny_recipe

VOCAB = 7
MODELS = {
    "conformer": {"layers": 2},
    "transformer": {"encoder": "transformer", "layers": 2},
    "lstm": {"encoder": "lstm", "layers": 2},
}


def model_of(recipe: AsrRecipe) -> CtcModel:
    torch.manual_seed(0)
    return CtcModel(recipe.model, n_mels=80, vocab_size=VOCAB).eval()


def batch_under_mask(model: CtcModel, features: np.ndarray, recipe: AsrRecipe, chunk_ms: int) -> np.ndarray:
    with torch.no_grad():
        heard, _ = model(
            torch.from_numpy(features[None]),
            torch.tensor([len(features)]),
            chunk=chunk_ms // 40,
            left=left_frames(recipe.stream.left_ms, chunk_ms),
        )
    return heard[0].numpy()


def streamed(stream: FeatureStream, features: np.ndarray, cuts: list[int]) -> np.ndarray:
    borders = sorted({min(cut, len(features)) for cut in cuts} | {0, len(features)})
    pieces = [features[a:b] for a, b in itertools.pairwise(borders)]
    return np.concatenate([*(stream.push(piece) for piece in pieces), stream.flush()])


def noise(frames: int) -> np.ndarray:
    return np.random.default_rng(frames).standard_normal((frames, 80)).astype(np.float32)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("chunk_ms", [40, 160, 320, 640])
def test_stream_equals_batch_under_the_same_mask(name, chunk_ms):
    recipe = tiny_recipe(model=MODELS[name])
    model, features = model_of(recipe), noise(259)
    stream = TorchStream(model, recipe, chunk_ms=chunk_ms)
    heard = streamed(stream, features, list(range(0, 259, 7)))
    np.testing.assert_allclose(heard, batch_under_mask(model, features, recipe, chunk_ms), atol=2e-5)


@settings(deadline=None, max_examples=25)
@given(
    frames=st.integers(0, 200),
    cuts=st.lists(st.integers(0, 200), max_size=12),
    chunk_ms=st.sampled_from([40, 120, 160, 320]),
)
def test_where_pieces_are_cut_changes_nothing(frames, cuts, chunk_ms):
    recipe = tiny_recipe()
    model, features = model_of(recipe), noise(frames)
    heard = streamed(TorchStream(model, recipe, chunk_ms=chunk_ms), features, cuts)
    assert len(heard) == frames // 4
    if frames >= 4:
        np.testing.assert_allclose(heard, batch_under_mask(model, features, recipe, chunk_ms), atol=2e-5)


def test_a_stream_does_not_see_beyond_its_chunk():
    recipe = tiny_recipe()
    model, features = model_of(recipe), noise(160)
    changed = features.copy()
    changed[64:] += 1.0
    one, other = (TorchStream(model, recipe, chunk_ms=160) for _ in range(2))
    np.testing.assert_array_equal(one.push(features[:64]), other.push(changed)[:16])


def test_an_endless_stream_keeps_a_bounded_cache():
    recipe = tiny_recipe()
    stream = TorchStream(model_of(recipe), recipe, chunk_ms=160)
    for i in range(40):
        stream.push(noise(32 + i))
    keys = stream._step._cache[2]
    assert keys.shape[3] == recipe.stream.left_ms // 40


def test_after_flush_a_new_utterance_begins():
    recipe = tiny_recipe()
    stream = TorchStream(model_of(recipe), recipe)
    first = streamed(stream, noise(100), [30])
    np.testing.assert_array_equal(first, streamed(stream, noise(100), [70]))


def test_padding_changes_nothing():
    recipe = tiny_recipe()
    model, long, short = model_of(recipe), noise(200), noise(120)
    padded = np.full((2, 200, 80), 5.0, np.float32)
    padded[0], padded[1, :120] = long, short
    for chunk in (0, 4):
        with torch.no_grad():
            both, lengths = model(torch.from_numpy(padded), torch.tensor([200, 120]), chunk=chunk, left=16)
            alone, _ = model(torch.from_numpy(short[None]), torch.tensor([120]), chunk=chunk, left=16)
        assert lengths.tolist() == [50, 30]
        torch.testing.assert_close(both[1, :30], alone[0], atol=2e-5, rtol=0)
        assert torch.isfinite(both).all()


@pytest.mark.parametrize("name", ["conformer", "transformer"])
def test_the_whole_utterance_sees_ahead_and_a_chunk_does_not(name):
    recipe = tiny_recipe(model=MODELS[name])
    model, features = model_of(recipe), noise(160)
    later = features.copy()
    later[-8:] += 3.0

    def first_frames(chunk: int) -> torch.Tensor:
        with torch.no_grad():
            pair = torch.from_numpy(np.stack([features, later]))
            heard, _ = model(pair, torch.tensor([160, 160]), chunk=chunk, left=100)
        return heard[:, :4]

    assert not torch.equal(*first_frames(0))
    assert torch.equal(*first_frames(4))


def test_a_model_that_needs_the_future_refuses_to_stream():
    recipe = tiny_recipe(model={"encoder": "lstm", "bidirectional": True})
    with pytest.raises(ConfigError) as caught:
        TorchStream(model_of(recipe), recipe)
    assert caught.value.code == "streaming.bidirectional"


def test_a_chunk_is_a_multiple_of_40_ms():
    recipe = tiny_recipe()
    with pytest.raises(ConfigError) as caught:
        TorchStream(model_of(recipe), recipe, chunk_ms=100)
    assert caught.value.code == "streaming.chunk"
