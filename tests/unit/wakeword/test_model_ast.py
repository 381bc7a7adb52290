"""An AST of any size as a backbone; here a tiny one with random weights, saved as the real ones are."""

import numpy as np
import pytest
import torch

from phonoloop.core.errors import ConfigError
from phonoloop.testing import sounds
from phonoloop.wakeword.model import ModelRecipe, build_model

transformers = pytest.importorskip("transformers", reason="the package transformers is not installed")
STEP = 1280
# its extractor says of its own 128 filters that the lowest is empty
pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter:UserWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ast")
    torch.manual_seed(0)
    config = transformers.ASTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, max_length=96
    )
    base = transformers.ASTModel(config)
    torch.nn.init.normal_(base.embeddings.position_embeddings, std=0.5)
    base.save_pretrained(folder)
    transformers.ASTFeatureExtractor(max_length=96).save_pretrained(folder)
    return folder


def recipe(folder, **changes):
    settings = {"ast_ms": 640, "head_steps": 4, "head_width": 8} | changes
    return ModelRecipe(kind="ast", backbone=str(folder), **settings)


@pytest.fixture(scope="module")
def network(folder):
    return build_model(recipe(folder)).eval()


@pytest.fixture(scope="module")
def audio():
    return torch.from_numpy(sounds.speech_like(1.6, seed=3).samples)[None]


@torch.no_grad()
@pytest.mark.parametrize("steps", [1, 3])
def test_a_stream_gives_what_a_file_gives(network, audio, steps):
    state, parts = network.initial_state(1), []
    for piece in audio.split(steps * STEP, dim=1):
        logits, state = network.step(piece, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, 1), network(audio), atol=1e-5, rtol=0)


@torch.no_grad()
def test_features_are_those_of_its_own_extractor(network, audio):
    extractor = transformers.ASTFeatureExtractor(max_length=96)
    heard = audio[0, : 12 * STEP].numpy()
    padded = np.concatenate([np.zeros(240, np.float32), heard])
    theirs = extractor(padded, sampling_rate=16_000, return_tensors="np")["input_values"][0]
    np.testing.assert_allclose(network.front.mel(audio[:, : 12 * STEP])[0].numpy(), theirs, atol=1e-3)


@torch.no_grad()
def test_a_vector_is_the_base_over_the_last_window(folder, audio):
    """With a window as long as the base was made for, nothing is cut."""
    network = build_model(recipe(folder, ast_ms=960)).eval()
    base = transformers.ASTModel.from_pretrained(folder).eval()
    frames = network.front.mel(audio)
    expected = base(frames[:, -96:]).pooler_output
    torch.testing.assert_close(network.front(audio)[:, -1], expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_shorter_window_keeps_the_first_places(network, folder):
    base = transformers.ASTModel.from_pretrained(folder)
    whole = base.embeddings.position_embeddings[:, 2:].reshape(12, 9, -1)
    cut = network.front.base.embeddings.position_embeddings[:, 2:].reshape(12, 5, -1)
    torch.testing.assert_close(cut, whole[:, :5])


@torch.no_grad()
def test_the_last_samples_are_heard(network, audio):
    louder = audio.clone()
    louder[:, -160:] += 0.2 * torch.randn(160)
    assert (network.front(audio)[:, -1] != network.front(louder)[:, -1]).any()


@torch.no_grad()
def test_the_beginning_of_a_stream_is_like_silence_before_it(network, audio):
    quiet = torch.zeros(1, 10 * STEP)
    later = network.front(torch.cat([quiet, audio], dim=1))[:, 10:]
    torch.testing.assert_close(network.front(audio), later, atol=1e-5, rtol=1e-5)


def test_the_weights_are_part_of_what_the_front_end_is(network, folder, tmp_path):
    assert build_model(recipe(folder)).front.hash == network.front.hash
    base = transformers.ASTModel.from_pretrained(folder)
    with torch.no_grad():
        base.layernorm.weight.mul_(2)
    base.save_pretrained(tmp_path)
    transformers.ASTFeatureExtractor(max_length=96).save_pretrained(tmp_path)
    assert build_model(recipe(tmp_path)).front.hash != network.front.hash


def test_it_is_frozen_unless_the_recipe_says_otherwise(folder, audio):
    for frozen in (True, False):
        network = build_model(recipe(folder, freeze_base=frozen))
        network(audio).mean().backward()
        assert all((p.grad is None) == frozen for p in network.front.parameters())
        assert any(name.startswith("front.") for name in network.weights()) != frozen


class TestRefusing:
    def test_a_window_longer_than_the_base_knows(self, folder):
        with pytest.raises(ConfigError, match="it sees 160 to 960 ms, not 1040") as caught:
            build_model(recipe(folder, ast_ms=1040))
        assert caught.value.code == "config.backbone"

    def test_a_folder_without_a_model(self, tmp_path):
        with pytest.raises(ConfigError, match="no AST can be loaded"):
            build_model(recipe(tmp_path))

    def test_features_that_are_not_the_models(self, folder, tmp_path):
        transformers.ASTModel.from_pretrained(folder).save_pretrained(tmp_path)
        transformers.ASTFeatureExtractor(num_mel_bins=64).save_pretrained(tmp_path)
        with pytest.raises(ConfigError, match="64 bands"):
            build_model(recipe(tmp_path))
