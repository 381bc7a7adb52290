"""What sounds near a phrase and is not it: hard negatives.

Real words and pairs of words that are near in sound, the phrase with a word replaced, its parts, its
syllables in other tones, words that are none (`scrambles`), near words within sentences, and ordinary
sentences for variety. `homophones` keeps out what somebody would take for the phrase.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from phonoloop.core.speech import Phonemiser
from phonoloop.wakeword.homophones import DOUBTFUL_COST, Judged, judge_sounds, judge_texts, relax
from phonoloop.wakeword.near import (
    WordTable,
    distances_to,
    inside_costs,
    nearest,
    nearest_pairs,
    word_table,
)
from phonoloop.wakeword.parts import syllable_parts, tones_of, word_parts
from phonoloop.wakeword.phrase import Phrase
from phonoloop.wakeword.scrambles import Scramble, scrambles, sounds_in
from phonoloop.wakeword.sounds import Sounds, sounds_of
from phonoloop.wakeword.spelled import PhonemeSpeaker, inventory, named_words, written
from phonoloop.wakeword.tables import read_rows
from phonoloop.wakeword.words import WordList, frequent_words

#: what each kind has of the whole, where there is so much of it; tones and parts are few and all taken
SHARES = {"similar": 0.30, "scramble": 0.22, "inside": 0.18, "sentence": 0.20, "word": 0.10}
#: what is farther is not near; sentences are
FARTHEST = 0.5
#: near ones that are asked of the whole language; the guard looks closer at what is within so many sounds
_NEAR_WORDS, _NEAR_PAIRS, _NEAR_REPLACED = 600, 3000, 200
_LOOK_CLOSER_COST = 1.5
_LONGEST_SENTENCE = 7


@dataclass(frozen=True, slots=True)
class Confusable:
    """Something to say that is not the phrase.

    Attributes:
        text: to be spoken; where `phonemes` is set, phonemes by the names that espeak-ng has for them.
        distance: of its sounds from the phrase's, 0 to 1 (`text.ipa.sequence_distance`).
        kind: "similar", "tone", "part", "scramble", "inside" (a near one in a sentence), "sentence", "word".
        ipa: how it sounds.
        reason: of a doubtful one, why it is not used.
    """

    text: str
    distance: float
    kind: str
    ipa: str = ""
    phonemes: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Confusables:
    """What was found.

    Attributes:
        used: to be spoken as negatives.
        doubtful: too near to be used, nearest first; a person may want to see them.
        source: of the words, for people; empty where the language has no list and none was given.
    """

    used: tuple[Confusable, ...]
    doubtful: tuple[Confusable, ...]
    source: str


def confusables(phrase: Phrase, phonemiser: Phonemiser, *, count: int, seed: int) -> list[Confusable]:
    """Up to `count` different ones; the same seed gives the same."""
    return list(find_confusables(phrase, phonemiser, count=count, seed=seed).used)


def find_confusables(
    phrase: Phrase,
    phonemiser: Phonemiser,
    *,
    count: int,
    seed: int,
    words: WordList | None = None,
    sentences: Sequence[str] = (),
    reject_texts: Iterable[str] = (),
    least_cost: float = DOUBTFUL_COST,
) -> Confusables:
    """As `confusables`, with what was left out and why.

    Args:
        words: to compare with, instead of the frequent words of the language.
        sentences: ordinary ones of the language, beside our own few.
        reject_texts: what a person heard and rejected.
        least_cost: by so many sounds one differs from the phrase, or it is doubtful.
    """
    known = frequent_words(phrase.language) if words is None else words
    rng = np.random.default_rng([seed, zlib.crc32(phrase.text.encode())])
    source = _Source(phrase, phonemiser, known, rng, least_cost)
    rejected = {_plain(text) for text in reject_texts}
    found = [one for one in source.all(count, sentences) if _plain(one.text) not in rejected]
    used, doubtful = _guarded(phrase, found, phonemiser, least_cost)
    chosen = _shared_out(used, count)
    return Confusables(tuple(chosen), tuple(sorted(doubtful, key=lambda one: one.distance)), known.source)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


# ---------------------------------------------------------------- what there is


@dataclass(frozen=True, slots=True)
class _Source:
    phrase: Phrase
    phonemiser: Phonemiser
    known: WordList
    rng: np.random.Generator
    least_cost: float

    def all(self, count: int, sentences: Sequence[str]) -> list[Confusable]:
        """Of each kind up to what its share may become, each text once."""
        language = self.phrase.language
        words = self.known.words
        table = word_table(words, sounds_of(words, language, self.phonemiser))
        near = self._near(table, count)
        found = self._measured({"tone": tones_of(self.phrase.text), "part": word_parts(self.phrase.text)})
        found += near
        found += self._measured(
            {
                "inside": self._inside([one.text for one in near], count),
                "sentence": self._sentences(count, sentences),
                "word": list(words[: count // 2]),
            }
        )
        found += self._spelled(2 * count)
        return list({_plain(one.text): one for one in reversed(found)}.values())[::-1]

    def _near(self, table: WordTable, count: int) -> list[Confusable]:
        if not len(table):
            return []
        wanted = self.phrase.phonemes
        single = nearest(table, wanted, min(_NEAR_WORDS, count))
        pairs = nearest_pairs(table, wanted, min(_NEAR_PAIRS, count), breadth=60)
        ways = ([one.text for one in single], self._replaced(table), [one.text for one in pairs])
        return list({one.text: one for one in _in_turn([self._nearest_first(way) for way in ways])}.values())

    def _nearest_first(self, texts: list[str]) -> list[Confusable]:
        near = self._measured({"similar": texts})
        return sorted((one for one in near if one.distance <= FARTHEST), key=lambda one: one.distance)

    def _replaced(self, table: WordTable) -> list[str]:
        """The phrase with one of its words replaced by a near one."""
        words = self.phrase.text.split()
        if len(words) < 2 or len(words) != len(self.phrase.words):
            return []
        return [
            " ".join((*words[:at], near.text, *words[at + 1 :]))
            for at, sounds in enumerate(self.phrase.words)
            for near in nearest(table, sounds, _NEAR_REPLACED)
        ]

    def _measured(self, texts: dict[str, list[str]]) -> list[Confusable]:
        """With how they sound and how far that is."""
        flat = [(kind, text) for kind, some in texts.items() for text in some]
        sounds = sounds_of((text for _, text in flat), self.phrase.language, self.phonemiser)
        distances = _distances(sounds, self.phrase.phonemes)
        return [
            Confusable(text, float(distance), kind, "".join(heard))
            for (kind, text), heard, distance in zip(flat, sounds, distances, strict=True)
            if heard
        ]

    def _inside(self, near: Sequence[str], count: int) -> list[str]:
        """Near ones in a sentence, or among other words where the language has no sentences here."""
        carriers = [text for text in carrier_sentences(self.phrase.language) if "{}" in text]
        chosen = [near[int(at)] for at in self.rng.permutation(len(near))[:count]]
        return [self._carried(text, carriers) for text in chosen]

    def _carried(self, text: str, carriers: Sequence[str]) -> str:
        if carriers and self.rng.random() < 0.4:
            return carriers[int(self.rng.integers(len(carriers)))].format(text)
        before, after = self._some_words(0, 3), self._some_words(1, 3)
        return " ".join((*before, text, *after))

    def _sentences(self, count: int, more: Sequence[str]) -> list[str]:
        ready = [text for text in (*carrier_sentences(self.phrase.language), *more) if "{}" not in text]
        if not self.known.words:
            return ready
        return [*ready, *(" ".join(self._some_words(2, _LONGEST_SENTENCE)) for _ in range(count))]

    def _some_words(self, least: int, most: int) -> list[str]:
        """Frequent ones more often: as likely among the first ten as among the next hundred."""
        size = len(self.known.words)
        many = int(self.rng.integers(least, most + 1)) if size else 0
        return [self.known.words[int(size ** self.rng.random()) - 1] for _ in range(many)]

    def _spelled(self, count: int) -> list[Confusable]:
        """Parts cut at syllables, and words that are none."""
        speaker = self.phonemiser
        if not isinstance(speaker, PhonemeSpeaker):
            return []
        words = named_words(self.phrase.text, self.phrase.language, speaker)
        wanted = sounds_in(words)
        sample = (
            [self.phrase.text, *self.known.words] if self.known.words else [self.phrase.text, *_numbers()]
        )
        known = inventory(self.phrase.language, sample, speaker)
        parts = [Scramble(written(part), sounds_in(part)) for part in syllable_parts(words)]
        made = _different(scrambles(words, known, self.rng), count)
        return [*self._judged("part", parts, wanted), *self._judged("scramble", made, wanted)]

    def _judged(self, kind: str, made: Sequence[Scramble], wanted: Sounds) -> list[Confusable]:
        """Sounds without a spelling go past the guard here."""
        sounds = [one.sounds for one in made]
        verdicts = judge_sounds(wanted, sounds, self.phrase.language)
        rows = zip(made, _distances(sounds, wanted), verdicts, strict=True)
        return [
            Confusable(
                one.names,
                float(distance),
                kind,
                "".join(one.sounds),
                phonemes=True,
                reason=_reason(verdict, kind, self.least_cost),
            )
            for one, distance, verdict in rows
        ]


def _numbers() -> list[str]:
    """What every language reads: the phonemes of languages without a list come from its numbers."""
    return [str(number) for number in (*range(200), *range(1000, 100_000, 997))]


def _different(endless: Iterator[Scramble], count: int) -> list[Scramble]:
    found = {one.names: one for one in islice(endless, 3 * count)}
    return list(islice(found.values(), count))


def _distances(sounds: Sequence[Sounds], wanted: Sounds) -> np.ndarray:
    """(n,) float; 1 for what has no sounds."""
    table = word_table([""] * len(sounds), sounds)
    found = np.ones(len(sounds), np.float32)
    if len(table):
        found[table.ranks] = distances_to(table, wanted)
    return found


def carrier_sentences(language: str) -> list[str]:
    """Of `carriers.tsv`: those of the language's first part."""
    base = language.partition("-")[0]
    return [row["text"] for row in read_rows("carriers.tsv") if row["language"] == base]


