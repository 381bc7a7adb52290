"""Training: the same seed gives the same bits, also when it was stopped, killed or found a damaged file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from phonoloop.asr.config import AsrRecipe
from phonoloop.asr.train import TrainResult, train
from phonoloop.core.errors import (
    CancelledError,
    ConfigError,
    ConflictError,
    IntegrityError,
    ManifestError,
    PhonoloopError,
)
from phonoloop.data.manifest import ManifestRow
from phonoloop.testing.tones import Corpus, tiny_recipe
from phonoloop.training.checkpoint import load_weights
from phonoloop.training.metrics import read_metrics


def run(recipe: AsrRecipe, corpus: Corpus, out: Path, **more) -> TrainResult:
    rows = {"train_rows": corpus.train, "val_rows": corpus.val} | more
    return train(recipe, audio_roots=[corpus.folder], out_dir=out, **rows)


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = load_weights(one / "model.pt"), load_weights(other / "model.pt")
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def stop_after(steps: int):
    """Says no to a training after so many questions, which is one each step."""
    asked = iter(range(10**6))
    return lambda: next(asked) >= steps - 1


@pytest.fixture(scope="module")
def undisturbed(corpus, tmp_path_factory) -> TrainResult:
    return run(tiny_recipe(), corpus, tmp_path_factory.mktemp("undisturbed"))


def test_two_runs_end_at_the_same_bits(corpus, undisturbed, tmp_path):
    again = run(tiny_recipe(), corpus, tmp_path)
    assert_same_weights(undisturbed.out_dir, again.out_dir)


def test_another_seed_ends_elsewhere(corpus, undisturbed, tmp_path):
    other = run(tiny_recipe(seed=4), corpus, tmp_path)
    one, two = (load_weights(result.model_path)["head.weight"] for result in (undisturbed, other))
    assert not torch.equal(one, two)


def test_prefetching_and_caching_change_nothing(corpus, undisturbed, tmp_path):
    recipe = tiny_recipe(batch={"prefetch": 0, "cache_mb": 0})
    assert_same_weights(undisturbed.out_dir, run(recipe, corpus, tmp_path).out_dir)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_stopped_and_started_again_it_ends_at_the_same_bits(corpus, undisturbed, tmp_path, steps):
    with pytest.raises(CancelledError) as caught:
        run(tiny_recipe(), corpus, tmp_path, should_stop=stop_after(steps))
    assert caught.value.code == "training.cancelled"
    resumed = run(tiny_recipe(), corpus, tmp_path)
    assert resumed.resumed_at_step == steps
    assert resumed.steps == undisturbed.steps
    assert_same_weights(undisturbed.out_dir, tmp_path)


def test_with_ema_accumulation_and_two_views_too(corpus, tmp_path):
    recipe = tiny_recipe(optim={"ema": 0.9}, batch={"accumulate": 2}, cr_ctc={"enabled": True})
    run(recipe, corpus, tmp_path / "whole")
    with pytest.raises(CancelledError):
        run(recipe, corpus, tmp_path / "cut", should_stop=stop_after(3))
    run(recipe, corpus, tmp_path / "cut")
    assert_same_weights(tmp_path / "whole", tmp_path / "cut")


def test_a_damaged_checkpoint_is_said_and_the_one_before_taken(corpus, undisturbed, tmp_path):
    with pytest.raises(CancelledError):
        run(tiny_recipe(), corpus, tmp_path, should_stop=stop_after(5))
    newest = max((tmp_path / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])
    resumed = run(tiny_recipe(), corpus, tmp_path)
    assert resumed.damaged_checkpoints == (newest,)
    assert 0 < resumed.resumed_at_step < 5
    assert_same_weights(undisturbed.out_dir, tmp_path)


def test_when_all_checkpoints_are_damaged_it_stops_and_says_so(corpus, tmp_path):
    with pytest.raises(CancelledError):
        run(tiny_recipe(), corpus, tmp_path, should_stop=stop_after(5))
    for path in (tmp_path / "checkpoints").iterdir():
        path.write_bytes(b"")
    with pytest.raises(IntegrityError) as caught:
        run(tiny_recipe(), corpus, tmp_path)
    assert caught.value.code == "checkpoint.corrupt"


def test_the_last_two_checkpoints_are_kept(undisturbed):
    assert len(list((undisturbed.out_dir / "checkpoints").iterdir())) == 2


def test_a_finished_run_is_not_trained_again(corpus, undisturbed):
    before = len(read_metrics(undisturbed.out_dir))
    again = run(tiny_recipe(), corpus, undisturbed.out_dir)
    assert again.steps == undisturbed.steps
    assert len(read_metrics(undisturbed.out_dir)) == before


def test_each_epoch_is_measured_once(undisturbed):
    lines = read_metrics(undisturbed.out_dir)
    assert [line["epoch"] for line in lines] == [1, 2]
    named = {"loss", "val_loss", "val_wer", "val_cer", "lr", "blank_share", "audio_s_per_s", "grad_norm"}
    assert named <= lines[0].keys()
    assert list((undisturbed.out_dir / "tensorboard").iterdir())


def test_epochs_measured_before_a_kill_are_not_doubled(corpus, tmp_path):
    with pytest.raises(CancelledError):
        run(tiny_recipe(epochs=3), corpus, tmp_path, should_stop=stop_after(8))
    run(tiny_recipe(epochs=3), corpus, tmp_path)
    assert [line["epoch"] for line in read_metrics(tmp_path)] == [1, 2, 3]


def test_progress_is_told(corpus, tmp_path):
    told = []
    run(tiny_recipe(), corpus, tmp_path, on_progress=told.append)
    assert told[0].stage == "prepare"
    assert (told[-1].stage, told[-1].fraction) == ("done", 1.0)
    assert [progress.epoch for progress in told if progress.epoch_done] == [1, 2]
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)


def test_what_is_not_trained_on_is_listed(corpus, tmp_path):
    rows = [
        *corpus.train,
        ManifestRow("gone.wav", "abc", 1.0, "s1"),
        ManifestRow(corpus.train[0].audio_filepath, "a" * 200, 1.0, "s1", clip_id="crammed"),
        ManifestRow(corpus.train[0].audio_filepath, "a", 99.0, "s1", clip_id="endless"),
    ]
    result = run(tiny_recipe(epochs=1), corpus, tmp_path, train_rows=rows)
    codes = {one.key: one.code for one in result.skipped}
    assert codes == {
        "gone.wav@0.000": "manifest.audio_missing",
        "crammed": "utterance.too_short",
        "endless": "utterance.too_long",
    }
    assert len(json.loads((tmp_path / "skipped.json").read_text())) == 3


def test_without_validation_rows_it_trains_all_the_same(corpus, tmp_path):
    result = run(tiny_recipe(epochs=1), corpus, tmp_path, val_rows=[])
    assert result.model_path.is_file()
    assert "val_wer" not in result.metrics


def test_nothing_to_train_on_is_said(corpus, tmp_path):
    with pytest.raises(ManifestError) as caught:
        run(tiny_recipe(), corpus, tmp_path, train_rows=[ManifestRow("gone.wav", "abc", 1.0, "s1")])
    assert caught.value.code == "training.no_data"


def test_a_folder_of_another_recipe_is_refused(corpus, undisturbed):
    with pytest.raises(ConflictError) as caught:
        run(tiny_recipe(epochs=9), corpus, undisturbed.out_dir)
    assert caught.value.code == "training.other_recipe"


def test_a_recipe_is_checked_before_anything_is_written(corpus, tmp_path):
    with pytest.raises(ConfigError):
        run(tiny_recipe(epochs=0), corpus, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("encoder", ["transformer", "lstm"])
def test_the_other_encoders_train(corpus, tmp_path, encoder):
    result = run(tiny_recipe(epochs=1, model={"encoder": encoder}), corpus, tmp_path)
    assert np.isfinite(result.metrics["val_loss"])


def test_bf16_trains(corpus, tmp_path):
    result = run(tiny_recipe(epochs=1, optim={"precision": "bf16"}), corpus, tmp_path)
    assert np.isfinite(result.metrics["val_loss"])


def test_best_epochs_can_be_averaged_and_others_are_deleted(corpus, tmp_path):
    recipe = tiny_recipe(epochs=4, keep={"average": 2, "average_by": "best"})
    result = run(recipe, corpus, tmp_path)
    assert result.metrics["averaged"] == 2
    assert 2 <= len(list((tmp_path / "weights").iterdir())) <= 3


def test_it_stops_early_where_the_recipe_says_so(corpus, tmp_path):
    recipe = tiny_recipe(epochs=30, optim={"peak_lr": 1e-9}, stop={"patience": 2, "min_delta": 0.01})
    assert run(recipe, corpus, tmp_path).epochs == 3


def test_a_model_that_writes_nothing_is_given_up(corpus, tmp_path):
    stop = {"blank_after": 0.0, "blank_patience": 2, "blank_share": -1.0}
    with pytest.raises(PhonoloopError) as caught:
        run(tiny_recipe(epochs=9, optim={"peak_lr": 1e-9}, stop=stop), corpus, tmp_path)
    assert caught.value.code == "training.blank_collapse"
    assert len(read_metrics(tmp_path)) == 2


def test_gradients_that_are_no_numbers_are_given_up(corpus, tmp_path):
    recipe = tiny_recipe(epochs=20, augment={"wave_share": 0.0})
    with pytest.raises(PhonoloopError) as caught:
        run(_with_broken_features(recipe), corpus, tmp_path)
    assert caught.value.code == "training.not_finite"


def _with_broken_features(recipe: AsrRecipe) -> AsrRecipe:
    from dataclasses import replace

    return replace(recipe, front_end=replace(recipe.front_end, mean=float("nan")))


# ---------------------------------------------------------------- starting from an earlier model


def test_a_warm_start_takes_the_earlier_weights(corpus, undisturbed, tmp_path):
    recipe = tiny_recipe(epochs=1, optim={"peak_lr": 1e-12})
    run(recipe, corpus, tmp_path, initial_dir=undisturbed.out_dir)
    before, after = load_weights(undisturbed.model_path), load_weights(tmp_path / "model.pt")
    for name in before:
        torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=0)


def test_new_letters_start_a_new_head_only(corpus, undisturbed, tmp_path):
    rows = [ManifestRow(r.audio_filepath, r.text + "e", r.duration, r.speaker) for r in corpus.train]
    recipe = tiny_recipe(epochs=1, optim={"peak_lr": 1e-12})
    run(recipe, corpus, tmp_path, train_rows=rows, initial_dir=undisturbed.out_dir)
    before, after = load_weights(undisturbed.model_path), load_weights(tmp_path / "model.pt")
    assert len(after["head.bias"]) == len(before["head.bias"]) + 1
    name = "encoder.blocks.0.attention.qkv.weight"
    torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=0)


def test_an_earlier_model_of_another_shape_is_refused(corpus, undisturbed, tmp_path):
    with pytest.raises(ConfigError) as caught:
        run(tiny_recipe(model={"d_model": 32}), corpus, tmp_path, initial_dir=undisturbed.out_dir)
    assert caught.value.code == "training.initial_model"
