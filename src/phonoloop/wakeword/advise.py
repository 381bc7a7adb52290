"""Is a phrase a good wake word? What can be said before anything is recorded.

A phrase works where it is long and varied enough to be told from what people say all day. What counts:
its syllables and sounds, how near the frequent words and pairs of words of the language are, whether it is an
everyday word itself or is heard inside of one, whose wake word it already is, and in Vietnamese what it means
in other tones. The limits are ours; the makers of other wake words ask for about the same (six phonemes, two
syllables or more, no everyday phrase).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from phonoloop.core.speech import Phonemiser
from phonoloop.text.ipa import is_tone, sequence_distance
from phonoloop.wakeword.near import Near, WordTable, holding, nearest, nearest_pairs, word_table
from phonoloop.wakeword.parts import tones_of
from phonoloop.wakeword.phrase import Phrase, read_phrase
from phonoloop.wakeword.sounds import Sounds, sounds_of
from phonoloop.wakeword.tables import read_rows
from phonoloop.wakeword.words import WordList, frequent_words

#: in sounds, a tone counting one half
FEWEST_SOUNDS, FEW_SOUNDS, MANY_SOUNDS = 5.0, 6.0, 18.0
MANY_SYLLABLES, MOST_SYLLABLES = 7, 12
LEAST_VARIETY = 0.6
#: distances up to which something is a danger, and up to which it is listed
VERY_NEAR, NEAR, LISTED = 0.12, 0.20, 0.34
ASSISTANT_SAME, ASSISTANT_NEAR = 0.08, 0.22
#: ranks in the list of words up to which a word is said every day
EVERYDAY, FREQUENT = 2500, 4000
#: the rarer word of two that are often said together by chance
EVERYDAY_PAIR = 1000
#: letters up to which a word may well be meant to be spelled out: OK, TV
_INITIALS = 3
_SHOWN = 6
BAD, WARNING, NOTE = "bad", "warning", "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a phrase. `severity`: "bad", "warning" or "note"; `code`: stable, for programs."""

    severity: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Variant:
    """Another phrase that does better."""

    text: str
    ipa: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Advice:
    """All about a phrase.

    Attributes:
        verdict: "good", "usable" or "poor".
        findings: worst first.
        near: words and pairs of words that sound near it, nearest first.
        compared_with: the words it was compared with, for people; empty where there were none.
        variants: up to three that do better.
    """

    phrase: Phrase
    verdict: str
    findings: tuple[Finding, ...]
    near: tuple[Near, ...]
    compared_with: str
    variants: tuple[Variant, ...]


def advise(text: str, language: str, phonemiser: Phonemiser, *, words: WordList | None = None) -> Advice:
    """What is to be said about a phrase.

    Args:
        words: to compare with, instead of the frequent words of the language.

    Raises:
        InputError: as `read_phrase`.
    """
    phrase = read_phrase(text, language, phonemiser)
    adviser = _Adviser(phonemiser, language, frequent_words(language) if words is None else words)
    near = adviser.near(phrase)
    findings = [*adviser.findings(phrase), *_pair_findings(near)]
    verdict = verdict_of(findings)
    return Advice(
        phrase=phrase,
        verdict=verdict,
        findings=tuple(sorted(findings, key=lambda one: (BAD, WARNING, NOTE).index(one.severity))),
        near=tuple(near[:_SHOWN]),
        compared_with=adviser.words.source,
        variants=() if verdict == "good" else tuple(adviser.variants(phrase, _badness(findings))),
    )


def verdict_of(findings: Sequence[Finding]) -> str:
    """One that is bad, or three to be warned of, make it poor."""
    severities = [one.severity for one in findings]
    if BAD in severities or severities.count(WARNING) > 2:
        return "poor"
    return "usable" if WARNING in severities else "good"


def _badness(findings: Sequence[Finding]) -> float:
    return sum({BAD: 3.0, WARNING: 1.0, NOTE: 0.1}[one.severity] for one in findings)


