"""From manifest rows to batches of features: which utterances can be used, and what they sound like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from phonoloop.asr.audio_files import check_readable, read_samples
from phonoloop.asr.config import AsrRecipe
from phonoloop.asr.ctc import frames_needed
from phonoloop.asr.model import SUBSAMPLING
from phonoloop.audio.augment import FeatureAugment, FeatureAugmentConfig, WaveAugment
from phonoloop.audio.features import FrontEnd
from phonoloop.audio.wav import to_float, to_int16
from phonoloop.core.errors import AudioError, ManifestError, NotFoundError
from phonoloop.data.manifest import ManifestRow, resolve_audio
from phonoloop.text.normalise import DEFAULT_LANGUAGE, for_training
from phonoloop.text.tokens import Tokenizer
from phonoloop.training.seeds import generator


@dataclass(frozen=True, slots=True)
class Utterance:
    """A row that can be read.

    Attributes:
        key: the clip id, or file and offset.
        ids: tokens of the text in training form.
    """

    key: str
    path: Path
    offset_s: float
    duration_s: float
    text: str
    ids: tuple[int, ...]

    @property
    def frames(self) -> int:
        """Encoder frames, about."""
        return int(self.duration_s * 100) // SUBSAMPLING


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that is not trained on, with a stable code and a sentence."""

    key: str
    code: str
    reason: str


def row_key(row: ManifestRow) -> str:
    return row.clip_id or f"{row.audio_filepath}@{row.offset:.3f}"


def usable(
    rows: Sequence[ManifestRow],
    tokenizer: Tokenizer,
    audio_roots: Sequence[Path],
    *,
    max_s: float,
    language: str = DEFAULT_LANGUAGE,
) -> tuple[list[Utterance], list[Skipped]]:
    """The utterances that can be trained on, sorted by key, and the others with their reasons.

    Args:
        language: of rows that do not name theirs.

    Codes: `utterance.too_long`, `utterance.too_short` (CTC has too few frames for the text),
    `manifest.audio_missing`, `audio.not_audio`.
    """
    good, bad = [], []
    for row in sorted(rows, key=row_key):
        try:
            utterance = _utterance(row, tokenizer, audio_roots, row.language_or(language))
            _check(utterance, max_s)
            good.append(utterance)
        except (AudioError, ManifestError, NotFoundError) as error:
            bad.append(Skipped(row_key(row), error.code, str(error)))
    return good, bad


def _utterance(
    row: ManifestRow, tokenizer: Tokenizer, audio_roots: Sequence[Path], language: str
) -> Utterance:
    path = resolve_audio(row, *audio_roots)
    check_readable(path)
    text = for_training(row.text, language)
    return Utterance(row_key(row), path, row.offset, row.duration, text, tuple(tokenizer.encode(text)))


def _check(utterance: Utterance, max_s: float) -> None:
    if utterance.duration_s > max_s:
        raise ManifestError(
            f"lasts {utterance.duration_s:.1f} s, more than {max_s:g} s",
            code="utterance.too_long",
            subject=utterance.key,
            hint="Cut it at pauses, or raise max_utterance_s",
        )
    if frames_needed(utterance.ids) > utterance.frames:
        raise ManifestError(
            f"{len(utterance.ids)} tokens do not fit into {utterance.duration_s:.2f} s",
            code="utterance.too_short",
            subject=utterance.key,
            hint="Check whether the text belongs to this audio",
        )


class AudioCache:
    """Decoded samples (16 bits) and features (32 bits) by utterance, up to so many bytes, first come."""

    def __init__(self, front_end: FrontEnd, limit_bytes: int) -> None:
        self._front_end = front_end
        self._room = limit_bytes
        self._samples: dict[str, np.ndarray] = {}
        self._features: dict[str, np.ndarray] = {}

    def samples(self, utterance: Utterance) -> np.ndarray:
        """(n,) float32 at 16,000 Hz."""
        if utterance.key not in self._samples:
            fresh = read_samples(utterance.path, utterance.offset_s, utterance.duration_s)
            stored = to_int16(fresh)
            if not self._keep(self._samples, utterance.key, stored):
                return to_float(stored)
        return to_float(self._samples[utterance.key])

    def features(self, utterance: Utterance) -> np.ndarray:
        """(T, mels) float32; not to be written to."""
        if utterance.key in self._features:
            return self._features[utterance.key]
        fresh = self._front_end.compute(self.samples(utterance))
        self._keep(self._features, utterance.key, fresh)
        return fresh

    def _keep(self, shelf: dict[str, np.ndarray], key: str, value: np.ndarray) -> bool:
        if value.nbytes > self._room:
            return False
        self._room -= value.nbytes
        shelf[key] = value
        return True


