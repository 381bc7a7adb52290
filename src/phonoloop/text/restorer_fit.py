"""How evidence becomes scores: small perceptrons, learned so that the right readings of whole sentences
become probable (conditional likelihood of the lattice).

What a sentence itself adds to the counts is taken out before the model is trained on it: texts are cut into
blocks, and a block is trained on with the counts of everything else. So the perceptrons learn how far counts
can be trusted on text that was not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from phonoloop.text.restorer_batches import BLOCKS, blocks_of, by_length, cased_of, padded
from phonoloop.text.restorer_evidence import Evidence, count, position_of
from phonoloop.text.restorer_lattice import Lattice, Pairs, pairs_of, run
from phonoloop.text.restorer_layers import Adam, Perceptron, Weights
from phonoloop.text.restorer_words import MAX_FORMS, Sentence, Vocabulary, as_heard

_CASES = 3
_SIDE = 11


@dataclass(frozen=True)
class Scales:
    """Means and deviations that inputs are brought to 0 and 1 with, each (2, inputs)."""

    pair: np.ndarray
    form: np.ndarray
    side: np.ndarray

    @staticmethod
    def of(evidence: Evidence, vocabulary: Vocabulary) -> Scales:
        keys = evidence.pair_keys()
        pairs = evidence.pair_features(keys[:: max(1, len(keys) // 20_000)])
        forms = form_inputs(evidence, vocabulary).reshape(-1, 12)
        sides = evidence.side_features().reshape(-1, _SIDE)
        return Scales(*(np.stack([x.mean(0), x.std(0) + 0.1]) for x in (pairs, forms, sides)))


def scaled(inputs: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.clip((inputs - scale[0]) / scale[1], -6, 6)


@dataclass(frozen=True)
class Potentials:
    """Learned scores of pairs and of forms.

    Attributes:
        pair: 38 → 1, of a pair that was seen: `Evidence.pair_features` and the sides of both forms.
        unseen: 22 → 1, of one that no source has seen: the sides of both.
        form: 12 → 1, of `form_inputs`.
        case_weight: (2,) how much the case of the left and the right form of a pair counts.
    """

    pair: Perceptron
    unseen: Perceptron
    form: Perceptron
    case_weight: np.ndarray

    @staticmethod
    def start(seed: int) -> Potentials:
        """Such as say next to nothing yet."""
        rng = np.random.default_rng(seed)
        pair = Perceptron.new(rng, 16 + 2 * _SIDE, 48, 48, 1)
        unseen, form = Perceptron.new(rng, 2 * _SIDE, 32, 1), Perceptron.new(rng, 12, 32, 1)
        return Potentials(pair, unseen, form, np.full(2, 0.3, np.float32))

    def weights(self) -> Weights:
        """By name; the arrays are the potentials' own."""
        parts = {"pair": self.pair, "unseen": self.unseen, "form": self.form}
        named = {f"{name}{at}": w for name, part in parts.items() for at, w in enumerate(part.layers)}
        return named | {"case_weight": self.case_weight}

    def copy(self) -> Potentials:
        return Potentials.of({name: w.copy() for name, w in self.weights().items()})

    @staticmethod
    def of(weights: Weights) -> Potentials:
        """Those with these weights, as `weights` gives them."""
        parts = [
            Perceptron([weights[name] for name in sorted(weights) if name.startswith(part)])
            for part in ("pair", "unseen", "form")
        ]
        return Potentials(*parts, weights["case_weight"])


