"""How to train a recogniser: frozen, strict, checked before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from phonoloop.audio.augment import FeatureAugmentConfig, WaveAugmentConfig
from phonoloop.audio.features import FrontEnd
from phonoloop.training import recipes
from phonoloop.training.strict import build, read_yaml, to_mapping


@dataclass(frozen=True, slots=True)
class ModelRecipe:
    """The network.

    Attributes:
        encoder: `conformer`, `transformer` or `lstm`.
        d_model: width; must be divisible by `heads` into an even number.
        layers, heads: of the encoder; heads mean nothing to an LSTM.
        ff_factor: inner width of the feed-forward parts over `d_model`.
        conv_kernel: frames (40 ms) the convolution spans, odd.
        conv_channels: channels of the subsampling convolutions.
        dropout: in every residual branch.
        bidirectional: LSTM only; such a model cannot stream.
    """

    encoder: Literal["conformer", "transformer", "lstm"] = "conformer"
    d_model: int = 144
    layers: int = 6
    heads: int = 4
    ff_factor: int = 4
    conv_kernel: int = 15
    conv_channels: int = 32
    dropout: float = 0.1
    bidirectional: bool = False


@dataclass(frozen=True, slots=True)
class TokenizerRecipe:
    """What the model writes.

    Attributes:
        kind: `char`, or `bpe` with `vocab_size` tokens.
        cover: `vi` gives a character tokenizer every Vietnamese letter, seen or not.
        reuse_initial: a warm start keeps the earlier model's tokens where they cover the texts.
    """

    kind: Literal["char", "bpe"] = "char"
    vocab_size: int = 256
    cover: str = "vi"
    reuse_initial: bool = True


@dataclass(frozen=True, slots=True)
class BatchRecipe:
    """How utterances are put together.

    Attributes:
        seconds: of padded audio in a micro-batch.
        max_utterances: in a micro-batch.
        accumulate: micro-batches to an optimiser step.
        cache_mb: memory for decoded audio and features.
        prefetch: micro-batches made ahead in a thread; 0 makes each when it is needed.
    """

    seconds: float = 100.0
    max_utterances: int = 64
    accumulate: int = 1
    cache_mb: int = 1024
    prefetch: int = 4


@dataclass(frozen=True, slots=True)
class AugmentRecipe:
    """What happens to training audio.

    Attributes:
        wave_share: the share of utterances whose waveform is changed; the others come from the cache.
        wave: noise, room, speed and so on, on samples.
        features: stretch, pitch, volume and SpecAugment, on log-mel frames.
    """

    wave_share: float = 0.5
    wave: WaveAugmentConfig = field(default_factory=WaveAugmentConfig)
    features: FeatureAugmentConfig = field(default_factory=FeatureAugmentConfig)


@dataclass(frozen=True, slots=True)
class OptimRecipe:
    """AdamW under OneCycle.

    Attributes:
        peak_lr, warmup, start_div, end_div: see `phonoloop.training.schedule.one_cycle`.
        clip_norm: the gradient is scaled down to this length.
        ema: decay of an exponential moving average of the weights; 0 for none.
        precision: `auto` takes bf16 where the processor computes in it, else fp16 (GPU) or fp32 (CPU).
    """

    peak_lr: float = 2e-3
    warmup: float = 0.2
    start_div: float = 25.0
    end_div: float = 1000.0
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.98
    clip_norm: float = 5.0
    ema: float = 0.0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"


@dataclass(frozen=True, slots=True)
class CrCtcRecipe:
    """Consistency-regularised CTC (arXiv 2410.05101): doubles the work of a step.

    Attributes:
        scale: of the symmetric divergence between two views of an utterance.
        mask_factor: how many times more time masking the views get, as the paper advises.
    """

    enabled: bool = False
    scale: float = 0.2
    mask_factor: float = 2.5


@dataclass(frozen=True, slots=True)
class StreamRecipe:
    """Chunk masks in training, so that one model hears whole recordings and streams.

    Attributes:
        chunks_ms: one is drawn each step; 0 is the whole utterance. Multiples of 40.
        full_share: the share of steps that see whole utterances.
        left_ms: how far back a chunk attends.
        serve_chunk_ms: what a streaming session takes by default.
    """

    chunks_ms: tuple[int, ...] = (160, 320, 640)
    full_share: float = 0.5
    left_ms: int = 5120
    serve_chunk_ms: int = 320


@dataclass(frozen=True, slots=True)
class StopRecipe:
    """When a training ends, or is given up.

    Attributes:
        patience: epochs without a better validation score before stopping; 0 never stops early.
        min_delta: what counts as better.
        blank_share, blank_after, blank_patience: blank collapse is more than this share of blanks
            with nearly every word wrong, looked for after `blank_after`, a share of the training
            (every model begins by writing nothing). The metric `blank_collapse` is 1 in such epochs;
            after `blank_patience` of them in a row the run fails. 0 only warns.
    """

    patience: int = 0
    min_delta: float = 0.0
    blank_share: float = 0.98
    blank_after: float = 0.5
    blank_patience: int = 10


@dataclass(frozen=True, slots=True)
class KeepRecipe:
    """What is kept of a run.

    Attributes:
        checkpoint_steps: a checkpoint every so many optimiser steps, and one each epoch.
        average: how many epochs' weights are averaged into the model; 1 takes one as it is.
        average_by: the `last` epochs or the `best` by validation word error.
    """

    checkpoint_steps: int = 200
    average: int = 5
    average_by: Literal["last", "best"] = "last"


@dataclass(frozen=True, slots=True)
class AsrRecipe:
    """Everything that decides what is trained, with `seed` down to the bit on one machine.

    Attributes:
        max_utterance_s: longer utterances are left out, counted and listed.
        threads: of torch on a CPU; 0 leaves torch's own choice.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
    """

    name: str = "small"
    seed: int = 1
    epochs: int = 40
    device: str = "auto"
    threads: int = 0
    max_utterance_s: float = 30.0
    language: str = "vi"
    front_end: FrontEnd = field(default_factory=FrontEnd)
    tokenizer: TokenizerRecipe = field(default_factory=TokenizerRecipe)
    model: ModelRecipe = field(default_factory=ModelRecipe)
    batch: BatchRecipe = field(default_factory=BatchRecipe)
    augment: AugmentRecipe = field(default_factory=AugmentRecipe)
    optim: OptimRecipe = field(default_factory=OptimRecipe)
    cr_ctc: CrCtcRecipe = field(default_factory=CrCtcRecipe)
    stream: StreamRecipe = field(default_factory=StreamRecipe)
    stop: StopRecipe = field(default_factory=StopRecipe)
    keep: KeepRecipe = field(default_factory=KeepRecipe)


def load_recipe(name_or_path: str | Path) -> AsrRecipe:
    """A recipe that ships (`debug`, `small`, `base`, …) or a YAML file.

    Raises:
        ConfigError: `config.missing`, `config.not_yaml`, `config.unknown_key` (naming the nearest
            known one), `config.wrong_type`, `config.wrong_value`.
    """
    return recipe_from_dict(read_yaml(recipes.find_recipe("asr", name_or_path)))


def recipe_from_dict(raw: Mapping[str, Any]) -> AsrRecipe:
    """Raises as `load_recipe`."""
    recipe = build(AsrRecipe, raw)
    check(recipe)
    return recipe


def recipe_to_dict(recipe: AsrRecipe) -> dict[str, Any]:
    """Plain YAML values; `recipe_from_dict` reads them back."""
    return to_mapping(recipe)


def recipe_names() -> list[str]:
    """The recipes that ship."""
    return recipes.recipe_names("asr")


def check(recipe: AsrRecipe) -> None:
    """Raises ConfigError `config.wrong_value` for values that contradict each other or the model."""
    recipes.enforce(_rules(recipe))


def _rules(recipe: AsrRecipe) -> list[recipes.Rule]:
    model, stream = recipe.model, recipe.stream
    whole = all(ms > 0 and ms % 40 == 0 for ms in (*stream.chunks_ms, stream.serve_chunk_ms))
    return [
        ("epochs", recipe.epochs >= 1, "at least one epoch is needed"),
        ("seed", recipe.seed >= 0, "a seed is 0 or more"),
        *_model_rules(model),
        ("batch.seconds", recipe.batch.seconds > 0, "a batch needs more than 0 seconds"),
        ("batch.max_utterances", recipe.batch.max_utterances >= 1, "a batch needs an utterance"),
        ("batch.accumulate", recipe.batch.accumulate >= 1, "a step needs at least one micro-batch"),
        ("augment.wave_share", 0 <= recipe.augment.wave_share <= 1, "a share is between 0 and 1"),
        ("optim.peak_lr", recipe.optim.peak_lr > 0, "a learning rate is more than 0"),
        ("optim.warmup", 0 <= recipe.optim.warmup <= 1, "a share is between 0 and 1"),
        ("optim.ema", 0 <= recipe.optim.ema < 1, "a decay is 0 or more and less than 1"),
        ("stream.chunks_ms", whole, "chunks are multiples of 40 ms"),
        ("stream.full_share", 0 <= stream.full_share <= 1, "a share is between 0 and 1"),
        ("stream.full_share", bool(stream.chunks_ms) or stream.full_share == 1, "1 without chunks"),
        ("keep.average", recipe.keep.average >= 1, "at least one epoch's weights make a model"),
        ("keep.checkpoint_steps", recipe.keep.checkpoint_steps >= 1, "at least 1"),
    ]


def _model_rules(model: ModelRecipe) -> list[recipes.Rule]:
    heads = model.heads if model.encoder != "lstm" else 1
    head_fits = heads >= 1 and model.d_model % (2 * heads) == 0
    return [
        ("model.d_model", model.d_model >= 2, "the model has no width"),
        ("model.layers", model.layers >= 1, "the model has no layers"),
        ("model.heads", head_fits, "d_model divided by heads must be an even whole number"),
        ("model.conv_kernel", model.conv_kernel % 2 == 1, "the kernel must be odd"),
        ("model.dropout", 0 <= model.dropout < 1, "dropout is 0 or more and less than 1"),
        ("model.ff_factor", model.ff_factor >= 1, "at least 1"),
        ("model.conv_channels", model.conv_channels >= 1, "at least 1"),
    ]
