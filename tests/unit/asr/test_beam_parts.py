"""Where words are, how sure they are, and which words are expected."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonoloop.asr.align import align_tokens
from phonoloop.asr.calibration import Calibration, fit, outcomes, read_calibration, reliability
from phonoloop.asr.decode import read_greedily
from phonoloop.asr.hotwords import DEFAULT_WEIGHT, HotWord, HotWordAutomaton, parse_hot_word
from phonoloop.core.errors import InputError, IntegrityError
from phonoloop.core.speech import Word


def heard(weights) -> np.ndarray:
    weights = np.array(weights, float)
    return np.log(weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


class TestAlignment:
    @given(st.data())
    @settings(max_examples=40, deadline=None)
    def test_it_is_the_most_probable_path(self, data):
        frames = data.draw(st.integers(1, 5))
        weights = data.draw(
            st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=frames, max_size=frames)
        )
        tokens = data.draw(st.lists(st.integers(1, 2), min_size=1, max_size=3))
        log_probs = heard(weights)
        paths = [
            path
            for path in itertools.product(range(3), repeat=frames)
            if [token for token, _ in itertools.groupby(path) if token] == tokens
        ]
        if not paths:
            with pytest.raises(InputError) as caught:
                align_tokens(log_probs, tokens)
            assert caught.value.code == "align.too_long"
            return
        best = max(sum(float(log_probs[t, token]) for t, token in enumerate(path)) for path in paths)
        aligned = align_tokens(log_probs, tokens, frame_ms=1)
        path = [next((t.id for t in aligned if t.start_ms <= at < t.end_ms), 0) for at in range(frames)]
        assert sum(float(log_probs[t, token]) for t, token in enumerate(path)) == pytest.approx(
            best, abs=1e-4
        )

    def test_the_greedy_text_is_where_the_greedy_reader_has_it(self):
        rng = np.random.default_rng(0)
        log_probs = heard(rng.random((40, 4)) ** 4)
        tokens = read_greedily(log_probs, start_ms=80)
        aligned = align_tokens(log_probs, [token.id for token in tokens], start_ms=80)
        assert [(t.id, t.start_ms, t.end_ms) for t in aligned] == [
            (t.id, t.start_ms, t.end_ms) for t in tokens
        ]
        assert [t.confidence for t in aligned] == pytest.approx([t.confidence for t in tokens])

    def test_no_tokens(self):
        assert align_tokens(np.zeros((0, 4), np.float32), []) == []
        with pytest.raises(InputError):
            align_tokens(np.zeros((0, 4), np.float32), [1])


class TestCalibration:
    def made_up(self, n=4000, seed=0):
        """Confidences that are too high: p(right) is their square."""
        rng = np.random.default_rng(seed)
        confidence = rng.uniform(0.05, 0.999, n)
        return [(float(c), bool(rng.random() < c * c)) for c in confidence]

    def test_it_mends_confidences_of_other_words(self):
        found = fit(self.made_up())
        before = reliability(self.made_up(seed=1), calibrated=False)
        after = reliability([(found(c), r) for c, r in self.made_up(seed=1)], calibrated=True)
        assert before.ece > 0.12
        assert after.ece < 0.04

    @given(st.floats(0, 1), st.floats(0, 1))
    def test_surer_words_stay_surer(self, one, other):
        found = Calibration(0.7, -1.2, 500)
        assert (found(one) <= found(other)) == (one <= other) or abs(one - other) < 1e-3
        assert 0 < found(one) < 1

    def test_too_few_words_or_confidences_that_mean_nothing_give_none(self):
        assert fit(self.made_up()[:99]) is None
        assert fit([(1 - c, right) for c, right in self.made_up()]) is None

    def test_all_right_is_no_reason_to_be_certain(self):
        found = fit([(0.99, True)] * 200)
        assert 0.97 < found(0.99) < 0.9999

    def test_the_error_by_hand(self):
        """Two bins: 0.9 where one of two is right, 0.25 where none of two is."""
        found = reliability([(0.9, True), (0.9, False), (0.25, False), (0.25, False)], calibrated=False)
        assert found.ece == pytest.approx(0.5 * 0.4 + 0.5 * 0.25)
        assert [(part.low, part.words, part.right) for part in found.bins] == [(0.2, 2, 0.0), (0.9, 2, 0.5)]
        assert reliability([], calibrated=False) is None
        assert reliability([(1.0, True)], calibrated=True).ece == 0.0

    def test_words_are_right_or_wrong_in_the_scoring_form(self):
        said = [Word(text, 0, 1, 0.9) for text in ("Bật", "đèn,", "phòng", "tắm")]
        assert [right for _, right in outcomes("bật đèn phòng ngủ", said)] == [True, True, True, False]
        assert outcomes("bật đèn", [Word("bật", 0, 1, None), Word("đèn", 0, 1, 0.5)]) == [(0.5, True)]
        assert outcomes("", [Word("à", 0, 1, 0.4)]) == [(0.4, False)]

    @pytest.mark.parametrize(
        "content", ["{", "[]", "{}", '{"slope": -1, "intercept": 0, "words": 1, "measured_on": ""}']
    )
    def test_damage_is_named(self, tmp_path, content):
        (tmp_path / "c.json").write_text(content)
        with pytest.raises(IntegrityError) as caught:
            read_calibration(tmp_path / "c.json")
        assert caught.value.code == "calibration.damaged"

    def test_it_is_kept_as_json(self, tmp_path):
        known = Calibration(0.7, -1.2, 500, "100 utterances")
        (tmp_path / "c.json").write_text(json.dumps(known.to_dict()))
        assert read_calibration(tmp_path / "c.json") == known


class TestHotWordParsing:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Đà Nẵng", HotWord("đà nẵng", DEFAULT_WEIGHT)),
            ("  đà   nẵng :8", HotWord("đà nẵng", 8.0)),
            ("a:-2.5", HotWord("a", -2.5)),
            ("\u0110a\u0300 N\u0103\u0303ng", HotWord("đà nẵng", DEFAULT_WEIGHT)),
            ("hoà", HotWord("hòa", DEFAULT_WEIGHT)),
        ],
    )
    def test_words_and_weights(self, text, expected):
        assert parse_hot_word(text) == expected

    @pytest.mark.parametrize("text", ["", ":3", "a:", "a:b", "a:nan", "a:1e9", " "])
    def test_what_is_none(self, text):
        with pytest.raises(InputError) as caught:
            parse_hot_word(text)
        assert caught.value.code == "hotword.invalid"


class TestAutomaton:
    @given(
        st.lists(
            st.text("ab ", min_size=1, max_size=5).map(str.strip).filter(bool),
            min_size=1,
            max_size=4,
            unique=True,
        ),
        st.text("ab ", max_size=14),
    )
    @settings(max_examples=150, deadline=None)
    def test_it_earns_what_a_plain_search_counts(self, phrases, text):
        phrases = sorted({" ".join(phrase.split()) for phrase in phrases})
        hot = HotWordAutomaton([HotWord(phrase, 1.0) for phrase in phrases])
        text = " ".join(text.split())
        state, earned = hot.begin, 0.0
        for letter in f"{text} ":
            state, more = hot.step(state, letter)
            earned += more
        padded = f" {text} "
        counted = sum(padded.startswith(f" {p} ", at) for p in phrases for at in range(len(padded)))
        assert earned == counted

    def test_what_has_begun_earns_its_share(self):
        hot = HotWordAutomaton([HotWord("abc", 4.0)])
        state, shares = hot.begin, []
        for letter in "abcx":
            state, _ = hot.step(state, letter)
            shares.append(hot.begun(state))
        assert shares == [1.0, 2.0, 3.0, 0.0]
