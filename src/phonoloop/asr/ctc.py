"""CTC: the loss, the consistency-regularised one, greedy reading."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from phonoloop.text.tokens import BLANK_ID


def frames_needed(ids: Sequence[int]) -> int:
    """Frames that CTC needs for a text: one a token, one more between two equal ones."""
    return len(ids) + sum(a == b for a, b in itertools.pairwise(ids))


def ctc_loss(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """(B,) negative log-likelihoods; 0 (and no gradient) where the text does not fit the frames.

    Graves et al. 2006. `log_probs`: (B, T, vocab); `targets`: (B, S) padded with anything.
    """
    return F.ctc_loss(
        log_probs.transpose(0, 1),
        targets,
        lengths,
        target_lengths,
        blank=BLANK_ID,
        reduction="none",
        zero_infinity=True,
    )


def consistency(first: Tensor, second: Tensor, lengths: Tensor) -> Tensor:
    """(B,) symmetric divergence of two views' log-probabilities (B, T, vocab), summed over frames.

    Yao et al., "CR-CTC", arXiv 2410.05101, equation 4: each view is drawn to the other, which is
    held fixed, 1/2 (KL(sg(b) || a) + KL(sg(a) || b)).
    """
    both = F.kl_div(first, second.detach(), reduction="none", log_target=True)
    both = both + F.kl_div(second, first.detach(), reduction="none", log_target=True)
    inside = torch.arange(first.shape[1], device=first.device)[None, :] < lengths[:, None]
    return 0.5 * both.sum(-1).mul(inside).sum(-1)


def collapse(best: np.ndarray) -> list[int]:
    """Best token of each frame to tokens: runs to one, blanks out."""
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    tokens = best[starts]
    return tokens[tokens != BLANK_ID].tolist()
