"""CTC prefix beam search with knowledge: a language model, a lexicon, hot words.

The search sums over all ways to write the same prefix (A. Graves, "Supervised sequence labelling with
recurrent neural networks", 2012, 7.5.3) and scores whole words with a language model as they end
(A. Y. Hannun et al., "First-pass large vocabulary continuous speech recognition using bi-directional
recurrent DNNs", 2014): ln p(audio | prefix) + alpha * ln p(words) + beta * number of words.

The inner loop keeps probabilities, scaled at every frame, in plain lists; frames that are surely blank
and tokens that are surely not there are passed over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phonoloop.asr.hotwords import HotWord, HotWordAutomaton, vocabulary_of
from phonoloop.core.errors import ConfigError
from phonoloop.text.ngram import EMPTY_STATE, END_ID, UNKNOWN_ID, NgramModel, beginnings_of
from phonoloop.text.tokens import BLANK_ID, Tokenizer

_LN10 = math.log(10.0)
MOST_BEAM = 512


@dataclass(frozen=True, slots=True)
class BeamConfig:
    """How to search.

    Attributes:
        beam: prefixes that are kept from frame to frame.
        alpha: weight of the language model.
        beta: what a word earns, natural logarithm; it makes up for what the model costs.
        unknown: what a word costs that the language model does not know, natural logarithm.
        least_token: a token less probable than this is not looked at.
        sure_blank: a frame whose blank is more probable than this holds nothing else.
        width: a prefix this far behind the best, natural logarithm, is dropped.
    """

    beam: int = 16
    alpha: float = 0.5
    beta: float = 1.0
    unknown: float = -10.0
    least_token: float = 1e-4
    sure_blank: float = 0.9999
    width: float = 14.0

    def __post_init__(self) -> None:
        """Raises ConfigError `beam.config`."""
        numbers = (self.alpha, self.beta, self.unknown, self.width)
        if not 1 <= self.beam <= MOST_BEAM or not all(map(math.isfinite, numbers)) or self.alpha < 0:
            raise ConfigError(
                f"a beam of {self.beam} with alpha {self.alpha}, beta {self.beta} makes no sense",
                code="beam.config",
                hint=f"Take a beam of 1 to {MOST_BEAM} and an alpha of at least 0",
            )


#: what is searched with where nobody says anything else
DEFAULT = BeamConfig()


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One reading.

    Attributes:
        tokens: ids without blanks, as the tokenizer decodes them.
        score: what it was ranked by: natural logarithm of the audio given the text and all that was added.
        acoustic: of the audio alone.
        language: log10 of the words by the language model; 0 without one.
    """

    text: str
    tokens: tuple[int, ...]
    score: float
    acoustic: float
    language: float


