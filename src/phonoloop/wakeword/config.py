"""How to train a wake word: frozen, strict, checked before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from phonoloop.audio.augment import WaveAugmentConfig
from phonoloop.audio.rooms import RoomConfig
from phonoloop.training import recipes
from phonoloop.training.strict import build, read_yaml, to_mapping
from phonoloop.wakeword import model_config
from phonoloop.wakeword.model_config import ModelRecipe
from phonoloop.wakeword.operating import OTHER_KIND
from phonoloop.wakeword.trigger import MAX_SMOOTHING_STEPS

__all__ = ["ModelRecipe", "WakeRecipe", "load_recipe", "recipe_from_dict", "recipe_names", "recipe_to_dict"]


@dataclass(frozen=True, slots=True)
class SynthesisRecipe:
    """How much is spoken by synthesisers.

    Attributes:
        positives: utterances of the phrase, over all voices.
        negatives: utterances of what sounds like it, parts of it, and other speech.
    """

    positives: int = 5_000
    negatives: int = 20_000


@dataclass(frozen=True, slots=True)
class MaterialRecipe:
    """What becomes of the recordings. A strip is a stretch of audio of one length, the unit of training.

    Attributes:
        train_pct, tune_pct: shares of speakers, voices and clips of the phrase to train on, and to choose
            the weights and the smoothing on; what is left makes the figures of the report.
        negative_train_pct, negative_tune_pct: likewise of recordings without the phrase. The threshold is
            chosen on them, which takes more of them than of anything else.
        strip_steps: length of a strip in steps of 80 ms.
        recorded_copies: strips made of each real clip of the phrase, as long as it is not more than
            `recorded_phrase_strips` of all together.
        spoken_copies: strips made of each synthesised utterance of the phrase.
        recorded_strips: strips cut from the real negatives, where there are more than a minute of them.
        held_out_copies: strips of each clip that the weights are chosen on.
        longest_s, shortest_s: clips of the phrase whose speech is longer or shorter are left out.
    """

    train_pct: int = 80
    tune_pct: int = 10
    negative_train_pct: int = 60
    negative_tune_pct: int = 30
    strip_steps: int = 36
    recorded_copies: int = 40
    recorded_phrase_strips: int = 12_000
    spoken_copies: int = 1
    recorded_strips: int = 10_000
    held_out_copies: int = 4
    longest_s: float = 3.0
    shortest_s: float = 0.2


@dataclass(frozen=True, slots=True)
class PieceRecipe:
    """What is changed in a clip before it is put into a strip.

    Attributes:
        speed, pitch: ranges of the factors; the one leaves the pitch, the other the speed.
        speed_probability, pitch_probability: how often.
        context_probability: how often there is other speech or noise beside the phrase, rather than quiet.
        level_db: range of the level of such speech against that of the phrase.
    """

    speed_probability: float = 0.5
    speed: tuple[float, float] = (0.85, 1.18)
    pitch_probability: float = 0.5
    pitch: tuple[float, float] = (0.88, 1.14)
    context_probability: float = 0.5
    level_db: tuple[float, float] = (-12.0, 6.0)


def _wave() -> WaveAugmentConfig:
    """Speed is changed piece by piece, a strip has its length already, and rooms are computed ones."""
    return WaveAugmentConfig(
        speeds=(1.0,),
        pad_probability=0.0,
        room_probability=0.0,
        noise_probability=0.8,
        noise_snr_db=(-5.0, 20.0),
        floor_probability=1.0,
        floor_dbfs=(-90.0, -50.0),
        volume=(0.1, 1.5),
    )


@dataclass(frozen=True, slots=True)
class AugmentRecipe:
    """What happens to training audio.

    Attributes:
        piece: to single clips.
        room_probability: of a strip to be heard in a room.
        rooms: how many different ones. room: what they are like.
        wave: to whole strips: noises, channels, floors, volume.
    """

    piece: PieceRecipe = field(default_factory=PieceRecipe)
    room_probability: float = 0.4
    rooms: int = 100
    room: RoomConfig = field(default_factory=RoomConfig)
    wave: WaveAugmentConfig = field(default_factory=_wave)


@dataclass(frozen=True, slots=True)
class TargetRecipe:
    """Which steps are to say that the phrase has just ended.

    Attributes:
        positive_ms: from the end of the phrase on, one step in this window has to be high.
        ignored_before_ms, ignored_after_ms: steps beside the window that may be as they like.
    """

    positive_ms: int = 240
    ignored_before_ms: int = 240
    ignored_after_ms: int = 480


@dataclass(frozen=True, slots=True)
class LossRecipe:
    """What is minimised.

    Attributes:
        kind: `focal` (Lin et al. 2017, arXiv 1708.02002) or `bce`.
        alpha: weight of the positive class of the focal loss, 1 - alpha that of the negative one.
        gamma: how little the focal loss counts what is right already.
        positive_weight: the window of a phrase counts as much as so many negative steps at once.
        pooling: `max` takes the best step of a window, `mean` all of them.
        hardest: the share of a batch's negative steps, the worst, that count; 1 for all of them.
    """

    kind: Literal["focal", "bce"] = "focal"
    alpha: float = 0.5
    gamma: float = 2.0
    positive_weight: float = 20.0
    pooling: Literal["max", "mean"] = "max"
    hardest: float = 1.0


@dataclass(frozen=True, slots=True)
class MixupRecipe:
    """Mixup (Zhang et al. 2018, arXiv 1710.09412) of features and losses of two strips.

    Attributes:
        probability: of a strip to be mixed; 0 for none.
        beta: both parameters of the Beta distribution of the shares.
    """

    probability: float = 0.25
    beta: float = 0.5


@dataclass(frozen=True, slots=True)
class OptimRecipe:
    """AdamW under OneCycle.

    Attributes:
        epochs, steps: at most so many epochs of so many optimiser steps.
        batch: strips in a step.
        positive_share: of a batch that holds the phrase.
        recorded_share: of the strips with the phrase, those of real clips, where there are any.
        recorded_negative_share: of the strips without it, those cut from recordings, where there are any;
            0 draws all strips alike.
        peak_lr, warmup, start_div, end_div: see `phonoloop.training.schedule.one_cycle`.
        clip_norm: the gradient is scaled down to this length.
        ema: decay of the moving average of the weights, which is what is judged and exported.
        precision: `auto` computes in bf16 or fp16 on a GPU and in fp32 on a CPU.
    """

    epochs: int = 30
    steps: int = 200
    batch: int = 32
    positive_share: float = 0.3
    recorded_share: float = 0.6
    recorded_negative_share: float = 0.0
    peak_lr: float = 1e-4
    warmup: float = 0.1
    start_div: float = 25.0
    end_div: float = 1000.0
    weight_decay: float = 0.01
    clip_norm: float = 5.0
    ema: float = 0.995
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"


@dataclass(frozen=True, slots=True)
class StopRecipe:
    """When a training ends before its last epoch.

    Attributes:
        patience: epochs without a better score on the held-out strips; 0 never stops early.
        min_delta: what counts as better.
    """

    patience: int = 8
    min_delta: float = 0.001


@dataclass(frozen=True, slots=True)
class MiningRecipe:
    """Negatives that the network takes for the phrase are heard more often.

    Attributes:
        rounds: how often all negatives are scored anew, spread evenly over the epochs.
        share: of the negative strips of a batch that come from the worst ones.
        worst: the share of all negative strips that these are drawn from.
    """

    rounds: int = 2
    share: float = 0.3
    worst: float = 0.05


@dataclass(frozen=True, slots=True)
class TeacherRecipe:
    """A larger network that is trained first and shows the small one what it hears.

    Attributes:
        enabled: else the network learns from labels alone.
        model: the teacher.
        epochs, batch, peak_lr: of its own training.
        weight: of agreeing with the teacher's logits; the labels keep the rest of 1.
        hint: of telling the teacher's vectors from what a BC-ResNet decides by, beside all else; 0 for none.
        limit: its logits count as no more than this, above and below zero: how sure it is beyond tells
            nothing.
    """

    enabled: bool = False
    model: ModelRecipe = field(default_factory=lambda: ModelRecipe(kind="embedding"))
    epochs: int = 30
    batch: int = 128
    peak_lr: float = 1e-3
    weight: float = 0.7
    hint: float = 0.0
    limit: float = 6.0


@dataclass(frozen=True, slots=True)
class JudgeRecipe:
    """How the threshold is chosen.

    Attributes:
        target_per_hour: false accepts an hour to stay under.
        folds: the recordings to learn from are divided so, and what networks trained without a part say to
            it is evidence for the threshold too; 0 where only what is held out is. Takes as many trainings
            more.
        margin: logits by which the threshold lies above where audio of the kind at hand would have it,
            because what a detector meets is of another kind; 0 where it is not.
        smoothing_steps: over how many steps scores may be averaged. More than two were chosen on clean
            clips now and then, and cost many misses in noise.
        at_snr_db: misses are also measured with noise at these levels.
    """

    target_per_hour: float = 0.5
    folds: int = 0
    margin: float = OTHER_KIND
    smoothing_steps: tuple[int, ...] = (1, 2)
    at_snr_db: tuple[float, ...] = (10.0,)


@dataclass(frozen=True, slots=True)
class GateRecipe:
    """Fewer clips than these are refused. Where no folder with the phrase is given, synthesis alone is
    learned from."""

    min_positives: int = 50
    min_negatives: int = 50


@dataclass(frozen=True, slots=True)
class WakeRecipe:
    """Everything that decides what is trained, with `seed` down to the bit on one machine.

    Attributes:
        threads: of torch on a CPU while it trains; 0 leaves torch's own choice.
        workers: threads that synthesise and augment.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        otherwise: the recipe to take instead where `model.kind: auto` finds no backbone; empty to train
            a BC-ResNet in the way of this one.
    """

    name: str = "default"
    otherwise: str = ""
    seed: int = 1
    device: str = "auto"
    threads: int = 0
    workers: int = 2
    model: ModelRecipe = field(default_factory=ModelRecipe)
    synthesis: SynthesisRecipe = field(default_factory=SynthesisRecipe)
    material: MaterialRecipe = field(default_factory=MaterialRecipe)
    augment: AugmentRecipe = field(default_factory=AugmentRecipe)
    target: TargetRecipe = field(default_factory=TargetRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    mixup: MixupRecipe = field(default_factory=MixupRecipe)
    optim: OptimRecipe = field(default_factory=OptimRecipe)
    stop: StopRecipe = field(default_factory=StopRecipe)
    mining: MiningRecipe = field(default_factory=MiningRecipe)
    teacher: TeacherRecipe = field(default_factory=TeacherRecipe)
    judge: JudgeRecipe = field(default_factory=JudgeRecipe)
    gate: GateRecipe = field(default_factory=GateRecipe)


def load_recipe(name_or_path: str | Path) -> WakeRecipe:
    """A recipe that ships (`default`, `bcresnet`, `debug`, …) or a YAML file.

    Raises:
        ConfigError: `config.missing`, `config.not_yaml`, `config.unknown_key` (naming the nearest
            known one), `config.wrong_type`, `config.wrong_value`.
    """
    return recipe_from_dict(read_yaml(recipes.find_recipe("wakeword", name_or_path)))


def recipe_from_dict(raw: Mapping[str, Any]) -> WakeRecipe:
    """Raises as `load_recipe`."""
    recipe = build(WakeRecipe, raw)
    check(recipe)
    return recipe


def recipe_to_dict(recipe: WakeRecipe) -> dict[str, Any]:
    """Plain YAML values; `recipe_from_dict` reads them back."""
    return to_mapping(recipe)


def recipe_names() -> list[str]:
    """The recipes that ship."""
    return recipes.recipe_names("wakeword")


def check(recipe: WakeRecipe) -> None:
    """Raises ConfigError `config.wrong_value` for values that contradict each other or the model."""
    recipes.enforce(
        [
            ("seed", recipe.seed >= 0, "a seed is 0 or more"),
            ("workers", recipe.workers >= 1, "at least one worker is needed"),
            *model_config.rules(recipe.model),
            *_material_rules(recipe),
            *_share_rules(recipe),
            *_learning_rules(recipe),
        ]
    )


def _material_rules(recipe: WakeRecipe) -> list[recipes.Rule]:
    material, synthesis, wave = recipe.material, recipe.synthesis, recipe.augment.wave
    shares = (
        (material.train_pct, material.tune_pct),
        (material.negative_train_pct, material.negative_tune_pct),
    )
    whole = [train >= 1 and tune >= 1 and train + tune <= 99 for train, tune in shares]
    window_s = (recipe.target.positive_ms + recipe.target.ignored_after_ms) / 1000
    room = material.strip_steps * model_config.STEP_MS / 1000 > window_s + 0.8
    positive = all(low > 0 for low, _ in (recipe.augment.piece.speed, recipe.augment.piece.pitch))
    return [
        ("synthesis.positives", synthesis.positives >= 0, "0 or more"),
        ("synthesis.negatives", synthesis.negatives >= 0, "0 or more"),
        ("material.train_pct", whole[0], "with tune_pct 2 to 99, each at least 1"),
        ("material.negative_train_pct", whole[1], "with negative_tune_pct 2 to 99, each at least 1"),
        ("material.strip_steps", room, "a strip has to hold a phrase and what follows it"),
        ("material.recorded_copies", material.recorded_copies >= 1, "at least 1"),
        ("material.recorded_phrase_strips", material.recorded_phrase_strips >= 1, "at least 1"),
        ("material.spoken_copies", material.spoken_copies >= 1, "at least 1"),
        ("material.recorded_strips", material.recorded_strips >= 1, "at least 1"),
        ("material.held_out_copies", material.held_out_copies >= 1, "at least 1"),
        ("material.longest_s", 0 < material.shortest_s < material.longest_s, "more than the shortest"),
        ("augment.piece.speed", positive, "factors are above 0"),
        ("augment.rooms", recipe.augment.rooms >= 1, "at least 1"),
        ("augment.wave.speeds", wave.speeds == (1.0,), "is set by augment.piece.speed for wake words"),
        ("augment.wave.pad_probability", wave.pad_probability == 0, "strips have one length: 0"),
        ("target.positive_ms", recipe.target.positive_ms >= model_config.STEP_MS, "at least a step, 80 ms"),
        ("gate.min_positives", recipe.gate.min_positives >= 1, "at least 1"),
        ("gate.min_negatives", recipe.gate.min_negatives >= 0, "0 or more"),
    ]


def _share_rules(recipe: WakeRecipe) -> list[recipes.Rule]:
    shares = {
        "augment.piece.speed_probability": recipe.augment.piece.speed_probability,
        "augment.piece.pitch_probability": recipe.augment.piece.pitch_probability,
        "augment.room_probability": recipe.augment.room_probability,
        "augment.piece.context_probability": recipe.augment.piece.context_probability,
        "loss.alpha": recipe.loss.alpha,
        "loss.hardest": recipe.loss.hardest,
        "mixup.probability": recipe.mixup.probability,
        "optim.positive_share": recipe.optim.positive_share,
        "optim.recorded_share": recipe.optim.recorded_share,
        "optim.recorded_negative_share": recipe.optim.recorded_negative_share,
        "optim.warmup": recipe.optim.warmup,
        "mining.share": recipe.mining.share,
        "mining.worst": recipe.mining.worst,
        "teacher.weight": recipe.teacher.weight,
    }
    return [(name, 0 <= share <= 1, "a share is between 0 and 1") for name, share in shares.items()]


def _learning_rules(recipe: WakeRecipe) -> list[recipes.Rule]:
    optim, teacher = recipe.optim, recipe.teacher
    teachable = not teacher.enabled or teacher.model.kind in ("embedding", "ast")
    return [
        ("loss.gamma", recipe.loss.gamma >= 0, "0 or more"),
        ("loss.positive_weight", recipe.loss.positive_weight > 0, "more than 0"),
        ("loss.hardest", recipe.loss.hardest > 0, "some steps have to count"),
        ("mixup.beta", recipe.mixup.beta > 0, "more than 0"),
        ("optim.epochs", optim.epochs >= 1, "at least one epoch is needed"),
        ("optim.steps", optim.steps >= 1, "at least one step is needed"),
        ("optim.batch", optim.batch >= 2, "a batch holds the phrase and something else"),
        ("optim.positive_share", 0 < optim.positive_share < 1, "a batch holds both"),
        ("optim.peak_lr", optim.peak_lr > 0, "a learning rate is more than 0"),
        ("optim.ema", 0 <= optim.ema < 1, "a decay is 0 or more and less than 1"),
        ("stop.patience", recipe.stop.patience >= 0, "0 or more"),
        ("mining.rounds", recipe.mining.rounds >= 0, "0 or more"),
        ("teacher.model.kind", teachable, "a teacher is an `embedding` or an `ast`"),
        ("teacher.hint", teacher.hint >= 0, "0 or more"),
        ("teacher.hint", not teacher.hint or recipe.model.kind == "bcresnet", "0 but for a `bcresnet`"),
        ("teacher.epochs", teacher.epochs >= 1, "at least one epoch is needed"),
        ("teacher.peak_lr", teacher.peak_lr > 0, "a learning rate is more than 0"),
        ("teacher.batch", teacher.batch >= 2, "a batch holds the phrase and something else"),
        ("teacher.limit", teacher.limit > 0, "more than 0"),
        ("judge.smoothing_steps", _smooths(recipe.judge.smoothing_steps), "one or more, of 1 to 64 steps"),
        ("judge.target_per_hour", recipe.judge.target_per_hour > 0, "more than 0"),
        ("judge.folds", recipe.judge.folds == 0 or recipe.judge.folds >= 2, "0, or 2 and more"),
        ("judge.margin", recipe.judge.margin >= 0, "0 or more"),
    ]


def _smooths(steps: tuple[int, ...]) -> bool:
    return bool(steps) and all(1 <= count <= MAX_SMOOTHING_STEPS for count in steps)