@dataclass(frozen=True, slots=True)
class Batch:
    """B utterances, padded.

    Attributes:
        views: (B, T, mels) float32, one tensor or, for CR-CTC, two of the same utterances.
        lengths: (B,) frames. targets: (B, S). target_lengths: (B,).
        audio_s: seconds of audio, as the manifest has them, without padding.
        too_short: utterances whose text does not fit their frames after augmentation.
    """

    views: tuple[Tensor, ...]
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    audio_s: float
    too_short: int

    def to(self, device: torch.device) -> Batch:
        if device.type == "cpu":
            return self
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in ("lengths", "targets")}
        views = tuple(view.to(device, non_blocking=True) for view in self.views)
        return replace(self, views=views, target_lengths=self.target_lengths.to(device), **moved)


Hear = Callable[[Utterance], tuple[np.ndarray, ...]]


def make_batch(utterances: Sequence[Utterance], hear: Hear) -> Batch:
    """Features of all, padded to the longest rounded up to 160 ms."""
    heard = [hear(utterance) for utterance in utterances]
    lengths = [len(views[0]) for views in heard]
    ids = [utterance.ids for utterance in utterances]
    short = sum(
        frames_needed(tokens) > length // SUBSAMPLING for tokens, length in zip(ids, lengths, strict=True)
    )
    return Batch(
        views=tuple(_pad([views[i] for views in heard]) for i in range(len(heard[0]))),
        lengths=torch.tensor(lengths),
        targets=_pad_ids(ids),
        target_lengths=torch.tensor([len(tokens) for tokens in ids]),
        audio_s=sum(utterance.duration_s for utterance in utterances),
        too_short=short,
    )


def _pad(parts: Sequence[np.ndarray]) -> Tensor:
    longest = max(SUBSAMPLING, *(len(part) for part in parts))
    padded = np.zeros((len(parts), -(-longest // 16) * 16, parts[0].shape[1]), np.float32)
    for row, part in zip(padded, parts, strict=True):
        row[: len(part)] = part
    return torch.from_numpy(padded)


def _pad_ids(ids: Sequence[Sequence[int]]) -> Tensor:
    padded = torch.zeros(len(ids), max(1, *map(len, ids)) if ids else 1, dtype=torch.long)
    for row, tokens in zip(padded, ids, strict=True):
        row[: len(tokens)] = torch.tensor(tokens, dtype=torch.long)
    return padded


class TrainingEars:
    """What training hears of an utterance: augmented by its own generator, a function of seed, epoch
    and key, so that neither order nor resuming changes it."""

    def __init__(self, recipe: AsrRecipe, cache: AudioCache, noises: Sequence[np.ndarray] = ()) -> None:
        self._recipe, self._cache = recipe, cache
        self._wave = WaveAugment(recipe.augment.wave, noises)
        self._shape, self._mask = _feature_augments(recipe)

    def at(self, epoch: int) -> Hear:
        return lambda utterance: self._hear(utterance, epoch)

    def _hear(self, utterance: Utterance, epoch: int) -> tuple[np.ndarray, ...]:
        rng = generator("utterance", self._recipe.seed, epoch, utterance.key)
        shaped = self._shape(self._features(utterance, rng), rng)
        views = 2 if self._recipe.cr_ctc.enabled else 1
        return tuple(self._mask(shaped, rng) for _ in range(views))

    def _features(self, utterance: Utterance, rng: np.random.Generator) -> np.ndarray:
        if rng.random() >= self._recipe.augment.wave_share:
            return self._cache.features(utterance)
        samples = self._wave(self._cache.samples(utterance), rng)
        return self._recipe.front_end.compute(samples)


def _feature_augments(recipe: AsrRecipe) -> tuple[FeatureAugment, FeatureAugment]:
    """Stretch, pitch and volume; and masks. Apart, so that two views keep the same frames."""
    config = recipe.augment.features
    more = recipe.cr_ctc.mask_factor if recipe.cr_ctc.enabled else 1.0
    shape = replace(config, time_masks_per_s=0.0, frequency_masks=0)
    mask = replace(
        config,
        stretch_probability=0.0,
        pitch_probability=0.0,
        volume_probability=0.0,
        time_masks_per_s=config.time_masks_per_s * more,
        time_mask_share=min(0.7, config.time_mask_share * more),
    )
    return feature_augment(shape, recipe.front_end), feature_augment(mask, recipe.front_end)


def feature_augment(config: FeatureAugmentConfig, front_end: FrontEnd) -> FeatureAugment:
    """Augmentation that knows how these features are scaled."""
    return FeatureAugment(
        config,
        scale=front_end.std,
        hop_s=front_end.hop_ms / 1000,
        low_hz=front_end.low_hz,
        high_hz=front_end.high_hz or front_end.sample_rate_hz / 2,
    )
