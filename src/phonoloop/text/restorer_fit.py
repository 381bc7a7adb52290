"""How evidence becomes scores: two small perceptrons, learned so that the right readings of whole sentences
become probable (conditional likelihood of the lattice).

What a sentence itself adds to the counts is taken out before the model is trained on it: texts are cut into
blocks, and a block is trained on with the counts of everything else. So the perceptrons learn how far counts
can be trusted on text that was not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from phonoloop.text.restorer_evidence import Evidence, count, look_up
from phonoloop.text.restorer_lattice import Lattice, Pairs, pairs_of, run
from phonoloop.text.restorer_layers import Adam, Perceptron, Weights
from phonoloop.text.restorer_words import BORDER, MAX_FORMS, Sentence, Vocabulary, as_heard

#: a text is cut into this many blocks, each trained on with the counts of the others
BLOCKS = 10
_CASES = 3


@dataclass(frozen=True)
class Potentials:
    """Learned scores of pairs and of forms.

    Attributes:
        pair: 20 → 1, of `Evidence.pair_features`; form: 14 → 1, of `form_inputs`.
        pair_scale, form_scale: (2, inputs) means and deviations that inputs are brought to 0 and 1 with.
        case_weight: (2,) how much the case of the left and the right form of a pair counts.
    """

    pair: Perceptron
    form: Perceptron
    pair_scale: np.ndarray
    form_scale: np.ndarray
    case_weight: np.ndarray

    def weights(self) -> Weights:
        """By name; the arrays are the potentials' own."""
        named = {f"pair{at}": layer for at, layer in enumerate(self.pair.layers)}
        return (
            named
            | {f"form{at}": layer for at, layer in enumerate(self.form.layers)}
            | {"case_weight": self.case_weight}
        )

    def copy(self) -> Potentials:
        """The same with weights of its own."""
        pair = Perceptron([layer.copy() for layer in self.pair.layers])
        form = Perceptron([layer.copy() for layer in self.form.layers])
        return replace(self, pair=pair, form=form, case_weight=self.case_weight.copy())

    def lattice(self, batch: Batch) -> Lattice:
        """What the potentials say of a batch."""
        return _scored(batch, self.form(batch.inputs)[:, 0], self.of_pairs(batch, self.pair(batch.features)))[
            0
        ]

    def of_pairs(self, batch: Batch, of_counts: np.ndarray) -> np.ndarray:
        """(s,) the scores of a batch's pairs that were seen, given what `pair` says (s, 1)."""
        return of_counts[:, 0] + batch.cased @ self.case_weight

    def pair_scores(self, evidence: Evidence, keys: np.ndarray) -> np.ndarray:
        """(n,) scores of pairs that some source has seen."""
        parts = [keys[at : at + 32_768] for at in range(0, len(keys), 32_768)]
        scores = [self.pair(self.scaled_pairs(evidence.pair_features(part)))[:, 0] for part in parts]
        return np.concatenate(scores or [np.zeros(0, np.float32)])

    def scaled_pairs(self, features: np.ndarray) -> np.ndarray:
        return (features - self.pair_scale[0]) / self.pair_scale[1]

    def form_scores(self, evidence: Evidence, vocabulary: Vocabulary) -> np.ndarray:
        """(forms, 3) the emission of each form in each case."""
        inputs = (form_inputs(evidence, vocabulary) - self.form_scale[0]) / self.form_scale[1]
        flat = self.form(inputs.reshape(-1, inputs.shape[-1]))
        return flat.reshape(len(vocabulary), _CASES)


