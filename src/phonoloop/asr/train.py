"""Training a recogniser: a plain function that resumes by itself and ends at the same weights.

out_dir/
  recipe.yaml  tokenizer.json  skipped.json
  checkpoints/step-XXXXXXXX.ckpt    the last two, everything that resuming needs
  weights/epoch-XXXX.ckpt           for averaging
  metrics.jsonl  tensorboard/
  model.pt                          the result: averaged weights
  train.json                        what `TrainResult` says
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from phonoloop.asr.config import AsrRecipe, check, recipe_from_dict, recipe_to_dict
from phonoloop.asr.data import AudioCache, Skipped, TrainingEars, Utterance, usable
from phonoloop.asr.loop import Run, Stage, finish, run_epochs
from phonoloop.asr.model import CtcModel, parameter_count
from phonoloop.asr.steps import make_learner
from phonoloop.core.errors import ConfigError, ConflictError, ManifestError
from phonoloop.core.files import write_whole
from phonoloop.data.manifest import ManifestRow
from phonoloop.text.normalise import for_training
from phonoloop.text.tokens import BpeTokenizer, CharTokenizer, Tokenizer, load_tokenizer, save_tokenizer
from phonoloop.training import checkpoint, distributed, seeds
from phonoloop.training.numerics import choose_numerics
from phonoloop.training.progress import OnProgress, Progress, ignore_progress
from phonoloop.training.strict import read_yaml


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What came out.

    Attributes:
        model_path: averaged weights.
        metrics: of the averaged model on the validation utterances, and of the last epoch.
        skipped: rows that were not trained on, with reasons; also in `skipped.json`.
        resumed_at_step: where an earlier process had stopped; None for a fresh run.
        damaged_checkpoints: files that were passed over when resuming.
    """

    out_dir: Path
    model_path: Path
    epochs: int
    steps: int
    metrics: dict[str, float]
    train_hours: float
    parameters: int
    skipped: tuple[Skipped, ...] = ()
    resumed_at_step: int | None = None
    damaged_checkpoints: tuple[Path, ...] = ()


def train(
    recipe: AsrRecipe,
    *,
    train_rows: Sequence[ManifestRow],
    val_rows: Sequence[ManifestRow],
    audio_roots: Sequence[Path],
    out_dir: Path,
    on_progress: OnProgress = ignore_progress,
    should_stop: Callable[[], bool] = lambda: False,
    initial_dir: Path | None = None,
    noises: Sequence[np.ndarray] = (),
) -> TrainResult:
    """Trains until the recipe's last epoch; goes on from the last whole checkpoint in `out_dir`.

    Args:
        val_rows: may be empty; then nothing is validated and the last epochs are averaged.
        initial_dir: an earlier model's artefacts to start from; its tokens are kept where they cover
            the texts, else the head starts anew.
        noises: recordings to mix in, each (n,) float32 at 16,000 Hz.

    Raises:
        ConfigError: a recipe that contradicts itself (`config.wrong_value`) or the initial model.
        ConflictError: `training.other_recipe`, where `out_dir` holds a run of another recipe.
        ManifestError: `training.no_data`, where no row can be trained on.
        IntegrityError: `checkpoint.corrupt`, where no whole checkpoint is left.
        CancelledError: `training.cancelled`, after saving, when `should_stop()` says so.
        PhonoloopError: `training.blank_collapse`, `training.not_finite`.
    """
    check(recipe)
    world = distributed.world_from_environment()
    on_progress(Progress("prepare", epochs=recipe.epochs))
    out_dir.mkdir(parents=True, exist_ok=True)
    _claim(out_dir, recipe)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    with distributed.joined(world):
        tokenizer = _tokenizer(recipe, train_rows, out_dir, initial_dir)
        material = _material(recipe, tokenizer, train_rows, val_rows, audio_roots)
        _write_skipped(out_dir, material.skipped)
        run = _start(recipe, tokenizer, material, out_dir=out_dir, initial_dir=initial_dir, noises=noises)
        stage = Stage(on_progress, should_stop, recipe.epochs, run.fraction)
        run_epochs(run, stage)
        metrics = finish(run, stage)
    result = _result(run, material, metrics)
    _write_result(result)
    on_progress(Progress("done", recipe.epochs, recipe.epochs, run.step, 1.0, 0.0, metrics))
    return result


@dataclass(frozen=True, slots=True)
class _Material:
    train: list[Utterance]
    val: list[Utterance]
    skipped: tuple[Skipped, ...]

    @property
    def hours(self) -> float:
        return sum(utterance.duration_s for utterance in self.train) / 3600


def _material(
    recipe: AsrRecipe,
    tokenizer: Tokenizer,
    train_rows: Sequence[ManifestRow],
    val_rows: Sequence[ManifestRow],
    audio_roots: Sequence[Path],
) -> _Material:
    rules: dict[str, Any] = {"max_s": recipe.max_utterance_s, "language": recipe.language}
    train_good, train_bad = usable(train_rows, tokenizer, audio_roots, **rules)
    val_good, val_bad = usable(val_rows, tokenizer, audio_roots, **rules)
    if not train_good:
        why = f": {train_bad[0].key}: {train_bad[0].reason}" if train_bad else ""
        raise ManifestError(
            f"none of {len(train_rows)} rows can be trained on{why}",
            code="training.no_data",
            hint="Check the paths of the audio and the texts",
        )
    return _Material(train_good, val_good, (*train_bad, *val_bad))