class BeamDecoder:
    """Searches with one model's tokens. Threads may share it.

    Args:
        lexicon: the only words there are; None for any.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: BeamConfig,
        *,
        model: NgramModel | None = None,
        lexicon: Sequence[str] | None = None,
        hot_words: Sequence[HotWord] = (),
    ) -> None:
        self.config, self.model = config, model
        self.pieces = _pieces(tokenizer)
        self.hot = HotWordAutomaton(hot_words) if hot_words else None
        extra = vocabulary_of(hot_words)
        self.only = None if lexicon is None else beginnings_of([*lexicon, *extra])
        self.known = None if model is None else model.beginnings
        if self.known and extra:
            self.known = beginnings_of([*model.words, *extra])
        self.expected = frozenset(extra)

    def decode(
        self, log_probs: np.ndarray, *, begin: bool = True, end: bool = True, most: int = 1
    ) -> list[Hypothesis]:
        """The best readings of (T, vocab) log-probabilities, best first; one of no words where there is none.

        Args:
            begin, end: whether a sentence begins and ends here; not inside a longer recording.
            most: how many readings.
        """
        search = _Search(self, begin=begin)
        for frame in _frames(log_probs, self.config):
            search.advance(*frame)
        return search.finish(end=end)[:most]


def _frames(log_probs: np.ndarray, config: BeamConfig):
    """Of each frame: p(blank), and tokens with their probabilities, likely ones first; runs of sure
    blanks are one frame."""
    probabilities = np.exp(log_probs.astype(np.float64))
    blanks = probabilities[:, BLANK_ID].tolist()
    mask = probabilities >= config.least_token
    mask[:, BLANK_ID] = False
    in_blank = False
    for t, blank in enumerate(blanks):
        if blank >= config.sure_blank:
            if not in_blank:
                yield 1.0, ()
            in_blank = True
            continue
        in_blank = False
        ids = np.flatnonzero(mask[t])
        found = probabilities[t, ids]
        order = np.argsort(-found, kind="stable")
        yield blank, tuple(zip(ids[order].tolist(), found[order].tolist(), strict=True))


#: what is known of a prefix's text: the letters since the last space, the language model's state before
#: them, what the words that have ended and hot words brought, log10 of those words, the hot words' state
_Reading = tuple[str, int, float, float, int]


class _Search:
    """One utterance. A prefix is a number; what is known of it stands at its place in the lists.

    Attributes:
        bonus: what language model, word count and hot words add to ln p(audio | prefix).
        alive: (prefix, p of ending in blank, p of ending in its token, p against the best one's).
    """

    def __init__(self, decoder: BeamDecoder, *, begin: bool) -> None:
        self._decoder, self._config, self._model = decoder, decoder.config, decoder.model
        state = self._model.begin_state if self._model and begin else EMPTY_STATE
        self._parent, self._token, self._bonus = [-1], [BLANK_ID], [0.0]
        self._children: list[dict[int, int]] = [{}]
        self._readings: list[_Reading] = [("", state, 0.0, 0.0, decoder.hot.begin if decoder.hot else 0)]
        self._alive: list[tuple[int, float, float, float]] = [(0, 1.0, 0.0, 1.0)]
        self._acoustic = 0.0
        self._least = math.exp(-self._config.width)

    def advance(self, blank: float, tokens: Sequence[tuple[int, float]]) -> None:
        """One frame."""
        if not tokens and blank == 1.0:
            self._alive = [(prefix, b + n, 0.0, rank) for prefix, b, n, rank in self._alive]
        else:
            self._prune(*self._spread(blank, tokens))

    def _spread(
        self, blank: float, tokens: Sequence[tuple[int, float]]
    ) -> tuple[dict[int, float], dict[int, float]]:
        """Every way a prefix can go on: p of ending in blank, p of ending in a token, by prefix."""
        in_blank: dict[int, float] = {}
        in_token: dict[int, float] = {}
        last, children, least, extend = self._token, self._children, self._least, self._extend
        for prefix, ended_blank, ended_token, rank in self._alive:
            both = ended_blank + ended_token
            in_blank[prefix] = both * blank
            of_prefix, of_last = children[prefix], last[prefix]
            for token, p in tokens:
                if rank * p < least:
                    break
                grown = both * p
                if token == of_last:
                    in_token[prefix] = in_token.get(prefix, 0.0) + ended_token * p
                    grown = ended_blank * p
                child = of_prefix.get(token)
                if child is None:
                    child = of_prefix[token] = extend(prefix, token)
                if child >= 0:
                    in_token[child] = in_token.get(child, 0.0) + grown
        return in_blank, in_token

    def _prune(self, in_blank: dict[int, float], in_token: dict[int, float]) -> None:
        bonus, log = self._bonus, math.log
        ranked = []
        for prefix in in_blank.keys() | in_token.keys():
            b, n = in_blank.get(prefix, 0.0), in_token.get(prefix, 0.0)
            if b + n > 0.0:
                ranked.append((log(b + n) + bonus[prefix], prefix, b, n))
        if not ranked:  # no token is allowed here and blank is impossible: the frame says nothing
            return
        ranked.sort(reverse=True)
        del ranked[self._config.beam :]
        best = ranked[0][0]
        most = max(b + n for _, _, b, n in ranked)
        self._acoustic += log(most)
        self._alive = [
            (prefix, b / most, n / most, math.exp(score - best))
            for score, prefix, b, n in ranked
            if score > best - self._config.width
        ]

    def _extend(self, prefix: int, token: int) -> int:
        """The prefix with one more token; -1 where the lexicon has no such word."""
        first, *others = self._decoder.pieces[token]
        reading: _Reading | None = self._spell(self._readings[prefix], first)
        for letters in others:
            reading = self._end_word(reading)
            if reading is None:
                return -1
            reading = self._spell(reading, letters)
        word, _, spent, _, hot = reading
        only, known = self._decoder.only, self._decoder.known
        if only is not None and word and word not in only:
            return -1
        if known is not None and word and word not in known:
            spent += self._config.unknown
        if self._decoder.hot:
            spent += self._decoder.hot.begun(hot)
        return self._add(prefix, token, reading, spent)

    def _add(self, prefix: int, token: int, reading: _Reading, bonus: float) -> int:
        self._parent.append(prefix)
        self._token.append(token)
        self._readings.append(reading)
        self._bonus.append(bonus)
        self._children.append({})
        return len(self._parent) - 1

    def _spell(self, reading: _Reading, letters: str) -> _Reading:
        word, state, spent, language, hot = reading
        if self._decoder.hot:
            for letter in letters:
                hot, earned = self._decoder.hot.step(hot, letter)
                spent += earned
        return word + letters, state, spent, language, hot

    def _end_word(self, reading: _Reading) -> _Reading | None:
        """With the word settled; None where the lexicon does not have it."""
        word, state, spent, language, hot = reading
        if not word:
            return reading
        if self._decoder.only is not None and not self._decoder.only[word]:
            return None
        if self._model is not None:
            number = self._model.id_of(word)
            log10, state = self._model.step(state, number)
            language += log10
            spent += self._config.alpha * _LN10 * log10
            if number == UNKNOWN_ID and word not in self._decoder.expected:
                spent += self._config.unknown
        if self._decoder.hot:
            hot, earned = self._decoder.hot.step(hot, " ")
            spent += earned
        return "", state, spent + self._config.beta, language, hot

    def finish(self, *, end: bool) -> list[Hypothesis]:
        """The readings that are left, best first; a text is there once, in its best spelling."""
        found: dict[str, Hypothesis] = {}
        for prefix, b, n, _ in self._alive:
            reading = self._end_word(self._readings[prefix])
            if reading is not None:
                one = self._hypothesis(prefix, b + n, reading, end=end)
                if one.text not in found or found[one.text].score < one.score:
                    found[one.text] = one
        best = sorted(found.values(), key=lambda one: -one.score)
        return best or [Hypothesis("", (), -math.inf, -math.inf, 0.0)]

    def _hypothesis(self, prefix: int, p: float, reading: _Reading, *, end: bool) -> Hypothesis:
        _, state, spent, language, _ = reading
        if end and self._model is not None:
            log10, _ = self._model.step(state, END_ID)
            language += log10
            spent += self._config.alpha * _LN10 * log10
        tokens = self._tokens(prefix)
        text = " ".join("".join(" ".join(self._decoder.pieces[token]) for token in tokens).split())
        acoustic = math.log(p) + self._acoustic
        return Hypothesis(text, tokens, acoustic + spent, acoustic, language)

    def _tokens(self, prefix: int) -> tuple[int, ...]:
        tokens = []
        while prefix > 0:
            tokens.append(self._token[prefix])
            prefix = self._parent[prefix]
        return tuple(reversed(tokens))


def _pieces(tokenizer: Tokenizer) -> list[list[str]]:
    """What each token adds to a text that has begun, taken apart at its spaces."""
    lead = min(2, tokenizer.vocab_size - 1)
    begun = tokenizer.decode([lead])
    return [tokenizer.decode([lead, i])[len(begun) :].split(" ") for i in range(tokenizer.vocab_size)]