@dataclass
class _Adviser:
    """A language's words, with their sounds once they are needed."""

    phonemiser: Phonemiser
    language: str
    words: WordList

    @cached_property
    def table(self) -> WordTable:
        words = self.words.words
        return word_table(words, sounds_of(words, self.language, self.phonemiser))

    @cached_property
    def assistants(self) -> list[tuple[dict[str, str], Sounds]]:
        """Lines of the table, and how the names sound."""
        base = self.language.partition("-")[0]
        rows = [row for row in read_rows("assistants.tsv") if row["language"] in ("", base)]
        sounds = sounds_of((row["name"] for row in rows), self.language, self.phonemiser)
        return list(zip(rows, sounds, strict=True))

    def near(self, phrase: Phrase) -> list[Near]:
        """Single words, then pairs, without the phrase itself, nearest first."""
        if not len(self.table):
            return []
        found = chain(
            nearest(self.table, phrase.phonemes, 4 * _SHOWN),
            nearest_pairs(self.table, phrase.phonemes, 4 * _SHOWN, breadth=20),
        )
        own = _letters(phrase.text)
        others = (one for one in found if _letters(one.text) != own and one.distance <= LISTED)
        return sorted(others, key=lambda one: one.distance)

    def findings(self, phrase: Phrase) -> list[Finding]:
        """All but what pairs of words say, which take longest."""
        found = [*_length_findings(phrase), *_variety_findings(phrase)]
        found += [*self._assistant_findings(phrase), *self._spelling_findings(phrase)]
        if len(self.table):
            found += [
                *self._word_findings(phrase),
                *self._inside_findings(phrase),
                *self._tone_findings(phrase),
            ]
        elif not self.words.source:
            found.append(Finding(NOTE, "no_words", _no_words(self.language)))
        return found

    def _assistant_findings(self, phrase: Phrase) -> list[Finding]:
        apart, row = min(
            ((sequence_distance(heard, phrase.phonemes), row) for row, heard in self.assistants),
            key=lambda one: one[0],
        )
        if apart <= ASSISTANT_SAME:
            severity = BAD if row["usual"] == "yes" else WARNING
            text = f"Devices of {row['whose']} listen to {row['name']}; in a room with one both will answer"
            return [Finding(severity, "assistant", text)]
        if apart <= ASSISTANT_NEAR:
            text = f"It sounds much like {row['name']}, which devices of {row['whose']} listen to"
            return [Finding(NOTE, "assistant", text)]
        return []

    def _spelling_findings(self, phrase: Phrase) -> list[Finding]:
        """Words without vowels and the like, which are read letter by letter."""
        words = [word for word in phrase.text.split() if len(word) > 1 and word.isalpha()]
        pairs = [text for word in words for text in (word, " ".join(word))]
        sounds = sounds_of(pairs, self.language, self.phonemiser)
        spelled = [word for at, word in enumerate(words) if sounds[2 * at] == sounds[2 * at + 1]]
        if not spelled:
            return []
        severity = WARNING if any(len(word) > _INITIALS for word in spelled) else NOTE
        text = (
            f"It is read letter by letter ({_listed(spelled)}). If it is not said so, spell it as it sounds"
        )
        return [Finding(severity, "spelled", text)]

    def _word_findings(self, phrase: Phrase) -> list[Finding]:
        near = nearest(self.table, phrase.phonemes, 4 * _SHOWN)
        same = [one for one in near if one.distance == 0.0 and one.rank < FREQUENT]
        found = []
        if same:
            names = _listed(one.text for one in same)
            text = f"It is an everyday word ({names}): people will say it without meaning the device"
            found.append(Finding(WARNING, "everyday", text))
        close = [one for one in near if 0.0 < one.distance <= VERY_NEAR and one.rank < FREQUENT]
        if close:
            names = _listed(one.text for one in close)
            found.append(Finding(WARNING, "near_word", f"Frequent words sound nearly the same: {names}"))
        return found

    def _inside_findings(self, phrase: Phrase) -> list[Finding]:
        inside = [one for one in holding(self.table, phrase.phonemes) if one.rank < FREQUENT]
        if not inside:
            return []
        names = _listed(one.text for one in sorted(inside, key=lambda one: one.rank))
        severity = WARNING if len(inside) > 2 else NOTE
        return [Finding(severity, "inside", f"It is heard inside of other words: {names}")]

    def _tone_findings(self, phrase: Phrase) -> list[Finding]:
        """Vietnamese: the same syllables in other tones, where these are words."""
        if self.language.partition("-")[0] != "vi":
            return []
        ranks = {word: rank for rank, word in enumerate(self.words.words)}
        said = [
            one
            for one in tones_of(phrase.text)
            if all(ranks.get(w, EVERYDAY) < EVERYDAY for w in one.split())
        ]
        if not said:
            return []
        said.sort(key=lambda one: max(ranks[word] for word in one.split()))
        severity = WARNING if phrase.syllables <= 2 and len(said) > 2 else NOTE
        return [
            Finding(severity, "tones", f"In other tones it is something else that is said: {_listed(said)}")
        ]

    def variants(self, phrase: Phrase, badness: float) -> list[Variant]:
        """The best three that are better than the phrase."""
        texts = [text for text in self._variant_texts(phrase.text) if text != phrase.text]
        rated = []
        for text in texts:
            other = read_phrase(text, self.language, self.phonemiser)
            findings = self.findings(other)
            rated.append((_badness(findings), Variant(text, other.ipa, verdict_of(findings))))
        better = [one for one in sorted(rated, key=lambda one: one[0]) if one[0] < badness]
        return [variant for _, variant in better[:3]]

    def _variant_texts(self, text: str) -> list[str]:
        """The phrase with a calling; one that it begins with already gives way to others."""
        base = self.language.partition("-")[0]
        patterns = [row["text"] for row in read_rows("variants.tsv") if row["language"] == base]
        callings = {pattern.replace("{}", "").strip().lower() for pattern in patterns}
        first, _, rest = text.partition(" ")
        called = rest if rest and first.lower() in callings else text
        fresh = [one for one in patterns if not set(text.lower().split()) & set(one.lower().split())]
        return [one.format(called) for one in fresh] or [
            f"{word} {text}" for word in self._strong_words(text)
        ]

    def _strong_words(self, text: str) -> list[str]:
        """Known words of some length that are far from the phrase, for languages without callings."""
        some = self.words.words[200:2000:60]
        sounds = sounds_of((*some, text), self.language, self.phonemiser)
        *others, own = sounds
        rated = [
            (sequence_distance(one, own), word)
            for word, one in zip(some, others, strict=True)
            if 4 <= len(one) <= 8
        ]
        return [word for _, word in sorted(rated, reverse=True)[:4]]