def _claim(out_dir: Path, recipe: AsrRecipe) -> None:
    """Writes the recipe; refuses a folder where another recipe began."""
    path = out_dir / "recipe.yaml"
    if path.is_file():
        if recipe_from_dict(read_yaml(path)) != recipe:
            raise ConflictError(
                "a run with another recipe lies here",
                code="training.other_recipe",
                subject=str(out_dir),
                hint="Take another folder, or the recipe that the run began with",
            )
        return
    text = yaml.safe_dump(recipe_to_dict(recipe), sort_keys=False, allow_unicode=True)
    write_whole(path, text.encode())


def _tokenizer(
    recipe: AsrRecipe, rows: Sequence[ManifestRow], out_dir: Path, initial_dir: Path | None
) -> Tokenizer:
    path = out_dir / "tokenizer.json"
    if not path.is_file():
        ordered = sorted(rows, key=lambda row: row.text)
        texts = [for_training(row.text, row.language_or(recipe.language)) for row in ordered]
        save_tokenizer(_initial_or_new(recipe, texts, initial_dir), path)
    return load_tokenizer(path)


def _initial_or_new(recipe: AsrRecipe, texts: Sequence[str], initial_dir: Path | None) -> Tokenizer:
    if initial_dir is not None and recipe.tokenizer.reuse_initial:
        initial = load_tokenizer(initial_dir / "tokenizer.json")
        same_kind = isinstance(initial, CharTokenizer) == (recipe.tokenizer.kind == "char")
        if same_kind and not any(initial.unknown(text) for text in texts):
            return initial
    return _new_tokenizer(recipe, texts)


def _new_tokenizer(recipe: AsrRecipe, texts: Iterable[str]) -> Tokenizer:
    if recipe.tokenizer.kind == "char":
        return CharTokenizer.train(texts, cover=recipe.tokenizer.cover)
    return BpeTokenizer.train(texts, recipe.tokenizer.vocab_size, cover=recipe.tokenizer.cover)


def _start(
    recipe: AsrRecipe,
    tokenizer: Tokenizer,
    material: _Material,
    *,
    out_dir: Path,
    initial_dir: Path | None,
    noises: Sequence[np.ndarray],
) -> Run:
    world = distributed.world_from_environment()
    seeds.seed_everything(recipe.seed)
    model = CtcModel(recipe.model, n_mels=recipe.front_end.n_mels, vocab_size=tokenizer.vocab_size)
    if initial_dir is not None:
        _warm_start(model, tokenizer, initial_dir)
    numerics = choose_numerics(recipe.device, recipe.optim.precision, world.local_rank)
    cache = AudioCache(recipe.front_end, recipe.batch.cache_mb * 2**20)
    run = Run(
        recipe=recipe,
        out_dir=out_dir,
        tokenizer=tokenizer,
        learner=make_learner(recipe, model, numerics, world),
        cache=cache,
        ears=TrainingEars(recipe, cache, noises),
        train=material.train,
        val=material.val,
    )
    run.resume()
    return run


def _warm_start(model: CtcModel, tokenizer: Tokenizer, initial_dir: Path) -> None:
    """Takes over the encoder, and the head too where the tokens are the same.

    Raises:
        ConfigError: `training.initial_model`, where the earlier model has another shape.
    """
    weights = checkpoint.load_weights(initial_dir / "model.pt")
    if load_tokenizer(initial_dir / "tokenizer.json").hash != tokenizer.hash:
        fresh = model.state_dict()
        weights = {name: fresh[name] if name.startswith("head.") else w for name, w in weights.items()}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(
            "the earlier model has another shape than the recipe's",
            code="training.initial_model",
            subject=str(initial_dir),
            hint="Take its recipe's model section, or train from the beginning",
        ) from error


def _write_skipped(out_dir: Path, skipped: Sequence[Skipped]) -> None:
    lines = [dataclasses.asdict(one) for one in skipped]
    write_whole(out_dir / "skipped.json", json.dumps(lines, ensure_ascii=False, indent=1).encode())


def _result(run: Run, material: _Material, metrics: dict[str, float]) -> TrainResult:
    return TrainResult(
        out_dir=run.out_dir,
        model_path=run.out_dir / "model.pt",
        epochs=run.epoch,
        steps=run.step,
        metrics=metrics,
        train_hours=material.hours,
        parameters=parameter_count(run.learner.model),
        skipped=material.skipped,
        resumed_at_step=run.resumed_at_step,
        damaged_checkpoints=run.damaged,
    )


def _write_result(result: TrainResult) -> None:
    body = {
        "epochs": result.epochs,
        "steps": result.steps,
        "metrics": result.metrics,
        "train_hours": result.train_hours,
        "parameters": result.parameters,
        "skipped": len(result.skipped),
    }
    write_whole(result.out_dir / "train.json", json.dumps(body, indent=1).encode())
