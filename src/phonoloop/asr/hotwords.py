"""Words and phrases that somebody expects, and what a text earns for holding them.

All phrases are looked for at once with the automaton of A. V. Aho and M. J. Corasick, "Efficient string
matching", CACM 18 (1975). A phrase that has only begun earns its share already, so that a beam keeps it,
and gives it back where it does not go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from phonoloop.core.errors import InputError
from phonoloop.text.normalise import DEFAULT_LANGUAGE, for_training

#: natural logarithm by which a hot word is favoured where nobody says how much
DEFAULT_WEIGHT = 6.0
MOST_WEIGHT = 100.0


@dataclass(frozen=True, slots=True)
class HotWord:
    """A word or phrase, as it is recognised (lower case), and its weight (natural logarithm)."""

    phrase: str
    weight: float = DEFAULT_WEIGHT


def parse_hot_word(text: str, language: str = DEFAULT_LANGUAGE) -> HotWord:
    """`WORD`, or `WORD:WEIGHT`; phrases have spaces. Brought into the form that recognisers write.

    Raises:
        InputError: `hotword.invalid`.
    """
    phrase, colon, weight = text.rpartition(":")
    if not colon:
        phrase, weight = text, str(DEFAULT_WEIGHT)
    try:
        value = float(weight)
    except ValueError:
        value = float("nan")
    phrase = for_training(phrase, language)
    if not phrase or not -MOST_WEIGHT <= value <= MOST_WEIGHT:
        raise InputError(
            f"{text[:80]!r} is not a hot word",
            code="hotword.invalid",
            hint=f"Write WORD or WORD:WEIGHT, a weight is a number up to {MOST_WEIGHT:g}, such as đà nẵng:8",
        )
    return HotWord(phrase, value)


class HotWordAutomaton:
    """What each text has earned so far, letter by letter. State 1 stands before the first word."""

    def __init__(self, hot_words: Iterable[HotWord]) -> None:
        self.words = tuple(hot_words)
        self._next: list[dict[str, int]] = [{}]
        self._fail: list[int] = [0]
        self._begun: list[float] = [0.0]
        self._earned: list[float] = [0.0]
        for hot in self.words:
            self._add(f" {hot.phrase} ", hot.weight)
        self._link()

    @property
    def begin(self) -> int:
        return self.step(0, " ")[0]

    def step(self, state: int, letter: str) -> tuple[int, float]:
        """The next state, and what is earned for good by this letter."""
        while letter not in self._next[state] and state:
            state = self._fail[state]
        state = self._next[state].get(letter, 0)
        return state, self._earned[state]

    def begun(self, state: int) -> float:
        """What the phrase that has begun would lose if it did not go on."""
        return self._begun[state]

    def _add(self, text: str, weight: float) -> None:
        state = 0
        for done, letter in enumerate(text):
            if letter not in self._next[state]:
                self._next[state][letter] = len(self._next)
                self._next.append({})
                self._fail.append(0)
                self._begun.append(0.0)
                self._earned.append(0.0)
            state = self._next[state][letter]
            share = weight * done / (len(text) - 1)
            if done + 1 < len(text) and abs(share) > abs(self._begun[state]):
                self._begun[state] = share
        self._earned[state] += weight

    def _link(self) -> None:
        """Breadth first: where to go on when a phrase ends or breaks off."""
        waiting = deque(self._next[0].values())
        while waiting:
            state = waiting.popleft()
            for letter, child in self._next[state].items():
                waiting.append(child)
                fall = self._fail[state]
                while fall and letter not in self._next[fall]:
                    fall = self._fail[fall]
                self._fail[child] = self._next[fall].get(letter, 0)
                self._earned[child] += self._earned[self._fail[child]]
                if not self._next[child]:
                    self._begun[child] = self._begun[self._fail[child]]


def vocabulary_of(hot_words: Sequence[HotWord]) -> Mapping[str, float]:
    """Their single words."""
    return {word: hot.weight for hot in hot_words for word in hot.phrase.split()}
