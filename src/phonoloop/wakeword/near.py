"""The words and pairs of words that sound nearest to a phrase, out of thousands.

`text.ipa.sequence_distance` of one pair takes a tenth of a millisecond. Here a phrase is compared with
all words at once: the same dynamic programme, a row of it for all words together.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phonoloop.text.ipa import lone_cost, sound_distance
from phonoloop.wakeword.sounds import Sounds


@dataclass(frozen=True, slots=True)
class Near:
    """Something that sounds like the phrase or like a part of it.

    Attributes:
        distance: 0 to 1, as `text.ipa.sequence_distance`.
        rank: of the rarest of its words in the list, 0 for the most frequent.
    """

    text: str
    sounds: Sounds
    distance: float
    rank: int


@dataclass(frozen=True, slots=True, eq=False)
class WordTable:
    """Words with their sounds, ready to be compared.

    Attributes:
        ranks: (n,) int, places in the list of words.
        inventory: every sound that occurs.
        numbers: (n, longest) int16, sounds as places in the inventory; past a word's end anything.
        lengths: (n,) int.
    """

    texts: tuple[str, ...]
    sounds: tuple[Sounds, ...]
    ranks: np.ndarray
    inventory: tuple[str, ...]
    numbers: np.ndarray
    lengths: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)


def word_table(texts: Sequence[str], sounds: Sequence[Sounds]) -> WordTable:
    """Words without sounds are left out."""
    kept = [index for index, word in enumerate(sounds) if word]
    inventory = tuple(dict.fromkeys(sound for index in kept for sound in sounds[index]))
    place = {sound: number for number, sound in enumerate(inventory)}
    lengths = np.array([len(sounds[index]) for index in kept], np.int64)
    numbers = np.zeros((len(kept), int(lengths.max(initial=0))), np.int16)
    for row, index in enumerate(kept):
        numbers[row, : lengths[row]] = [place[sound] for sound in sounds[index]]
    return WordTable(
        texts=tuple(texts[index] for index in kept),
        sounds=tuple(sounds[index] for index in kept),
        ranks=np.array(kept, np.int64),
        inventory=inventory,
        numbers=numbers,
        lengths=lengths,
    )


def prefix_costs(table: WordTable, wanted: Sounds) -> np.ndarray:
    """(n, len(wanted) + 1) float32: what it costs to turn each word into each beginning of `wanted`."""
    costs, lone, alone = _costs(table, wanted)
    row = np.concatenate(([0], np.cumsum(alone)), dtype=np.float32)[None, :].repeat(len(table), axis=0)
    final = row.copy()
    for at in range(table.numbers.shape[1]):
        letters = table.numbers[:, at]
        row = _next_rows(row, costs[:, letters].T, lone[letters], alone)
        final[table.lengths == at + 1] = row[table.lengths == at + 1]
    return final


def _costs(table: WordTable, wanted: Sounds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of replacing (m, inventory), and of leaving out or putting in each sound of either side."""
    pairs = [[sound_distance(sound, one) for one in table.inventory] for sound in wanted]
    lone = np.array([lone_cost(sound) for sound in table.inventory], np.float32)
    alone = np.array([lone_cost(sound) for sound in wanted], np.float32)
    return np.array(pairs, np.float32).reshape(len(wanted), len(table.inventory)), lone, alone


def _next_rows(
    above: np.ndarray,
    replace: np.ndarray,
    lone: np.ndarray,
    alone: np.ndarray,
    *,
    begin_anywhere: bool = False,
) -> np.ndarray:
    """One more sound of every word. `above`: (n, m + 1), `replace`: (n, m), `lone`: (n,), `alone`: (m,)."""
    row = above + lone[:, None]
    if begin_anywhere:
        row[:, 0] = 0.0
    np.minimum(row[:, 1:], above[:, :-1] + replace, out=row[:, 1:])
    for at, cost in enumerate(alone):  # putting in sounds runs along the row
        np.minimum(row[:, at + 1], row[:, at] + cost, out=row[:, at + 1])
    return row


def inside_costs(table: WordTable, wanted: Sounds) -> np.ndarray:
    """(n,) float32: what it costs to turn the best stretch of each word into `wanted`. Near 0: it is heard
    whole in it."""
    costs, lone, alone = _costs(table, wanted)
    row = np.concatenate(([0], np.cumsum(alone)), dtype=np.float32)[None, :].repeat(len(table), axis=0)
    best = row[:, -1].copy()
    for at in range(table.numbers.shape[1]):
        letters = table.numbers[:, at]
        row = _next_rows(row, costs[:, letters].T, lone[letters], alone, begin_anywhere=True)
        there = table.lengths > at
        best[there] = np.minimum(best, row[:, -1])[there]
    return best


def nearest(table: WordTable, wanted: Sounds, count: int) -> list[Near]:
    """The nearest words, nearest first; of equal ones the more frequent first."""
    distances = distances_to(table, wanted)
    order = np.lexsort((table.ranks, distances))[:count]
    return [_near(table, int(index), float(distances[index])) for index in order]


def distances_to(table: WordTable, wanted: Sounds) -> np.ndarray:
    """(n,) float32: `sequence_distance` of each word from `wanted`."""
    costs = prefix_costs(table, wanted)[:, -1]
    return np.minimum(1.0, costs / np.maximum(table.lengths, len(wanted)))


def _near(table: WordTable, index: int, distance: float) -> Near:
    return Near(table.texts[index], table.sounds[index], distance, int(table.ranks[index]))


def nearest_pairs(table: WordTable, wanted: Sounds, count: int, *, breadth: int = 30) -> list[Near]:
    """The nearest sequences of two words: of every place to part the phrase, the `breadth` words nearest to
    either side, in all combinations."""
    forward = prefix_costs(table, wanted)
    backward = prefix_costs(_backwards(table), wanted[::-1])[:, ::-1]
    found: dict[tuple[int, int], float] = {}
    for cut in range(1, len(wanted)):
        for first in _cheapest(forward[:, cut], breadth):
            for second in _cheapest(backward[:, cut], breadth):
                length = max(len(wanted), int(table.lengths[first] + table.lengths[second]))
                distance = float(forward[first, cut] + backward[second, cut]) / length
                found[first, second] = min(distance, found.get((first, second), 1.0))
    best = heapq.nsmallest(count, found.items(), key=lambda item: (item[1], item[0]))
    return [_pair(table, *words, distance) for words, distance in best]


def _backwards(table: WordTable) -> WordTable:
    return word_table(table.texts, [word[::-1] for word in table.sounds])


def _cheapest(costs: np.ndarray, count: int) -> list[int]:
    return np.argsort(costs, kind="stable")[:count].tolist()


def _pair(table: WordTable, first: int, second: int, distance: float) -> Near:
    rank = int(max(table.ranks[first], table.ranks[second]))
    text = f"{table.texts[first]} {table.texts[second]}"
    return Near(text, table.sounds[first] + table.sounds[second], distance, rank)


def holding(table: WordTable, wanted: Sounds) -> list[Near]:
    """Longer words in which the phrase is heard whole: `computers` for `computer`."""
    size = len(wanted)
    longer = (i for i in np.flatnonzero(table.lengths > size).tolist() if _holds(table.sounds[i], wanted))
    return [_near(table, index, 1 - size / len(table.sounds[index])) for index in longer]


def _holds(sounds: Sounds, wanted: Sounds) -> bool:
    size = len(wanted)
    return any(sounds[at : at + size] == wanted for at in range(len(sounds) - size + 1))
