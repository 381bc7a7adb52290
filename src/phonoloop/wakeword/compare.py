"""Is one detector better than another? Both heard the same stream, so clip is compared with clip.

What both hear, or both miss, says nothing about which is better: only clips that one alone missed
count (McNemar's exact test). False accepts are counted in the same hours: given all of them, each is as
likely the one's as the other's where both are as good.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from phonoloop.registry.counts import binomial_cdf
from phonoloop.registry.model import Decision
from phonoloop.wakeword.evaluate import WakeEvaluation


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    Attributes:
        only_champion_missed, only_candidate_missed: clips of the phrase that one of the two missed.
        champion_accepts, candidate_accepts: false accepts, in the same `hours`.
        reason: for people.
    """

    decision: Decision
    reason: str
    positives: int
    hours: float
    only_champion_missed: int
    only_candidate_missed: int
    champion_accepts: int
    candidate_accepts: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"decision": self.decision.value}


def compare(candidate: WakeEvaluation, champion: WakeEvaluation, *, confidence: float = 0.95) -> Comparison:
    """Better in one respect, and in the other not worse.

    Args:
        confidence: of each of the two comparisons, one-sided.
    """
    missed, missed_before = ({one.name for one in each.missed} for each in (candidate, champion))
    alone, alone_before = len(missed - missed_before), len(missed_before - missed)
    accepts, accepts_before = candidate.accepts.events, champion.accepts.events
    decision = _decide(_fewer(alone, alone_before, confidence), _fewer(accepts, accepts_before, confidence))
    hours, positives = candidate.accepts.hours, candidate.misses.clips
    return Comparison(
        decision=decision,
        reason=(
            f"of {positives} clips of the phrase it alone misses {alone} and the present one alone "
            f"{alone_before}; in {hours:.2f} h without the phrase it fires {accepts} times and the present "
            f"one {accepts_before}: {_SAID[decision]}"
        ),
        positives=positives,
        hours=hours,
        only_champion_missed=alone_before,
        only_candidate_missed=alone,
        champion_accepts=accepts_before,
        candidate_accepts=accepts,
    )


_SAID = {
    Decision.BETTER: "more than chance explains",
    Decision.WORSE: "worse than chance explains",
    Decision.NOT_ENOUGH_EVIDENCE: "that may be chance",
}


def _fewer(ours: int, theirs: int, confidence: float) -> int:
    """1 where ours are fewer than chance explains, -1 where they are more, else 0."""
    together = ours + theirs
    if ours == theirs:
        return 0
    chance = binomial_cdf(min(ours, theirs), together, 0.5)
    if chance > 1 - confidence:
        return 0
    return 1 if ours < theirs else -1


def _decide(misses: int, accepts: int) -> Decision:
    if min(misses, accepts) < 0:
        return Decision.WORSE
    return Decision.BETTER if max(misses, accepts) > 0 else Decision.NOT_ENOUGH_EVIDENCE
