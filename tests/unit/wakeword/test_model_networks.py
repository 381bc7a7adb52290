"""What every kind of network promises, whatever is inside it."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from phonoloop.audio.features import FrontEnd
from phonoloop.core.errors import ConfigError, IntegrityError, NotFoundError
from phonoloop.testing.speech_embedding import VECTOR, write_tiny_embedding
from phonoloop.wakeword import model as wake_model
from phonoloop.wakeword.model import (
    ModelRecipe,
    build_model,
    choose,
    multiplications_per_s,
    parameter_count,
)

STEP = 1280
RECIPES = {
    "bcresnet": ModelRecipe(kind="bcresnet", width=0.5),
    "coarse bcresnet": ModelRecipe(
        kind="bcresnet",
        width=0.5,
        time_stride=2,
        dilations=(1, 1, 1, 2),
        front_end=FrontEnd(n_mels=40, hop_ms=20),
    ),
    "matchboxnet": ModelRecipe(kind="matchboxnet", channels=8),
    "marblenet": ModelRecipe(kind="marblenet", channels=8),
    "attention": ModelRecipe(kind="embedding", head_width=8),
    "se": ModelRecipe(kind="embedding", head="se", head_width=8),
    "tcn": ModelRecipe(kind="embedding", head="tcn", head_width=8),
    "dense": ModelRecipe(kind="embedding", head="dense", dense=(12, 6)),
    "line": ModelRecipe(kind="embedding", head="dense", dense=()),
    "ensemble": ModelRecipe(kind="embedding", head="ensemble", head_width=8),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_embedding(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(params=RECIPES)
def recipe(request, folder):
    return dataclasses.replace(RECIPES[request.param])


@pytest.fixture
def network(recipe, folder):
    """As after a training: every norm has seen data that are not standard."""
    torch.manual_seed(1)
    network = build_model(recipe, embedding_dir=folder)
    generator = torch.Generator().manual_seed(2)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3, generator=generator)
            part.running_var.uniform_(0.5, 2.0, generator=generator)
    return network.eval()


def audio(steps=20, batch=2, seed=0):
    samples = 0.1 * np.random.default_rng(seed).standard_normal((batch, steps * STEP), np.float32)
    return torch.from_numpy(samples)


@torch.no_grad()
@pytest.mark.parametrize("cuts", [[1], [3, 4, 11], range(1, 20)], ids=["two", "uneven", "one by one"])
def test_a_stream_gives_what_a_file_gives(network, cuts):
    x, state, parts = audio(), network.initial_state(2), []
    for piece in torch.tensor_split(x, [cut * STEP for cut in cuts], dim=1):
        logits, state = network.step(piece, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, 1), network(x), atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_score_knows_nothing_of_what_comes_later(network):
    one, other = audio(), audio()
    other[:, 12 * STEP :] = audio(seed=9)[:, 12 * STEP :]
    before, after = network(one), network(other)
    torch.testing.assert_close(before[:, :12], after[:, :12], atol=1e-6, rtol=0)
    assert (before[:, 12:] != after[:, 12:]).any()


@torch.no_grad()
def test_a_score_hears_the_last_samples_of_its_step(network):
    """A louder end of the last step, which only this step can know of."""
    one, other = audio(), audio()
    other[:, -160:] *= 8
    features, others = network.front(one), network.front(other)
    assert (features[:, -1] != others[:, -1]).any()
    features[:, -network.feature_rate :] = 3 * torch.randn(2, network.feature_rate, network.feature_count)
    assert (network.net(features)[:, -1] != network(one)[:, -1]).all()


@torch.no_grad()
def test_streams_in_a_batch_do_not_hear_each_other(network):
    x = audio(batch=3)
    torch.testing.assert_close(network(x)[1:2], network(x[1:2]), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("samples", [STEP, STEP + 1, 3 * STEP - 1])
def test_only_whole_steps_are_scored(network, samples):
    assert network(audio()[:, :samples]).shape == (2, samples // STEP)


def test_states_are_zeros_of_the_shapes_that_go_round(network):
    state = network.initial_state(2)
    with torch.no_grad():
        after = network.step(audio(), state)[1]
    assert len(network.state_names) == len(set(network.state_names)) == len(state)
    assert [one.shape for one in state] == [one.shape for one in after]
    assert not any(one.any() for one in state)


def test_features_come_at_the_rate_and_width_that_is_said(network):
    features = network.front(audio(steps=5))
    assert features.shape == (2, 5 * network.feature_rate, network.feature_count)
    assert network.net(features).shape == (2, 5)


def test_training_reaches_every_weight_of_the_net_and_none_of_the_front(network):
    network.train()
    nn.functional.softplus(network(audio(steps=30, batch=4))).mean().backward()
    left = [name for name, p in network.net.named_parameters() if p.grad is None or not p.grad.any()]
    assert left == []
    assert all(p.grad is None for p in network.front.parameters())


@torch.no_grad()
def test_weights_carry_all_that_was_learned(network, recipe, folder):
    torch.manual_seed(99)
    other = build_model(recipe, embedding_dir=folder).eval()
    assert not torch.allclose(other(audio()), network(audio()))
    other.load_weights(network.weights())
    torch.testing.assert_close(other(audio()), network(audio()))
    assert all(name.startswith("net.") for name in network.weights())


def test_anothers_weights_are_refused(network):
    weights = network.weights()
    name = next(iter(weights))
    with pytest.raises(IntegrityError, match="another network's"):
        network.load_weights({key: value for key, value in weights.items() if key != name})
    with pytest.raises(IntegrityError, match="do not fit") as caught:
        network.load_weights(weights | {name: torch.zeros(1, 2, 3, 4, 5)})
    assert caught.value.code == "model.weights"


def test_multiplications_are_counted(network):
    assert multiplications_per_s(network) > 1e6 * 100 / 1000 * 10
    assert not network.training


@pytest.mark.parametrize(
    ("recipe", "parameters"),
    [
        # 9.2 k and 17.2 k in the paper, with 12 classes instead of one score
        (ModelRecipe(kind="bcresnet", width=1.0), 9_200 - 11 * 32),
        (ModelRecipe(kind="bcresnet", width=1.5), 17_200 - 11 * 48),
        # 3×1×64 with 30 classes, 3×2×64 with 2 classes; both begin with 64 bands there
        (ModelRecipe(kind="matchboxnet"), 77_000 - 30 * 128 - 24 * 139),
        (ModelRecipe(kind="marblenet"), 88_000 - 128 - 24 * 139),
    ],
)
def test_sizes_are_those_of_the_papers(recipe, parameters):
    network = build_model(recipe)
    assert parameter_count(network) == parameter_count(network, trainable=True)
    assert parameter_count(network) == pytest.approx(parameters, rel=0.04)


@torch.no_grad()
def test_a_bcresnet_shows_what_its_logits_are_read_off():
    network = build_model(RECIPES["coarse bcresnet"]).eval()
    features = network.front(audio())
    logits, frames = network.net.with_frames(features)
    torch.testing.assert_close(logits, network.net(features))
    assert frames.shape == (2, network.net.frame_channels, 20 * network.net.frames_a_step)
    assert network.net.frames_a_step == 2


class TestHead:
    @torch.no_grad()
    def test_vectors_are_standardised_by_constants(self, folder):
        torch.manual_seed(0)
        net = build_model(RECIPES["dense"], embedding_dir=folder).eval().net
        x = torch.randn(2, 20, VECTOR)
        mean, std = torch.randn(VECTOR), torch.rand(VECTOR) + 0.5
        expected = net(x)
        net.set_normalisation(mean, std)
        torch.testing.assert_close(net(x * std + mean), expected, atol=1e-5, rtol=1e-4)

    def test_a_number_that_never_changes_is_not_blown_up(self, folder):
        net = build_model(RECIPES["dense"], embedding_dir=folder).net
        net.set_normalisation(torch.zeros(VECTOR), torch.zeros(VECTOR))
        assert net.scale.tolist() == [1.0] * VECTOR

    @torch.no_grad()
    def test_an_ensemble_says_the_mean_of_what_its_parts_learn_to_say(self, folder):
        net = build_model(RECIPES["ensemble"], embedding_dir=folder).eval().net
        x = torch.randn(2, 20, VECTOR)
        tcn, attention = net.each(x)
        assert not torch.allclose(tcn, attention)
        torch.testing.assert_close(net(x), (tcn + attention) / 2)

    @torch.no_grad()
    def test_what_is_learned_is_on_average_what_is_said(self, network):
        audio = torch.randn(2, 5 * network.step_samples + 7) * 0.1
        learned = network.eval().each(audio)
        torch.testing.assert_close(sum(learned) / len(learned), network(audio))

    @torch.no_grad()
    def test_the_dense_head_sees_so_many_steps_and_no_more(self, folder):
        net = (
            build_model(dataclasses.replace(RECIPES["dense"], head_steps=6), embedding_dir=folder).eval().net
        )
        x = torch.randn(1, 20, VECTOR)
        changed = x.clone()
        changed[:, 10] += 1
        differs = (net(x) != net(changed))[0]
        assert differs.nonzero().flatten().tolist() == list(range(10, 16))


class TestFineTuning:
    def test_a_backbone_that_is_not_frozen_is_trained_and_kept(self, folder):
        recipe = dataclasses.replace(RECIPES["attention"], freeze_base=False)
        network = build_model(recipe, embedding_dir=folder)
        network(audio()).mean().backward()
        assert all(p.grad is not None and p.grad.any() for p in network.front.parameters())
        assert any(name.startswith("front.") for name in network.weights())
        with torch.no_grad():
            next(network.front.parameters()).mul_(1.1)
            other = build_model(recipe, embedding_dir=folder).eval()
            other.load_weights(network.weights())
            torch.testing.assert_close(other(audio()), network.eval()(audio()))
        assert other.front.hash == network.front.hash

    def test_it_is_another_front_end_than_the_frozen_one(self, folder):
        recipe = RECIPES["attention"]
        frozen = build_model(recipe, embedding_dir=folder)
        trained = build_model(dataclasses.replace(recipe, freeze_base=False), embedding_dir=folder)
        assert frozen.front.hash != trained.front.hash

    def test_a_frozen_front_stays_in_use_while_the_net_trains(self, folder):
        network = build_model(RECIPES["attention"], embedding_dir=folder).train()
        assert (network.net.training, network.front.training) == (True, False)


class TestChoice:
    def test_auto_takes_the_embedding_where_its_files_are_and_says_so(self, folder):
        choice = choose(ModelRecipe(), embedding_dir=folder)
        assert choice.recipe.kind == "embedding"
        assert str(folder) in choice.why

    def test_auto_takes_a_bcresnet_otherwise_and_says_why(self, monkeypatch):
        monkeypatch.setattr(wake_model, "find_speech_embedding", lambda given: None)
        choice = choose(ModelRecipe())
        assert (choice.recipe.kind, choice.files) == ("bcresnet", None)
        assert "no speech embedding was found" in choice.why

    def test_a_folder_that_is_named_has_to_hold_it(self, tmp_path):
        for recipe in (ModelRecipe(), ModelRecipe(kind="embedding")):
            with pytest.raises(NotFoundError, match="has no"):
                choose(dataclasses.replace(recipe, backbone=str(tmp_path)))

    def test_the_embedding_is_never_replaced_silently(self, monkeypatch):
        monkeypatch.setattr(wake_model, "find_speech_embedding", lambda given: None)
        with pytest.raises(NotFoundError) as caught:
            build_model(ModelRecipe(kind="embedding"))
        assert caught.value.code == "embedding.missing"

    def test_a_wrong_recipe_is_refused_before_anything_is_built(self):
        with pytest.raises(ConfigError):
            build_model(ModelRecipe(kind="bcresnet", width=-1.0))
