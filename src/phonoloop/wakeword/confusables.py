"""What sounds near a phrase and is not it: hard negatives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Confusable:
    """Something to say that is not the phrase.

    Attributes:
        text: to be spoken; where `phonemes` is set, phonemes by the names that espeak-ng has for them.
        distance: of its sounds from the phrase's, 0 to 1 (`text.ipa.sequence_distance`).
        kind: "similar", "part", "tone", "scramble", "inside", "sentence".
        ipa: how it sounds.
    """

    text: str
    distance: float
    kind: str
    ipa: str = ""
    phonemes: bool = False
