"""The guard of the hard negatives: what somebody, somewhere, would take for the phrase is not one of them.

Sounds are compared in every region of the language that the phonemiser knows, without stress and length, and
with the sounds that dialects run together as one. What is heard in the middle of something longer counts too:
`computers` holds `computer`, and a detector that is to be quick cannot wait for the s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from phonoloop.core.speech import Phonemiser
from phonoloop.text.phonetics import DIALECTS, sounds_same
from phonoloop.wakeword.near import inside_costs, word_table
from phonoloop.wakeword.phrase import Phrase
from phonoloop.wakeword.sounds import Sounds, regions, sounds_of

#: so much of one sound must differ for people to tell it apart, whatever their accent: not `s` from `z`,
#: `ɪ` from `iː`, `p` from `f` or `eɪ` from `aɪ`, but `k` from `t`
DOUBTFUL_COST = 0.3
#: tones are all that the minimal pairs of tones differ in
DOUBTFUL_TONE_COST = 0.1
_SAME_COST = 1e-6
#: length, r-colour, an r that belongs to a vowel, syllables, glottal stops: what regions differ in
_RELAXED = re.compile("[ːˑ˞ʔ\u0329\u032f]|(?<=.)ɹ$")
#: reduced vowels, and consonants that are one sound somewhere
_MERGED = {"ɐ": "ə", "ᵻ": "ɪ", "ɚ": "ə", "ɾ": "t", "ɒ": "ɑ", "ɜ": "ə", "ɫ": "l", "ɹ̩": "ə"}


@dataclass(frozen=True, slots=True)
class Judged:
    """What the guard says of a text.

    Attributes:
        cost: what it takes, in sounds, to turn the nearest part of it into the phrase, in the region where
            that takes least; 0 where it sounds the same.
        region: that region.
    """

    cost: float
    region: str

    @property
    def same(self) -> bool:
        return self.cost < _SAME_COST

    def doubtful(self, kind: str, least_cost: float = DOUBTFUL_COST) -> bool:
        return self.cost < (min(DOUBTFUL_TONE_COST, least_cost) if kind == "tone" else least_cost)


def judge_texts(phrase: Phrase, texts: Sequence[str], phonemiser: Phonemiser) -> list[Judged]:
    """The guard's word on each text, by how it sounds in every region of the phrase's language."""
    names = regions(phrase.language, phonemiser)
    costs = np.array(
        [_costs(phrase.text, texts, region, phonemiser) for region in names], np.float32
    ).reshape(len(names), len(texts))
    costs[:, _vietnamese_homophones(phrase, texts)] = 0.0
    best = costs.argmin(axis=0) if len(texts) else []
    return [Judged(float(costs[at, text]), names[int(at)]) for text, at in enumerate(best)]


def judge_sounds(wanted: Sounds, sounds: Sequence[Sounds], region: str) -> list[Judged]:
    """The same for sounds that have no spelling, in one region. `wanted`: how the phrase sounds there, by
    the same phonemiser."""
    return [Judged(float(cost), region) for cost in _inside(wanted, sounds)]


def _costs(text: str, texts: Sequence[str], region: str, phonemiser: Phonemiser) -> np.ndarray:
    wanted, *others = sounds_of([text, *texts], region, phonemiser)
    return _inside(wanted, others)


def _inside(wanted: Sounds, others: Sequence[Sounds]) -> np.ndarray:
    """(n,) float32; what has no sounds is far from everything."""
    relaxed = [relax(sounds) for sounds in others]
    table = word_table([""] * len(relaxed), relaxed)
    costs = np.full(len(others), np.inf, np.float32)
    if len(table) and wanted:
        costs[table.ranks] = inside_costs(table, relax(wanted))
    return costs


def relax(sounds: Sounds) -> Sounds:
    """Without what regions and speakers differ in."""
    return tuple(filter(None, map(_relaxed, sounds)))


@lru_cache(maxsize=4096)
def _relaxed(sound: str) -> str:
    bare = _RELAXED.sub("", sound)
    return _MERGED.get(bare, bare)


def _vietnamese_homophones(phrase: Phrase, texts: Sequence[str]) -> list[int]:
    """By our own tables, which know more of the dialects than the phonemiser."""
    if phrase.language.partition("-")[0] != "vi":
        return []
    return [
        at
        for at, text in enumerate(texts)
        if any(sounds_same(text, phrase.text, dialect) for dialect in DIALECTS)
    ]