# ---------------------------------------------------------------- what is used


def _guarded(
    phrase: Phrase, found: Sequence[Confusable], phonemiser: Phonemiser, least_cost: float
) -> tuple[list[Confusable], list[Confusable]]:
    """What is used, and what is doubtful."""
    close = _close(phrase, found, phonemiser)
    verdicts = judge_texts(phrase, [found[at].text for at in close], phonemiser)
    reasons = {
        at: _reason(verdict, found[at].kind, least_cost) for at, verdict in zip(close, verdicts, strict=True)
    }
    marked = [replace(one, reason=reasons.get(at, one.reason)) for at, one in enumerate(found)]
    return [one for one in marked if not one.reason], [one for one in marked if one.reason]


def _close(phrase: Phrase, found: Sequence[Confusable], phonemiser: Phonemiser) -> list[int]:
    """Those with a spelling that are within a few sounds of the phrase: only they could sound like it in
    another region."""
    spelled = [at for at, one in enumerate(found) if not one.phonemes]
    sounds = sounds_of((found[at].text for at in spelled), phrase.language, phonemiser)
    table = word_table([""] * len(sounds), [relax(heard) for heard in sounds])
    costs = inside_costs(table, relax(phrase.phonemes)) if len(table) else ()
    return [
        spelled[int(row)] for row, cost in zip(table.ranks, costs, strict=True) if cost < _LOOK_CLOSER_COST
    ]


