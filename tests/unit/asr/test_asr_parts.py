"""The loss, reading, data, recipes."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.asr.config import AsrRecipe, load_recipe, recipe_from_dict
from phonoloop.asr.ctc import collapse, consistency, ctc_loss, frames_needed
from phonoloop.asr.data import AudioCache, TrainingEars, make_batch, usable
from phonoloop.asr.decode import Token, join_windows, read_greedily, words_of
from phonoloop.asr.layers import Dropout, attention
from phonoloop.core.errors import ConfigError
from phonoloop.core.speech import Span
from phonoloop.testing.tones import tiny_recipe
from phonoloop.text.tokens import BpeTokenizer, CharTokenizer

# ---------------------------------------------------------------- loss


def every_path(frames: int, vocab: int):
    return itertools.product(range(vocab), repeat=frames)


@pytest.mark.parametrize("ids", [[], [1], [1, 2], [1, 1], [2, 1, 2]])
def test_ctc_is_the_sum_over_all_paths(ids):
    log_probs = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    total = sum(
        np.exp(sum(float(log_probs[0, t, k]) for t, k in enumerate(path)))
        for path in every_path(4, 3)
        if collapse(np.array(path)) == ids
    )
    targets = torch.tensor([ids or [0]])
    loss = ctc_loss(log_probs, torch.tensor([4]), targets, torch.tensor([len(ids)]))
    assert float(loss) == pytest.approx(-np.log(total), rel=1e-4)


@settings(deadline=None)  # torch's first call takes its time
@given(ids=st.lists(st.integers(1, 3), max_size=6), frames=st.integers(1, 8))
def test_frames_needed_is_when_the_loss_is_finite(ids, frames):
    log_probs = torch.zeros(1, frames, 4).log_softmax(-1)
    raw = torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1), torch.tensor([ids or [0]]), [frames], [len(ids)], reduction="sum"
    )
    assert torch.isfinite(raw) == (frames_needed(ids) <= frames)
    ours = ctc_loss(log_probs, torch.tensor([frames]), torch.tensor([ids or [0]]), torch.tensor([len(ids)]))
    assert torch.isfinite(ours).all()


def test_consistency_is_zero_for_equal_views_and_ignores_padding():
    first, second = torch.randn(2, 2, 6, 5).log_softmax(-1)
    lengths = torch.tensor([6, 3])
    assert float(consistency(first, first, lengths).sum()) == pytest.approx(0.0, abs=1e-6)
    changed = second.clone()
    changed[1, 3:] = torch.randn(3, 5).log_softmax(-1)
    assert torch.equal(consistency(first, second, lengths), consistency(first, changed, lengths))
    assert (consistency(first, second, lengths) > 0).all()


def test_each_view_is_drawn_to_the_other_which_is_held():
    logits = torch.randn(2, 1, 4, 5, requires_grad=True)
    first, second = logits.log_softmax(-1)
    consistency(first, second, torch.tensor([4])).sum().backward()
    pulled = 0.5 * (first.exp() - second.exp())
    torch.testing.assert_close(logits.grad[0], pulled.detach())


# ---------------------------------------------------------------- layers

#: threads that sleep while they wait, on a machine that others use too
PASSIVE = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}


@settings(deadline=None)  # torch's first call takes its time
@given(frames=st.integers(1, 30), hidden=st.integers(0, 10))
def test_the_plain_attention_is_the_fused_one(frames, hidden):
    query, key, value = torch.randn(3, 2, 4, frames, 8)
    mask = torch.zeros(2, 1, frames, frames)
    mask[..., max(1, frames - hidden) :] = float("-inf")
    plain = attention(query.bfloat16(), key.bfloat16(), value.bfloat16(), mask.bfloat16())
    torch.testing.assert_close(plain.float(), attention(query, key, value, mask), atol=0.06, rtol=0.05)


def test_convolution_in_bf16_on_two_threads_ends():
    """Some lengths never ended in torch 2.13, inside C where no timeout of a test reaches."""
    code = (
        "import torch; from phonoloop.asr.layers import ChunkConvolution, Context;"
        "torch.set_num_threads(2); part = ChunkConvolution(144, 15, 0.0);"
        "torch.autocast('cpu', torch.bfloat16).__enter__();"
        "hear = lambda n, t: part(torch.randn(n, t, 144), Context(None, None, None, 0, None));"
        "[hear(n, t).sum().backward() for n in (6, 7, 8) for t in (80, 84, 88)]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env=os.environ | PASSIVE)


def test_dropout_drops_its_share_and_keeps_the_mean():
    torch.manual_seed(0)
    dropped = Dropout(0.25).train()(torch.ones(1000, 100))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.01)
    assert torch.equal(Dropout(0.25).eval()(torch.ones(3)), torch.ones(3))


# ---------------------------------------------------------------- reading

CHARS = CharTokenizer("abc" + " ")


def log_probs_of(best: list[int], vocab: int) -> np.ndarray:
    rows = np.full((len(best), vocab), 0.1 / (vocab - 1))
    rows[np.arange(len(best)), best] = 0.9
    return np.log(rows)


def test_runs_are_one_token_and_blanks_none():
    tokens = read_greedily(log_probs_of([0, 2, 2, 0, 2, 3], 7), start_ms=1000)
    assert [(t.id, t.start_ms, t.end_ms) for t in tokens] == [
        (2, 1040, 1120),
        (2, 1160, 1200),
        (3, 1200, 1240),
    ]
    assert tokens[0].confidence == pytest.approx(0.9)


def test_words_end_at_spaces_and_carry_times():
    ids = CHARS.encode("ab c")
    tokens = [Token(i, 100 * n, 100 * n + 40, 0.5 + n / 10) for n, i in enumerate(ids)]
    words = words_of(tokens, CHARS, end_ms=320)
    assert [(w.text, w.start_ms, w.end_ms) for w in words] == [("ab", 0, 140), ("c", 300, 320)]
    assert words[0].confidence == pytest.approx(0.55)


def test_words_of_bpe_tokens_begin_where_a_token_has_a_space():
    texts = ["xin chào bạn", "chào anh", "xin lỗi bạn", "cảm ơn anh"] * 5
    tokenizer = BpeTokenizer.train(texts, 30)
    ids = tokenizer.encode("xin chào anh")
    tokens = [Token(i, 40 * n, 40 * n + 40, 1.0) for n, i in enumerate(ids)]
    assert [word.text for word in words_of(tokens, tokenizer, end_ms=9999)] == ["xin", "chào", "anh"]


def test_overlapping_windows_give_each_token_once():
    def tokens(first_ms: int, last_ms: int) -> list[Token]:
        return [Token(ms // 500, ms, ms + 40, 1.0) for ms in range(first_ms, last_ms, 500)]

    spans = [Span(0, 24 * 16_000), Span(20 * 16_000, 44 * 16_000)]
    joined = join_windows([(spans[0], tokens(0, 24_000)), (spans[1], tokens(20_000, 44_000))])
    assert [token.id for token in joined] == list(range(88))


# ---------------------------------------------------------------- data


def test_augmentation_depends_on_seed_epoch_and_utterance_alone(corpus):
    recipe = tiny_recipe()
    good, _ = usable(corpus.rows, CharTokenizer("abcd "), [corpus.folder], max_s=30)

    def heard(order, epoch):
        ears = TrainingEars(recipe, AudioCache(recipe.front_end, 2**20)).at(epoch)
        return {utterance.key: ears(utterance)[0] for utterance in order}

    one, other, later = heard(good, 0), heard(good[::-1], 0), heard(good, 1)
    assert all(np.array_equal(one[key], other[key]) for key in one)
    assert not any(np.array_equal(one[key], later[key]) for key in one)


def test_two_views_have_the_same_frames_and_other_masks(corpus):
    recipe = tiny_recipe(cr_ctc={"enabled": True})
    good, _ = usable(corpus.rows, CharTokenizer("abcd "), [corpus.folder], max_s=30)
    ears = TrainingEars(recipe, AudioCache(recipe.front_end, 2**20)).at(0)
    for utterance in good:
        first, second = ears(utterance)
        assert first.shape == second.shape
        assert not np.array_equal(first, second)


def test_a_batch_is_padded_and_says_what_does_not_fit(corpus):
    recipe = tiny_recipe()
    good, _ = usable(corpus.rows, CharTokenizer("abcd "), [corpus.folder], max_s=30)
    cache = AudioCache(recipe.front_end, 2**20)
    crammed = replace(good[0], ids=(2, 2) * 100)
    batch = make_batch([crammed, *good[1:4]], lambda u: (cache.features(u),))
    assert batch.too_short == 1
    assert batch.views[0].shape[1] % 16 == 0
    assert batch.lengths.max() <= batch.views[0].shape[1]
    shortest = int(batch.lengths.argmin())
    assert not batch.views[0][shortest, batch.lengths[shortest] :].any()


# ---------------------------------------------------------------- recipes


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(ConfigError) as caught:
        recipe_from_dict({"model": {"d_modle": 3}})
    assert (caught.value.code, caught.value.subject) == ("config.unknown_key", "model.d_modle")
    assert "d_model" in caught.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"model": {"heads": 5}},
        {"model": {"conv_kernel": 14}},
        {"stream": {"chunks_ms": [100]}},
        {"stream": {"chunks_ms": [], "full_share": 0.5}},
        {"optim": {"peak_lr": 0}},
        {"model": {"encoder": "rnnt"}},
    ],
)
def test_values_that_cannot_be_are_refused(changes):
    with pytest.raises(ConfigError) as caught:
        recipe_from_dict(changes)
    assert caught.value.code == "config.wrong_value"


def test_a_recipe_that_does_not_ship_names_those_that_do():
    with pytest.raises(ConfigError) as caught:
        load_recipe("smal")
    assert "small" in caught.value.hint


def test_the_defaults_are_a_valid_recipe():
    assert recipe_from_dict({}) == AsrRecipe()