def form_inputs(evidence: Evidence, vocabulary: Vocabulary) -> np.ndarray:
    """(forms, 3, 12) for each form in each case: its features, its share among the forms of its key in
    each of them (log), and the case."""
    features = evidence.form_features()
    totals = np.zeros_like(features, np.float64)
    np.add.at(totals, vocabulary.keys, np.exp(features.astype(np.float64)))
    shares = features - np.log(totals[vocabulary.keys])
    both = np.concatenate([features, np.maximum(shares, -12)], 1)
    case = np.eye(_CASES)[:, 1:]
    rows = [np.concatenate([both, np.tile(one, (len(both), 1))], 1) for one in case]
    return np.stack(rows, 1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Held:
    """The evidence without a block, and what is computed from it once.

    Attributes:
        keys: (p,) sorted, of the pairs that were seen; features: (p, 16) of those; cases: (p, 2, 3).
        forms: (forms, 3, 12) `form_inputs`; sides: (2, forms, 11).
    """

    keys: np.ndarray
    features: np.ndarray
    cases: np.ndarray
    forms: np.ndarray
    sides: np.ndarray

    @staticmethod
    def of(evidence: Evidence, vocabulary: Vocabulary, scales: Scales) -> Held:
        forms = scaled(form_inputs(evidence, vocabulary), scales.form)
        sides = scaled(evidence.side_features(), scales.side)
        keys = evidence.pair_keys()
        features = scaled(evidence.pair_features(keys), scales.pair)
        return Held(keys, features, evidence.case_features(keys), forms, sides)

    def of_pairs(self, at: np.ndarray) -> np.ndarray:
        """(n, 38) the inputs of pairs, given where they stand among those that were seen."""
        return np.concatenate([self.features[at], both_sides(self.sides, self.keys[at])], 1)


def both_sides(sides: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """(n, 22) the sides (2, forms, 11) of pairs."""
    left, right = np.divmod(keys, sides.shape[1])
    return np.concatenate([sides[0, left], sides[1, right]], 1)


@dataclass(frozen=True, slots=True)
class Batch:
    """Sentences of one block as rows, ready to be trained on.

    Attributes:
        forms: (rows, columns) what is right; counts: how many candidates; gold: which of them it is.
        pairs: neighbouring candidates; seen: which of them some source has seen.
        of_seen: (s, 38) inputs of those; cased: (s, 2) what their case says.
        of_forms: (c, 12) of all candidates; at: their (row * columns + column) and number in a position.
        block: of which block of its text.
    """

    forms: np.ndarray
    counts: np.ndarray
    gold: np.ndarray
    pairs: Pairs
    seen: np.ndarray
    of_seen: np.ndarray
    cased: np.ndarray
    of_forms: np.ndarray
    at: tuple[np.ndarray, np.ndarray]
    sides: np.ndarray
    block: int


def batch_of(sentences: Sequence[Sentence], vocabulary: Vocabulary, held: Held, block: int) -> Batch:
    forms, case, candidates, counts = padded(sentences, vocabulary)
    pairs = pairs_of(candidates, counts, len(vocabulary))
    among = position_of(held.keys, pairs.keys)
    seen = among >= 0
    known = among[seen]
    cased = cased_of(held.cases[known], case, pairs.owner[seen])
    position, number = np.nonzero(np.arange(MAX_FORMS) < counts.reshape(-1, 1))
    chosen = candidates.reshape(-1, MAX_FORMS)[position, number]
    of_forms = held.forms[chosen, case.ravel()[position]]
    gold = (candidates == forms[..., None]).argmax(2)
    at = position, number
    of_seen = held.of_pairs(known)
    return Batch(forms, counts, gold, pairs, seen, of_seen, cased, of_forms, at, held.sides, block)


def batches(
    source: int, sentences: Sequence[Sentence], evidence: Evidence, vocabulary: Vocabulary, scales: Scales
) -> Iterator[Batch]:
    """A text that was counted in a source, in blocks, each with the evidence of everything else; as
    written, and as a recogniser writes."""
    for number, block in enumerate(blocks_of(sentences)):
        held = Held.of(evidence.without(source, count(block, len(vocabulary))), vocabulary, scales)
        heard = [sentence for sentence in map(as_heard, block) if len(sentence.forms)]
        for group in (*by_length(block), *by_length(heard)):
            yield batch_of(group, vocabulary, held, number)


@dataclass(frozen=True, slots=True)
class Scored:
    """What potentials say of a batch; the values of the perceptrons' layers are kept for their gradients."""

    pair: list[np.ndarray]
    unseen: list[np.ndarray]
    form: list[np.ndarray]
    emissions: np.ndarray
    scores: np.ndarray

    @staticmethod
    def of(potentials: Potentials, batch: Batch) -> Scored:
        pair = potentials.pair.forward(batch.of_seen)
        unseen = potentials.unseen.forward(both_sides(batch.sides, batch.pairs.keys[~batch.seen]))
        form = potentials.form.forward(batch.of_forms)
        emissions = np.full((*batch.counts.shape, MAX_FORMS), -1e4, np.float32)
        emissions.reshape(-1, MAX_FORMS)[batch.at] = form[-1][:, 0]
        scores = np.empty(len(batch.seen), np.float32)
        scores[batch.seen] = pair[-1][:, 0] + batch.cased @ potentials.case_weight
        scores[~batch.seen] = unseen[-1][:, 0]
        return Scored(pair, unseen, form, emissions, scores)


def lattice_of(members: Sequence[Potentials], batch: Batch) -> Lattice:
    """What several potentials, their scores averaged, say of a batch."""
    all_scored = [Scored.of(member, batch) for member in members]
    emissions = sum(one.emissions for one in all_scored) / len(all_scored)
    scores = sum(one.scores for one in all_scored) / len(all_scored)
    return run(emissions, batch.counts, batch.pairs, scores)


def loss_and_gradients(potentials: Potentials, batch: Batch) -> tuple[float, Weights, int]:
    """Negative log likelihood of a batch in nats, the gradients of its mean, how many positions it has."""
    said = Scored.of(potentials, batch)
    lattice = run(said.emissions, batch.counts, batch.pairs, said.scores)
    right, (position, number), pairs = batch.gold.ravel(), batch.at, batch.pairs
    is_gold = number == right[position]
    pair_gold = (pairs.left == right[pairs.owner - 1]) & (pairs.right == right[pairs.owner])
    loss = float(lattice.log_z.sum() - said.form[-1][is_gold].sum() - said.scores[pair_gold].sum())
    many = batch.counts.size
    by_form = (lattice.marginals.reshape(-1, MAX_FORMS)[position, number] - is_gold) / many
    by_pair = ((lattice.pair_marginals(pairs) - pair_gold) / many).astype(np.float32)
    by_layer = {
        "pair": potentials.pair.backward(said.pair, by_pair[batch.seen, None]),
        "unseen": potentials.unseen.backward(said.unseen, by_pair[~batch.seen, None]),
        "form": potentials.form.backward(said.form, by_form.astype(np.float32)[:, None]),
    }
    gradients = {f"{name}{at}": g for name, layers in by_layer.items() for at, g in enumerate(layers)}
    return loss, gradients | {"case_weight": by_pair[batch.seen] @ batch.cased}, many


def fit(
    prepared: Sequence[Batch],
    *,
    epochs: int,
    rate: float,
    seed: int,
    begin: Potentials | None = None,
    on_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
) -> Potentials:
    """Trained potentials; `begin` stays as it is."""
    potentials, rng = begin.copy() if begin else Potentials.start(seed), np.random.default_rng(seed)
    adam = Adam(potentials.weights(), rate=rate, steps=epochs * len(prepared))
    for epoch in range(epochs):
        total, many = 0.0, 0
        for at in rng.permutation(len(prepared)):
            loss, gradients, positions = loss_and_gradients(potentials, prepared[at])
            adam.step(gradients)
            total, many = total + loss, many + positions
        on_epoch(epoch, total / many)
    return potentials


__all__ = ["BLOCKS", "Batch", "Held", "Potentials", "Scales", "batches", "fit", "lattice_of"]