def _reason(verdict: Judged, kind: str, least_cost: float) -> str:
    if verdict.same:
        return f"the phrase is heard in it ({verdict.region})"
    if verdict.doubtful(kind, least_cost):
        return f"it differs by {verdict.cost:.2f} of a sound ({verdict.region})"
    return ""


def _shared_out(found: Sequence[Confusable], count: int) -> list[Confusable]:
    """All tones and parts, then each kind's share, then what is left over of any, in the order given."""
    kinds = dict.fromkeys(one.kind for one in found)
    by_kind = {kind: [one for one in found if one.kind == kind] for kind in kinds}
    few = [one for kind in ("tone", "part") for one in by_kind.pop(kind, [])][: count // 4]
    room = count - len(few)
    chosen = few + [one for kind, some in by_kind.items() for one in some[: _share(kind, room)]]
    taken = set(map(id, chosen))
    rest = [one for one in _in_turn(list(by_kind.values())) if id(one) not in taken]
    return (chosen + rest)[:count]


def _share(kind: str, room: int) -> int:
    return int(SHARES[kind] * room)


def _in_turn(groups: Sequence[Sequence[Confusable]]) -> list[Confusable]:
    longest = max(map(len, groups), default=0)
    return [group[at] for at in range(longest) for group in groups if at < len(group)]
