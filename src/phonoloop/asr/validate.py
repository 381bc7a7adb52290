"""Scores on validation utterances while a training runs: greedy, whole utterances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from phonoloop.asr.ctc import collapse, ctc_loss
from phonoloop.asr.data import AudioCache, Utterance, make_batch
from phonoloop.text.error_rates import Scores, score
from phonoloop.text.syllable_errors import PARTS, SyllableParts
from phonoloop.text.tokens import BLANK_ID, Tokenizer
from phonoloop.training.batching import plan_batches
from phonoloop.training.numerics import Numerics


@dataclass(frozen=True, slots=True)
class Validation:
    """Figures of one pass.

    Attributes:
        loss: nats per token. blank_share: of all frames.
        first: (reference, hypothesis) of the first utterance, to look at.
        parts: errors by tone, onset and rime; they are metrics where the references are Vietnamese.
    """

    loss: float
    wer: float
    cer: float
    blank_share: float
    first: tuple[str, str] = ("", "")
    parts: SyllableParts = SyllableParts()

    def to_metrics(self) -> dict[str, float]:
        by_part = {f"val_{part}": getattr(self.parts, part).rate for part in PARTS}
        return {
            "val_loss": self.loss,
            "val_wer": self.wer,
            "val_cer": self.cer,
            "blank_share": self.blank_share,
        } | (by_part if self.parts.vietnamese else {})


@torch.no_grad()
def validate(
    model: nn.Module,
    utterances: Sequence[Utterance],
    *,
    cache: AudioCache,
    tokenizer: Tokenizer,
    numerics: Numerics,
    batch_s: float,
    language: str,
) -> Validation:
    """Hears all utterances; the model is left in evaluation mode."""
    model.eval()
    durations = [utterance.duration_s for utterance in utterances]
    plan = plan_batches(durations, batch_s=batch_s, max_utterances=256, seed=0, epoch=0, jitter=0.0)
    loss = tokens = blanks = frames = 0.0
    heard: dict[int, str] = {}
    for indices in plan:
        batch = make_batch([utterances[i] for i in indices], lambda u: (cache.features(u),)).to(
            numerics.device
        )
        with numerics.autocast():
            log_probs, lengths = model(batch.views[0], batch.lengths)
        loss += float(ctc_loss(log_probs, lengths, batch.targets, batch.target_lengths).sum())
        tokens += int(batch.target_lengths.sum())
        for i, row, length in zip(indices, log_probs.argmax(-1).cpu().numpy(), lengths.tolist(), strict=True):
            blanks += int((row[:length] == BLANK_ID).sum())
            frames += length
            heard[i] = tokenizer.decode(collapse(row[:length]))
    scores = sum((score(u.text, heard[i], language) for i, u in enumerate(utterances)), Scores())
    first = (utterances[0].text, heard[0])
    return _summary(scores, first, loss / max(tokens, 1), blanks / max(frames, 1))


def _summary(scores: Scores, first: tuple[str, str], loss: float, blank_share: float) -> Validation:
    return Validation(
        loss=loss,
        wer=scores.words.rate,
        cer=scores.characters.rate,
        blank_share=blank_share,
        first=first,
        parts=scores.parts,
    )