def form_inputs(evidence: Evidence, vocabulary: Vocabulary) -> np.ndarray:
    """(forms, 3, 14) for each form in each case: its features, its share among the forms of its key in
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
class Batch:
    """Sentences of one block as rows, ready to be trained on.

    Attributes:
        forms: (rows, columns) what is right; gold: (rows, columns) which candidate that is.
        pairs: neighbouring candidates; seen: which of them some source has seen; features, cased: of those.
        inputs: (c, 14) of all candidates; of: their (row * columns + column) and number in a position.
    """

    forms: np.ndarray
    case: np.ndarray
    candidates: np.ndarray
    counts: np.ndarray
    gold: np.ndarray
    pairs: Pairs
    seen: np.ndarray
    features: np.ndarray
    cased: np.ndarray
    inputs: np.ndarray
    of: tuple[np.ndarray, np.ndarray]
    block: int


def padded(
    sentences: Sequence[Sentence], vocabulary: Vocabulary
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows with a border before and after: forms, case, candidates and how many of them."""
    columns = max(len(sentence.forms) for sentence in sentences) + 2
    forms = np.full((len(sentences), columns), BORDER, np.int32)
    case = np.zeros((len(sentences), columns), np.int8)
    for row, sentence in enumerate(sentences):
        forms[row, 1 : len(sentence.forms) + 1] = sentence.forms
        case[row, 1 : len(sentence.forms) + 1] = sentence.case
    rows, many = vocabulary.candidates
    keys = vocabulary.keys[forms]
    return forms, case, rows[keys], many[keys]


def batch_of(sentences: Sequence[Sentence], vocabulary: Vocabulary, held: Held, block: int) -> Batch:
    forms, case, candidates, counts = padded(sentences, vocabulary)
    pairs = pairs_of(candidates, counts, len(vocabulary))
    seen = look_up(held.keys, np.ones(len(held.keys)), pairs.keys) > 0
    features = held.potentials.scaled_pairs(held.evidence.pair_features(pairs.keys[seen]))
    cased = cased_of(held.evidence.case_features(pairs.keys[seen]), case, pairs.owner[seen])
    there = np.arange(MAX_FORMS) < counts[..., None]
    position, number = np.nonzero(there.reshape(-1, MAX_FORMS))
    chosen = candidates.reshape(-1, MAX_FORMS)[position, number]
    inputs = held.inputs[chosen, case.ravel()[position]]
    gold = (candidates == forms[..., None]).argmax(2)
    return Batch(
        forms, case, candidates, counts, gold, pairs, seen, features, cased, inputs, (position, number), block
    )


