"""When a candidate takes the champion's place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from phonoloop.core.errors import ConfigError

PAIRED_BOOTSTRAP = "paired_bootstrap"
LOWER_WER_WINS = "lower_wer_wins"

#: how fast the allowance falls with repeated tests, and the sum of k^-1.3 over all k (zeta(1.3))
DECAY = 1.3
_ALL_TESTS = 3.931949211809


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRule:
    """What is asked of a candidate.

    Attributes:
        rule: `paired_bootstrap`, or `lower_wer_wins`, which compares two numbers and nothing else.
        confidence: over all tests against one champion together.
        max_slice_regression: how much worse, in errors per word, any slice may measure.
        min_slice_words: smaller slices are listed and not judged.
    """

    rule: str = PAIRED_BOOTSTRAP
    confidence: float = 0.95
    min_speakers: int = 4
    min_words: int = 500
    max_slice_regression: float = 0.02
    min_slice_words: int = 200
    resamples: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        wrong = {
            "rule": self.rule not in (PAIRED_BOOTSTRAP, LOWER_WER_WINS),
            "confidence": not 0.5 <= self.confidence < 1.0,
            "min_speakers": self.min_speakers < 2,
            "min_words": self.min_words < 1,
            "max_slice_regression": not 0.0 <= self.max_slice_regression <= 1.0,
            "min_slice_words": self.min_slice_words < 1,
            "resamples": not 100 <= self.resamples <= 1_000_000,
            "seed": self.seed < 0,
        }
        for name in (name for name, is_wrong in wrong.items() if is_wrong):
            raise ConfigError(
                f"{getattr(self, name)!r} is not a value for it",
                code="judge.rule",
                subject=f"promotion.{name}",
                hint=f"Known rules: {PAIRED_BOOTSTRAP}, {LOWER_WER_WINS}; confidence from 0.5 to below 1; "
                "sizes above 0, min_speakers at least 2, resamples from 100 to 1,000,000",
            )

    @property
    def alpha(self) -> float:
        return 1.0 - self.confidence

    def alpha_of_test(self, tests_before: int) -> float:
        """What the next test may spend: alpha k^-1.3 / zeta(1.3) for the k-th, so that all tests
        together never spend more than alpha, however many nights there are."""
        return self.alpha * (tests_before + 1) ** -DECAY / _ALL_TESTS

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