def _length_findings(phrase: Phrase) -> list[Finding]:
    tones = sum(map(is_tone, phrase.phonemes))
    size = len(phrase.sounds) + 0.5 * tones
    counted = f"{_many(phrase.syllables, 'syllable')} and {_many(len(phrase.sounds), 'sound')}"
    if phrase.syllables < 2 or size < FEWEST_SOUNDS:
        return [Finding(BAD, "short", f"It is too short: {counted}. It needs two syllables and six sounds")]
    if size < FEW_SOUNDS:
        return [Finding(WARNING, "short", f"It is short: {counted}. Six sounds or more are safer")]
    if phrase.syllables > MOST_SYLLABLES:
        return [Finding(BAD, "long", f"It is too long: {counted}. Nobody says this twenty times a day")]
    if phrase.syllables > MANY_SYLLABLES or size > MANY_SOUNDS:
        return [Finding(WARNING, "long", f"It is long: {counted}. People will shorten it")]
    return []


def _variety_findings(phrase: Phrase) -> list[Finding]:
    sounds = phrase.sounds
    if len(sounds) < 4 or len(set(sounds)) / len(sounds) >= LEAST_VARIETY:
        return []
    text = f"It has little variety: {len(set(sounds))} different sounds among {len(sounds)}"
    return [Finding(WARNING, "variety", text)]


def _pair_findings(near: Sequence[Near]) -> list[Finding]:
    pairs = [
        one for one in near if " " in one.text and one.distance <= VERY_NEAR and one.rank < EVERYDAY_PAIR
    ]
    if not pairs:
        return []
    names = _listed(one.text for one in pairs)
    frequent = any(one.distance <= VERY_NEAR / 2 for one in pairs)
    return [
        Finding(WARNING if frequent else NOTE, "near_pair", f"Frequent words together come near: {names}")
    ]


def _no_words(language: str) -> str:
    return (
        f"There is no list of frequent words of {language} here, so nothing is known of what it is"
        " confused with. Give one with --words FILE, a word a line"
    )


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(list(dict.fromkeys(names))[:_SHOWN])
