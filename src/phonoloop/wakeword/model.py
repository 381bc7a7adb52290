"""The network that listens: samples in, a logit for every 80 ms out, the same in a stream as over a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.wakeword.bcresnet import BcResNet
from phonoloop.wakeword.embedding import EmbeddingFiles, SpeechEmbedding, find_speech_embedding
from phonoloop.wakeword.embedding_files import read_weights
from phonoloop.wakeword.frontend import FrontNet, LogMel, is_trained
from phonoloop.wakeword.heads import Head
from phonoloop.wakeword.layers import State, Streaming
from phonoloop.wakeword.matchbox import MatchboxNet
from phonoloop.wakeword.model_config import OWN_KINDS, STEP_SAMPLES, ModelRecipe, check


@dataclass(frozen=True, slots=True)
class Choice:
    """What a recipe comes to on this machine.

    Attributes:
        recipe: its `kind` is never `auto`.
        files: of the speech embedding, where it is taken.
        why: a sentence for logs, metadata and reports.
    """

    recipe: ModelRecipe
    files: EmbeddingFiles | None
    why: str


def choose(recipe: ModelRecipe, *, embedding_dir: Path | None = None) -> Choice:
    """Settles `auto`, and finds the files of the speech embedding.

    Raises:
        ConfigError: `config.wrong_value`.
        NotFoundError: `embedding.missing`, where `embedding` is asked for, or a folder is named, and
            the files are not there.
    """
    check(recipe)
    if recipe.kind not in ("auto", "embedding"):
        return Choice(recipe, None, f"{recipe.kind}, as the recipe says")
    given = embedding_dir or recipe.backbone or None
    files = find_speech_embedding(given)
    if files is not None:
        taken = dataclasses.replace(recipe, kind="embedding")
        return Choice(taken, files, f"embedding, with the files in {files.source}")
    if recipe.kind == "embedding":
        raise NotFoundError(
            "the speech embedding's files are not on this machine",
            code="embedding.missing",
            hint="Install phonoloop[wakeword], name their folder as `model.backbone`, or take bcresnet",
        )
    own = dataclasses.replace(recipe, kind="bcresnet")
    return Choice(own, None, "bcresnet, because no speech embedding was found")


class WakeNet(nn.Module):
    """`front` (audio to features) then `net` (features to logits), each a `layers.Streaming`.

    A step is 80 ms: `step_samples` samples in, `feature_rate` feature vectors between, one logit out.
    At step i it has heard samples [0, (i + 1) · step_samples).

    Attributes:
        front: (B, k · step_samples) in [-1, 1] to (B, k · feature_rate, feature_count). Not trained,
            except a backbone with `freeze_base: false`.
        net: (B, k · feature_rate, feature_count) to logits (B, k).
        choice: which kind it is, and why.
    """

    step_samples: int = STEP_SAMPLES

    def __init__(self, front: FrontNet, net: Streaming, choice: Choice) -> None:
        super().__init__()
        self.front, self.net, self.choice = front, net, choice
        if choice.recipe.freeze_base or choice.recipe.kind in OWN_KINDS:
            front.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """As of any module, but a front-end that is not trained stays as it is in use."""
        super().train(mode)
        self.front.train(mode and is_trained(self.front))
        return self

    @property
    def feature_rate(self) -> int:
        """Feature vectors in a step."""
        return self.front.feature_rate

    @property
    def feature_count(self) -> int:
        """Numbers in a feature vector."""
        return self.front.feature_count

    @property
    def state_names(self) -> tuple[str, ...]:
        """Of the tensors of a state, in order."""
        front = [f"front_{i}" for i in range(len(self.front.state_shapes))]
        return (*front, *(f"net_{i}" for i in range(len(self.net.state_shapes))))

    def initial_state(self, batch: int, device: torch.device | None = None) -> State:
        """Zeros, always: a runtime needs only the shapes (B, …)."""
        return self.front.initial_state(batch, device) + self.net.initial_state(batch, device)

    def step(self, audio: Tensor, state: State) -> tuple[Tensor, State]:
        """The next (B, k · step_samples) samples: logits (B, k) and the state after them."""
        border = len(self.front.state_shapes)
        features, heard = self.front.step(audio, state[:border])
        logits, known = self.net.step(features, state[border:])
        return logits, heard + known

    def forward(self, audio: Tensor) -> Tensor:
        """Logits (B, k) of whole recordings (B, samples); samples after the last whole step are left out."""
        return self.step(self._whole_steps(audio), self.initial_state(audio.shape[0], audio.device))[0]

    def _whole_steps(self, audio: Tensor) -> Tensor:
        return audio[:, : audio.shape[1] // self.step_samples * self.step_samples]

    def each(self, audio: Tensor) -> tuple[Tensor, ...]:
        """As `forward`, for every part of an ensemble by itself."""
        return self.net.each(self.front(self._whole_steps(audio)))

    def weights(self) -> dict[str, Tensor]:
        """What a checkpoint holds: the net, and the front where it is trained."""
        kept = self.state_dict()
        if is_trained(self.front):
            return kept
        return {name: tensor for name, tensor in kept.items() if name.startswith("net.")}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """The inverse of `weights`.

        Raises:
            IntegrityError: `model.weights`, for another network's.
        """
        wanted = self.weights().keys()
        if wanted != weights.keys():
            other = sorted(wanted ^ weights.keys())[0]
            raise IntegrityError(f"these weights are another network's ({other})", code="model.weights")
        try:
            self.load_state_dict(dict(weights), strict=False)
        except RuntimeError as error:
            raise IntegrityError(f"these weights do not fit ({error})", code="model.weights") from error


def build_model(recipe: ModelRecipe, *, embedding_dir: Path | None = None) -> WakeNet:
    """A network with fresh weights (and a backbone's own), on the CPU.

    Raises:
        As `choose`.
        IntegrityError: `embedding.structure`, for files that are not the network this was written for.
    """
    choice = choose(recipe, embedding_dir=embedding_dir)
    front = _front(choice)
    return WakeNet(front, _net(choice.recipe, front), choice)


def parameter_count(model: nn.Module, *, trainable: bool = False) -> int:
    """Numbers that were learned, here or before; with `trainable` only those that are trained here."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)


def multiplications_per_s(model: WakeNet) -> int:
    """Multiplications of matrices and convolutions in a second of audio, streaming."""
    return _multiplications(model, 25 * STEP_SAMPLES) // 2


@torch.no_grad()
def _multiplications(model: WakeNet, samples: int) -> int:
    was_training = model.training
    with FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, samples))
    model.train(was_training)
    return counter.get_total_flops() // 2  # torch counts a multiplication and its addition as two


def _front(choice: Choice) -> FrontNet:
    recipe = choice.recipe
    if recipe.kind == "embedding":
        return SpeechEmbedding(read_weights(choice.files.mel, choice.files.embedding), choice.files)
    if recipe.kind == "ast":
        from phonoloop.wakeword.ast import SlidingAst

        return SlidingAst(recipe)
    return LogMel(recipe.front_end)


def _net(recipe: ModelRecipe, front: FrontNet) -> Streaming:
    if recipe.kind == "bcresnet":
        return BcResNet(recipe)
    if recipe.kind in ("matchboxnet", "marblenet"):
        return MatchboxNet(recipe)
    return Head(recipe, front.feature_count)