def cased_of(features: np.ndarray, case: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """(n, 2) of case features (n, 2, 3) those of the case that the left and the right place have."""
    at, flat = np.arange(len(owner)), case.ravel()
    return np.stack([features[at, 0, flat[owner - 1]], features[at, 1, flat[owner]]], 1)


@dataclass(frozen=True, slots=True)
class Held:
    """The evidence without a block, and what is computed from it once."""

    evidence: Evidence
    keys: np.ndarray
    inputs: np.ndarray
    potentials: Potentials

    @staticmethod
    def of(evidence: Evidence, vocabulary: Vocabulary, potentials: Potentials) -> Held:
        inputs = form_inputs(evidence, vocabulary)
        scaled = (inputs - potentials.form_scale[0]) / potentials.form_scale[1]
        return Held(evidence, evidence.pair_keys(), scaled, potentials)


def start(evidence: Evidence, vocabulary: Vocabulary, *, seed: int) -> Potentials:
    """Potentials that say nothing yet, with the scales of this evidence."""
    rng = np.random.default_rng(seed)
    keys = evidence.pair_keys()
    features = evidence.pair_features(keys[:: max(1, len(keys) // 20_000)])
    inputs = form_inputs(evidence, vocabulary).reshape(-1, 14)
    return Potentials(
        Perceptron.new(rng, features.shape[1], 48, 48, 1),
        Perceptron.new(rng, inputs.shape[1], 32, 1),
        np.stack([features.mean(0), features.std(0) + 1e-3]),
        np.stack([inputs.mean(0), inputs.std(0) + 1e-3]),
        np.full(2, 0.3, np.float32),
    )


@dataclass(frozen=True, slots=True)
class TextOf:
    """Sentences to train on that were counted in one source."""

    source: int
    sentences: Sequence[Sentence]


def batches(
    texts: Sequence[TextOf], evidence: Evidence, vocabulary: Vocabulary, potentials: Potentials
) -> Iterator[Batch]:
    """All texts in blocks, each with the evidence of the others; as written, and as a recogniser writes."""
    for text in texts:
        for number, block in enumerate(blocks_of(text.sentences)):
            without = evidence.without(text.source, count(block, len(vocabulary)))
            held = Held.of(without, vocabulary, potentials)
            heard = [sentence for sentence in map(as_heard, block) if len(sentence.forms)]
            for group in (*by_length(block), *by_length(heard)):
                yield batch_of(group, vocabulary, held, number)


def blocks_of(sentences: Sequence[Sentence], blocks: int = BLOCKS) -> list[list[Sentence]]:
    """Consecutive parts: neighbours tell of the same thing and stay together."""
    marks = [len(sentences) * at // blocks for at in range(blocks + 1)]
    parts = [list(sentences[a:b]) for a, b in pairwise(marks)]
    return [part for part in parts if part]


def by_length(sentences: Sequence[Sentence], tokens: int = 1_000) -> list[list[Sentence]]:
    """Groups of similar length, of about so many tokens with padding."""
    groups: list[list[Sentence]] = []
    for sentence in sorted(sentences, key=lambda s: len(s.forms)):
        if not groups or (len(groups[-1]) + 1) * (len(sentence.forms) + 2) > tokens:
            groups.append([])
        groups[-1].append(sentence)
    return groups


def loss_and_gradients(potentials: Potentials, batch: Batch) -> tuple[float, Weights, int]:
    """Negative log likelihood of a batch in nats, its gradients, and how many positions it has."""
    form_values = potentials.form.forward(batch.inputs)
    pair_values = potentials.pair.forward(batch.features)
    said = form_values[-1][:, 0]
    lattice, scores = _scored(batch, said, potentials.of_pairs(batch, pair_values[-1]))
    position, number = batch.of
    right = batch.gold.ravel()
    is_gold = number == right[position]
    pair_gold = (batch.pairs.left == right[batch.pairs.owner - 1]) & (
        batch.pairs.right == right[batch.pairs.owner]
    )
    loss = float(lattice.log_z.sum() - said[is_gold].sum() - scores[pair_gold].sum())
    many = batch.counts.size
    by_form = ((lattice.marginals.reshape(-1, MAX_FORMS)[position, number] - is_gold) / many).astype(
        np.float32
    )
    by_pair = ((lattice.pair_marginals(batch.pairs) - pair_gold)[batch.seen] / many).astype(np.float32)
    gradients = {
        f"pair{at}": g for at, g in enumerate(potentials.pair.backward(pair_values, by_pair[:, None]))
    }
    gradients |= {
        f"form{at}": g for at, g in enumerate(potentials.form.backward(form_values, by_form[:, None]))
    }
    gradients["case_weight"] = by_pair @ batch.cased
    return loss, gradients, many


def _scored(batch: Batch, of_forms: np.ndarray, of_pairs: np.ndarray) -> tuple[Lattice, np.ndarray]:
    """The lattice with these scores, and the scores of all pairs."""
    emissions = np.full((*batch.counts.shape, MAX_FORMS), -1e4, np.float32)
    emissions.reshape(-1, MAX_FORMS)[batch.of] = of_forms
    scores = np.zeros(len(batch.seen), np.float32)
    scores[batch.seen] = of_pairs
    return run(emissions, batch.counts, batch.pairs, scores), scores


def fit(
    potentials: Potentials,
    prepared: Sequence[Batch],
    *,
    epochs: int,
    rate: float,
    seed: int,
    on_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
) -> None:
    """Trains the potentials in place."""
    rng = np.random.default_rng(seed)
    adam = Adam(potentials.weights(), rate=rate, steps=epochs * len(prepared))
    for epoch in range(epochs):
        total, many = 0.0, 0
        for at in rng.permutation(len(prepared)):
            loss, gradients, positions = loss_and_gradients(potentials, prepared[at])
            adam.step(gradients)
            total, many = total + loss, many + positions
        on_epoch(epoch, total / many)
