"""The beam search finds what an exhaustive search finds, and what it knows is put in as it is said to be."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.asr.beam import BeamConfig, BeamDecoder
from phonoloop.asr.beam_recogniser import posteriors, rescored
from phonoloop.asr.decode import read_greedily
from phonoloop.asr.hotwords import HotWord
from phonoloop.core.errors import ConfigError
from phonoloop.text.ngram import NgramModel
from phonoloop.text.tokens import BpeTokenizer, CharTokenizer

#: ids: blank 0, unknown 1, space 2, a 3, b 4
TOKENS = CharTokenizer(" ab")
WIDE = BeamConfig(beam=500, alpha=0.0, beta=0.0, unknown=0.0, least_token=0.0, sure_blank=2.0, width=200.0)
PLAIN = BeamConfig(alpha=0.0, beta=0.0, unknown=0.0)
LM = NgramModel.train(["a b", "a b", "b a", "ab", "a"], 2)

rows = st.lists(st.lists(st.floats(0.01, 1.0), min_size=5, max_size=5), min_size=1, max_size=4)


def log_probs_of(weights) -> np.ndarray:
    weights = np.array(weights, float)
    return np.log(weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def spelled(text: str, *, tokenizer=TOKENS, sure: float = 0.97) -> np.ndarray:
    """Log-probabilities of an utterance: each token for two frames, a blank behind it."""
    ids = tokenizer.encode(text)
    frames = [token for one in ids for token in (one, one, 0)]
    weights = np.full((len(frames), tokenizer.vocab_size), (1 - sure) / (tokenizer.vocab_size - 1))
    weights[np.arange(len(frames)), frames] = sure
    return np.log(weights).astype(np.float32)


def every_text(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """p of each token sequence: the sum over all paths that collapse to it."""
    p = np.exp(log_probs.astype(float))
    found: dict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        tokens = tuple(token for token, _ in itertools.groupby(path) if token)
        found[tokens] += float(np.prod([p[t, token] for t, token in enumerate(path)]))
    return found


class TestAgainstExhaustiveSearch:
    @given(rows)
    @settings(max_examples=25, deadline=None)
    def test_without_knowledge_it_finds_the_most_probable_text(self, weights):
        log_probs = log_probs_of(weights)
        texts: dict[str, float] = defaultdict(float)
        for tokens, p in every_text(log_probs).items():
            text = " ".join(TOKENS.decode(tokens).split())
            texts[text] = max(texts[text], p)  # a text is told in its best spelling
        best = BeamDecoder(TOKENS, WIDE).decode(log_probs)[0]
        assert best.acoustic == pytest.approx(math.log(max(texts.values())), abs=1e-4)
        assert texts[best.text] == pytest.approx(math.exp(best.acoustic), rel=1e-3)

    @given(rows, st.sampled_from([0.3, 1.0]), st.sampled_from([0.0, 1.5]))
    @settings(max_examples=25, deadline=None)
    def test_with_a_language_model_it_finds_the_best_sum(self, weights, alpha, beta):
        log_probs = log_probs_of(weights)
        config = BeamConfig(
            beam=500, alpha=alpha, beta=beta, unknown=0.0, least_token=0.0, sure_blank=2.0, width=200.0
        )
        best = BeamDecoder(TOKENS, config, model=LM).decode(log_probs)[0]
        sums = []
        for tokens, p in every_text(log_probs).items():
            words = TOKENS.decode(tokens).split()
            sums.append(math.log(p) + alpha * math.log(10) * LM.score(words) + beta * len(words))
        assert best.score == pytest.approx(max(sums), abs=1e-3)
        assert best.language == pytest.approx(LM.score(best.text), abs=1e-4)

    @given(rows, st.integers(1, 40))
    @settings(max_examples=25, deadline=None)
    def test_a_narrow_beam_is_never_better_than_a_wide_one(self, weights, width):
        log_probs = log_probs_of(weights)
        narrow = BeamDecoder(TOKENS, BeamConfig(beam=width, alpha=0.0, beta=0.0)).decode(log_probs)[0]
        assert narrow.score <= BeamDecoder(TOKENS, WIDE).decode(log_probs)[0].score + 1e-4

    def test_what_is_passed_over_changes_nothing_that_matters(self):
        log_probs = spelled("ab a bab", sure=0.9)
        exact = BeamDecoder(TOKENS, WIDE, model=LM).decode(log_probs)[0]
        quick = BeamDecoder(TOKENS, PLAIN, model=LM).decode(log_probs)[0]
        assert quick.text == exact.text
        assert quick.acoustic == pytest.approx(exact.acoustic, abs=0.1)


class TestKnowledge:
    def test_the_language_model_decides_between_words_that_sound_alike(self):
        weights = np.exp(spelled("a a"))
        weights[6:8, 3] = weights[6:8, 4] = 0.5  # the second word may as well be b
        heard = np.log(weights)
        model = NgramModel.train(["a b"] * 9 + ["b a"], 2)
        assert BeamDecoder(TOKENS, BeamConfig(), model=model).decode(heard)[0].text == "a b"

    def test_words_outside_the_lexicon_are_not_written(self):
        heard = spelled("ab ba", sure=0.8)
        assert BeamDecoder(TOKENS, PLAIN).decode(heard)[0].text == "ab ba"
        for reading in BeamDecoder(TOKENS, PLAIN, lexicon=["ab", "b"]).decode(heard, most=20):
            assert set(reading.text.split()) <= {"ab", "b"}

    def test_an_unknown_word_costs_and_is_still_written_where_it_is_heard(self):
        heard = spelled("bb a", sure=1 - 1e-8)
        assert BeamDecoder(TOKENS, BeamConfig(), model=LM).decode(heard)[0].text == "bb a"

    def test_without_an_end_the_sentence_goes_on(self):
        decoder = BeamDecoder(TOKENS, BeamConfig(alpha=1.0, beta=0.0), model=LM)
        whole, part = (decoder.decode(spelled("a b"), end=end)[0] for end in (True, False))
        assert whole.language == pytest.approx(LM.score("a b"))
        assert part.language == pytest.approx(LM.score("a b", end=False))
        inside = decoder.decode(spelled("a b"), begin=False, end=False)[0]
        assert inside.language == pytest.approx(LM.score("a b", begin=False, end=False))

    def test_bpe_tokens_end_words_where_the_next_one_begins(self):
        tokens = BpeTokenizer.train(["đèn quạt phòng khách phòng ngủ"] * 5, 34)
        model = NgramModel.train(["đèn phòng khách", "quạt phòng ngủ"], 2)
        decoder = BeamDecoder(tokens, BeamConfig(alpha=0.5, beta=0.0), model=model)
        best = decoder.decode(spelled("đèn phòng khách", tokenizer=tokens))[0]
        assert best.text == "đèn phòng khách"
        assert best.language == pytest.approx(model.score("đèn phòng khách"), abs=1e-4)


class TestHotWords:
    def doubtful(self) -> np.ndarray:
        """`a ab`, but `bb` is nearly as likely as `ab`."""
        weights = np.exp(spelled("a ab"))
        weights[6:8, 3], weights[6:8, 4] = 0.6, 0.4
        return np.log(weights)

    @pytest.mark.parametrize("phrase", ["bb", "a bb"])
    def test_a_hot_word_wins_over_one_that_is_a_little_likelier(self, phrase):
        assert BeamDecoder(TOKENS, BeamConfig()).decode(self.doubtful())[0].text == "a ab"
        hot = BeamDecoder(TOKENS, BeamConfig(), hot_words=[HotWord(phrase, 4.0)])
        assert hot.decode(self.doubtful())[0].text == "a bb"

    def test_the_weight_is_what_it_earns(self):
        plain = BeamDecoder(TOKENS, WIDE).decode(spelled("a bb a"))[0]
        hot = BeamDecoder(TOKENS, WIDE, hot_words=[HotWord("bb", 3.0), HotWord("a", 0.5)])
        best = hot.decode(spelled("a bb a"))[0]
        assert best.score - plain.score == pytest.approx(3.0 + 2 * 0.5, abs=1e-6)

    def test_part_of_a_word_is_no_hot_word(self):
        plain = BeamDecoder(TOKENS, WIDE).decode(spelled("abb ba"))[0]
        hot = BeamDecoder(TOKENS, WIDE, hot_words=[HotWord("bb", 3.0), HotWord("abb b", 3.0)])
        best = next(one for one in hot.decode(spelled("abb ba"), most=99) if one.text == "abb ba")
        assert best.score == pytest.approx(plain.score, abs=1e-6)

    def test_one_that_has_begun_is_kept_in_a_narrow_beam(self):
        weights = np.exp(spelled("abab"))
        weights[0:2, 3], weights[0:2, 4] = 0.9, 0.1  # the hot word begins with the unlikely letter
        heard = np.log(weights)
        hot = BeamDecoder(TOKENS, BeamConfig(beam=2), hot_words=[HotWord("bbab", 12.0)])
        assert hot.decode(heard)[0].text == "bbab"

    def test_one_that_nobody_says_is_not_written(self):
        hot = BeamDecoder(TOKENS, BeamConfig(), hot_words=[HotWord("bbb", 6.0)])
        assert hot.decode(spelled("a ab a", sure=0.99))[0].text == "a ab a"

    def test_it_may_be_in_no_lexicon(self):
        decoder = BeamDecoder(TOKENS, BeamConfig(), lexicon=["a"], hot_words=[HotWord("bb", 4.0)])
        assert decoder.decode(spelled("a bb"))[0].text == "a bb"


class TestEdges:
    def test_nothing_and_silence(self):
        silence = np.log(np.full((50, 5), 1e-9))
        silence[:, 0] = 0.0
        for heard in (np.zeros((0, 5), np.float32), silence):
            assert BeamDecoder(TOKENS, BeamConfig(), model=LM).decode(heard, most=5)[0].text == ""

    def test_a_lexicon_that_allows_nothing_of_what_is_heard(self):
        decoder = BeamDecoder(TOKENS, BeamConfig(), lexicon=["aaaa"])
        assert isinstance(decoder.decode(spelled("bb", sure=0.9999))[0].text, str)

    def test_readings_are_different_texts_best_first(self):
        readings = BeamDecoder(TOKENS, BeamConfig(beam=64)).decode(spelled("ab ba", sure=0.6), most=10)
        assert len({one.text for one in readings}) == len(readings) == 10
        assert [one.score for one in readings] == sorted((one.score for one in readings), reverse=True)

    def test_without_knowledge_and_doubt_it_reads_as_the_greedy_one(self):
        heard = spelled("ab ba aab", sure=0.95)
        greedy = TOKENS.decode([token.id for token in read_greedily(heard)])
        assert BeamDecoder(TOKENS, BeamConfig(alpha=0, beta=0)).decode(heard)[0].text == greedy

    def test_the_same_twice_is_the_same(self):
        decoder = BeamDecoder(TOKENS, BeamConfig(), model=LM)
        heard = spelled("ab ba", sure=0.5)
        assert decoder.decode(heard, most=20) == decoder.decode(heard, most=20)

    @pytest.mark.parametrize("bad", [{"beam": 0}, {"beam": 10_000}, {"alpha": -1.0}, {"beta": math.nan}])
    def test_settings_that_make_no_sense(self, bad):
        with pytest.raises(ConfigError) as caught:
            BeamConfig(**bad)
        assert caught.value.code == "beam.config"


class TestReadings:
    def readings(self):
        return BeamDecoder(TOKENS, BeamConfig(beam=64)).decode(spelled("ab ba", sure=0.7), most=20)

    def test_confidences_are_shares_of_the_readings(self):
        found = posteriors(self.readings())
        assert len(found) == 2
        assert all(0 < value <= 1 for value in found)
        sure = posteriors(BeamDecoder(TOKENS, BeamConfig()).decode(spelled("ab ba", sure=0.999), most=20))
        assert min(sure) > max(found)

    def test_no_words_no_confidences(self):
        assert posteriors(BeamDecoder(TOKENS, BeamConfig()).decode(np.zeros((0, 5)))) == []

    def test_another_opinion_changes_the_order(self):
        readings = self.readings()
        wanted = readings[3].text
        changed = rescored(readings, lambda text: 1000.0 if text == wanted else 0.0)
        assert changed[0].text == wanted
        assert {one.text for one in changed} == {one.text for one in readings}

    def test_rescoring_with_a_longer_language_model(self):
        longer = NgramModel.train(["bb aa"] * 9, 3)
        changed = rescored(self.readings(), lambda text: 50 * longer.score(text))
        scores = [longer.score(one.text) for one in changed]
        assert scores[0] == max(scores)
