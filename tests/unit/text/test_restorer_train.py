"""A restorer trained on a few sentences: it learns what they say, and says how sure it is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from phonoloop.core.errors import InputError
from phonoloop.text.restorer import Restorer
from phonoloop.text.restorer_batches import blocks_of, by_length
from phonoloop.text.restorer_calibrate import expected_calibration_error
from phonoloop.text.restorer_evidence import NEAR, Counts, count, from_stored, look_up, stored
from phonoloop.text.restorer_fit import Potentials, Scales, batches, loss_and_gradients
from phonoloop.text.restorer_lattice import pairs_of, run
from phonoloop.text.restorer_measure import kept, rate, restored
from phonoloop.text.restorer_model import to_bytes
from phonoloop.text.restorer_train import Texts, adapt, evidence_of, train, vocabulary_of
from phonoloop.text.restorer_words import MAX_FORMS, Vocabulary, sentence_of, tokens_of

WHO = ("tôi", "cô ấy", "chúng tôi", "ông Nam", "bà Hạnh")
WHAT = ("đi học", "ăn cơm", "đọc báo", "nấu ăn", "uống nước", "đi chợ", "tưới cây")
WHERE = ("ở nhà", "ở Hà Nội", "trên phố", "trong vườn")
SENTENCES = [f"{a} {b} {c}." for a, b, c in itertools.product(WHO, WHAT, WHERE)]


@pytest.fixture(scope="module")
def texts() -> Texts:
    order = np.random.default_rng(0).permutation(len(SENTENCES))
    return Texts(near=[SENTENCES[at] for at in order], web=["đi học", "ăn cơm", "có ????", "Hà Nội"])


@pytest.fixture(scope="module")
def trained(texts) -> Restorer:
    return Restorer(train(texts, metadata={"name": "toy"}, epochs=4))


class TestTraining:
    def test_it_restores_what_it_saw(self, trained):
        syllables, wrong = rate(restored(trained, SENTENCES))
        assert wrong / syllables < 0.02

    def test_it_leaves_correct_text_alone(self, trained):
        assert rate(kept(trained, SENTENCES))[1] == 0

    def test_twice_the_same_bytes(self, texts, trained):
        again = train(texts, metadata={"name": "toy"}, epochs=4)
        assert to_bytes(again) == to_bytes(trained.model)

    def test_too_little_text(self):
        with pytest.raises(InputError) as error:
            train(Texts(near=["một câu"]), metadata={})
        assert error.value.code == "restorer.no_text"

    def test_gradients_are_those_of_the_loss(self, texts):
        vocabulary = vocabulary_of(texts)
        near = [sentence_of(line, vocabulary) for line in texts.near]
        evidence = evidence_of(texts, vocabulary, near=near, general=[])
        potentials = Potentials.start(1)
        batch = next(batches(NEAR, near, evidence, vocabulary, Scales.of(evidence, vocabulary)))
        _, gradients, many = loss_and_gradients(potentials, batch)
        for name, weights in potentials.weights().items():
            at = np.unravel_index(np.abs(gradients[name]).argmax(), weights.shape)
            losses = []
            for step in (1e-2, -1e-2):
                weights[at] += step
                losses.append(loss_and_gradients(potentials, batch)[0])
                weights[at] -= step
            slope = (losses[0] - losses[1]) / 2e-2 / many
            assert slope == pytest.approx(gradients[name][at], rel=0.05, abs=1e-4)


class TestAdapting:
    def test_new_words_and_pairs_are_learnt(self, trained):
        lines = ["thằng Tèo bắt dế trong vườn", "con Tèo thả diều ở đồng"] * 6
        before, after = trained, Restorer(adapt(trained.model, lines, {"name": "mine"}))
        assert rate(restored(after, lines))[1] < rate(restored(before, lines))[1]

    def test_the_old_model_stays_as_it_was(self, trained):
        before = to_bytes(trained.model)
        adapt(trained.model, ["thằng Tèo bắt dế"], {})
        assert to_bytes(trained.model) == before

    def test_what_it_knew_it_still_knows(self, trained):
        after = Restorer(adapt(trained.model, ["thằng Tèo bắt dế"] * 5, {}))
        syllables, wrong = rate(restored(after, SENTENCES))
        assert wrong / syllables < 0.03


class TestLattice:
    def test_its_sums_are_those_over_all_readings(self):
        rng = np.random.default_rng(0)
        counts = np.array([[1, 2, 3, 1]])
        candidates = np.zeros((1, 4, MAX_FORMS), np.int32)
        for at in range(4):
            candidates[0, at, : counts[0, at]] = at * 5 + np.arange(counts[0, at])
        emissions = rng.normal(size=(1, 4, MAX_FORMS))
        pairs = pairs_of(candidates, counts, 50)
        scores = rng.normal(size=len(pairs.keys))
        lattice = run(emissions, counts, pairs, scores)
        of = {(o, a, b): s for o, a, b, s in zip(pairs.owner, pairs.left, pairs.right, scores, strict=True)}
        total, middle = 0.0, np.zeros(3)
        for reading in itertools.product(*(range(n) for n in counts[0])):
            score = sum(emissions[0, at, c] for at, c in enumerate(reading))
            score += sum(of[at, reading[at - 1], reading[at]] for at in range(1, 4))
            total += np.exp(score)
            middle[reading[2]] += np.exp(score)
        assert lattice.log_z[0] == pytest.approx(np.log(total), rel=1e-4)
        assert lattice.marginals[0, 2, :3] == pytest.approx(middle / total, rel=1e-3)


class TestCounts:
    def test_pairs_of_sentences_with_their_borders(self):
        vocabulary = Vocabulary.of(["đi", "học"])
        counts = count([sentence_of("đi học", vocabulary)] * 3, len(vocabulary))
        size, a, b = len(vocabulary), vocabulary.ids["đi"], vocabulary.ids["học"]
        assert counts.of(np.array([a, a * size + b, b * size, b * size + a])).tolist() == [3, 3, 3, 0]

    def test_what_is_taken_out_is_gone(self):
        vocabulary = Vocabulary.of(["đi", "học"])
        one = count([sentence_of("đi học", vocabulary)], len(vocabulary))
        left = one.plus(one, -1.0)
        assert isinstance(left, Counts)
        assert len(left.keys) == 0

    def test_a_look_up_in_nothing(self):
        assert look_up(np.zeros(0, np.int64), np.zeros(0), np.array([1, 2])).tolist() == [0, 0]

    def test_stored_counts_are_near_the_real_ones(self):
        values = np.array([0, 1, 2, 10, 1_000, 60_000], np.float32)
        assert from_stored(stored(values)) == pytest.approx(values, rel=0.05)
        assert from_stored(stored(values))[0] == 0


class TestWords:
    def test_places_are_those_of_the_text(self):
        text = "Tôi  đi, 2 lần!"
        assert [text[t.start : t.end] for t in tokens_of(text)] == ["Tôi", "đi", ",", "2", "lần", "!"]

    def test_decomposed_words_are_one_token(self):
        assert [t.form for t in tokens_of("tie\u0302\u0301ng")] == ["tiếng"]

    def test_addresses_are_no_words_to_restore(self):
        kinds = [t.special for t in tokens_of("www.ha-noi.vn a@b.vn mp3 don't")]
        assert -1 not in kinds

    def test_neighbours_stay_in_one_block(self):
        vocabulary = Vocabulary.of(["đi"])
        sentences = [sentence_of("đi " * n, vocabulary) for n in range(1, 26)]
        blocks = blocks_of(sentences)
        assert [s for block in blocks for s in block] == sentences
        assert sum(len(group) for group in by_length(sentences)) == 25


def test_a_calibration_that_is_off_by_a_tenth_is_called_so():
    says = np.full(1_000, 0.9)
    right = np.arange(1_000) % 10 < 8
    assert expected_calibration_error(says, right) == pytest.approx(0.1, abs=0.03)
