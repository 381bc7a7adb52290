"""What a model took for what in a golden set: errors by tone, onset and rime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from phonoloop.registry.model import Prediction
from phonoloop.registry.rates import part_rates
from phonoloop.text.error_rates import score
from phonoloop.text.normalise import DEFAULT_LANGUAGE
from phonoloop.text.syllable_errors import SyllableParts

DIALECT = "dialect"
_CONFUSIONS, _CONFUSIONS_OF_A_DIALECT = 10, 3


def syllable_figures(
    heard: Sequence[Prediction], *, confidence: float = 0.95, language: str = DEFAULT_LANGUAGE
) -> Mapping[str, Any]:
    """`parts` (tone, onset, rime, what was confused), and `parts_by_dialect` where clips name one.

    JSON values; empty where the references are not Vietnamese. Takes milliseconds a clip: call it outside
    of a transaction.

    Args:
        language: of clips that do not name theirs.
    """
    spoken = [
        (one, score(one.reference, one.hypothesis, one.slices.get("language", language)).parts)
        for one in heard
    ]
    parts = _figures(spoken, most=_CONFUSIONS, confidence=confidence)
    if parts is None:
        return {}
    by_dialect = {
        dialect: _figures(
            [(one, found) for one, found in spoken if one.slices.get(DIALECT) == dialect],
            most=_CONFUSIONS_OF_A_DIALECT,
            confidence=confidence,
        )
        for dialect in sorted({one.slices[DIALECT] for one in heard if DIALECT in one.slices})
    }
    named = {dialect: figures for dialect, figures in by_dialect.items() if figures}
    return {"parts": parts} | ({"parts_by_dialect": named} if named else {})


def _figures(
    spoken: Sequence[tuple[Prediction, SyllableParts]], *, most: int, confidence: float
) -> dict[str, Any] | None:
    rates = part_rates([(one.speaker_id, parts) for one, parts in spoken], most=most, confidence=confidence)
    if rates is None:
        return None
    figures = asdict(rates)
    return figures | {"confusions": list(figures["confusions"])}
