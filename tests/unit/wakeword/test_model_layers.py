"""A part gives the same numbers however the stream is cut, and never looks ahead."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from phonoloop.wakeword.heads import _Pooling, _Squeeze
from phonoloop.wakeword.layers import (
    CausalConv1d,
    CausalConv2d,
    Chain,
    Packed,
    Past,
    SubSpectralNorm,
    TrailingMean,
)
from phonoloop.wakeword.pooled import PooledLogit

UNIT = 4  # frames that a part wants at a time, at most


def conv_chain():
    return Chain(CausalConv1d(6, 5, 3), nn.ReLU(), CausalConv1d(5, 3, 2, dilation=3), TrailingMean(3, 4))


PARTS = {
    "conv1d": (lambda: CausalConv1d(6, 4, 5, dilation=2), (6,)),
    "conv1d of one frame": (lambda: CausalConv1d(6, 4, 1), (6,)),
    "depthwise": (lambda: CausalConv1d(6, 6, 3, groups=6, bias=False), (6,)),
    "conv2d": (lambda: CausalConv2d(2, 3, (3, 4), bands=10, stride=2, padding=1), (2, 10)),
    "conv2d that strides": (
        lambda: CausalConv2d(2, 3, (3, 4), bands=10, time_stride=2, padding=1),
        (2, 10),
    ),
    "conv2d of one frame": (lambda: CausalConv2d(2, 3, (3, 1), bands=10, padding=1), (2, 10)),
    "mean": (lambda: TrailingMean(6, 7), (6,)),
    "mean of one frame": (lambda: TrailingMean(6, 1), (6,)),
    "chain": (conv_chain, (6,)),
    "packed": (lambda: Packed(conv_chain()), (6,)),
    "attention": (lambda: _Pooling(6, 5), (6,)),
    "squeeze": (lambda: _Squeeze(6, 5), (6,)),
    "logit": (lambda: PooledLogit(6, rate=UNIT, steps=3, dropout=0.5), (6,)),
}


def made(name):
    make, shape = PARTS[name]
    torch.manual_seed(3)
    return make().eval(), shape


def in_pieces(part, x, cuts):
    state, parts = part.initial_state(x.shape[0]), []
    for piece in torch.tensor_split(x, cuts, dim=-1):
        y, state = part.step(piece, state)
        parts.append(y)
    return torch.cat(parts, dim=-1), state


@pytest.mark.parametrize("name", PARTS)
@settings(max_examples=12, deadline=None)
@given(units=st.integers(1, 9), data=st.data())
@torch.no_grad()
def test_any_cutting_gives_the_same(name, units, data):
    part, shape = made(name)
    x = torch.randn(2, *shape, units * UNIT, generator=torch.Generator().manual_seed(units))
    cuts = sorted(data.draw(st.sets(st.integers(1, units - 1)))) if units > 1 else []
    whole, end = part.step(x, part.initial_state(2))
    pieces, other_end = in_pieces(part, x, [cut * UNIT for cut in cuts])
    torch.testing.assert_close(pieces, whole, atol=1e-5, rtol=0)
    for one, two in zip(end, other_end, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", PARTS)
@torch.no_grad()
def test_a_state_has_the_shape_that_is_said(name):
    part, shape = made(name)
    after = part.step(torch.randn(3, *shape, 2 * UNIT), part.initial_state(3))[1]
    assert [tuple(one.shape) for one in after] == [(3, *shape) for shape in part.state_shapes]
    assert all(not one.any() for one in part.initial_state(3))


@torch.no_grad()
def test_a_trailing_mean_is_of_the_last_frames_with_zeros_before_them():
    means = TrailingMean(1, 3)(torch.tensor([[[3.0, 6.0, 0.0, 3.0]]]))
    torch.testing.assert_close(means, torch.tensor([[[1.0, 3.0, 3.0, 3.0]]]))


@torch.no_grad()
def test_what_lies_before_the_beginning_has_no_attention():
    pooling, x = _Pooling(4, 8).eval(), torch.randn(1, 4, 1)
    torch.testing.assert_close(pooling(x), x)


@torch.no_grad()
def test_attention_is_a_softmax_over_the_last_steps():
    pooling = _Pooling(4, 3).eval()
    x = torch.randn(1, 4, 6)
    weights = torch.softmax(8 * torch.tanh(pooling.score(x)[0, :, -3:] / 8), dim=1)
    torch.testing.assert_close(pooling(x)[0, :, -1], (weights * x[0, :, -3:]).sum(1))


def test_past_of_nothing_changes_nothing():
    x = torch.randn(1, 2, 3)
    assert Past(2, 0).step(x, ()) == (x, ())


class TestSubSpectralNorm:
    def test_in_training_every_part_of_the_frequencies_is_normalised_on_its_own(self):
        x = torch.cat([torch.randn(8, 2, 5, 30), 10 + 4 * torch.randn(8, 2, 5, 30)], dim=2)
        y = SubSpectralNorm(2, 10, 2).train()(x)
        for part in (y[:, :, :5], y[:, :, 5:]):
            torch.testing.assert_close(part.mean((0, 2, 3)), torch.zeros(2), atol=1e-4, rtol=0)
            torch.testing.assert_close(part.std((0, 2, 3)), torch.ones(2), atol=1e-2, rtol=0)

    @torch.no_grad()
    def test_in_use_it_does_what_batch_normalisation_does(self):
        norm = SubSpectralNorm(3, 10, 5)
        for _ in range(3):
            norm.train()(torch.randn(4, 3, 10, 20) * torch.arange(1, 11)[:, None])
        norm.norm.weight.uniform_(0.5, 2)
        norm.norm.bias.uniform_(-1, 1)
        x = torch.randn(2, 3, 10, 7)
        expected = norm.norm.eval()(x.reshape(2, 15, 2, 7)).reshape(2, 3, 10, 7)
        torch.testing.assert_close(norm.eval()(x), expected)
