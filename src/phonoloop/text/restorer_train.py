"""Trains a restorer from texts with marks, and adapts one to a user's own texts. Numpy only, no network.

Correct text is all that is needed: what is to be learned is the text, what it is learned from is the text
without its marks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from phonoloop.core.errors import InputError
from phonoloop.text.restorer_calibrate import calibration
from phonoloop.text.restorer_evidence import (
    GENERAL,
    NEAR,
    Evidence,
    count,
    pairs_by_rank,
    sentences_of,
)
from phonoloop.text.restorer_fit import BLOCKS, Batch, Potentials, Scales, batches, fit
from phonoloop.text.restorer_model import RestorerModel, build
from phonoloop.text.restorer_words import Sentence, Vocabulary, counted_forms, form_of, key_of
from phonoloop.text.syllables import parse

Progress = Callable[[float, str], None]
#: forms that are no syllable (abbreviations with Đ, `ôtô`) are kept from so many occurrences on
_LEAST_OF_OTHERS, _LEAST_OF_OTHERS_FORMAL = 2, 20
#: in statutes a form seen once is as often a misprint
_LEAST_FORMAL = 2
_EPOCHS, _RATE = 6, 4e-3
#: so many networks are trained from other beginnings, and averaged
_MEMBERS = 3
#: with fewer sentences a user's texts are counted and nothing is learned further
_LEAST_TO_TUNE, _TUNING_EPOCHS, _TUNING_RATE = 200, 2, 1e-3
#: what is like the text that is to be restored is seen so many times more often in training
_NEAR_TIMES = 4


def _silent(share: float, words: str) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Texts:
    """What a restorer is trained on: lines of correct text by source (see `restorer_evidence`).

    Attributes:
        web: word pairs, most frequent first.
    """

    near: Sequence[str]
    general: Sequence[str] = ()
    formal: Sequence[str] = ()
    web: Sequence[str] = ()


def train(
    texts: Texts,
    *,
    metadata: Mapping[str, Any],
    epochs: int = _EPOCHS,
    on_progress: Progress = _silent,
) -> RestorerModel:
    """A model from scratch: the same for the same texts and version of numpy.

    Raises:
        InputError: `restorer.no_text`, where there is nothing to learn from.
    """
    vocabulary = vocabulary_of(texts)
    near = sentences_of(texts.near, vocabulary)
    if len(near) < BLOCKS:
        raise InputError(
            f"{len(near)} sentences are too few to train a restorer on",
            code="restorer.no_text",
            hint=f"give at least {BLOCKS} lines of Vietnamese with its marks",
        )
    on_progress(0.1, "counting")
    general = sentences_of(texts.general, vocabulary)
    evidence = evidence_of(texts, vocabulary, near=near, general=general)
    scales = Scales.of(evidence, vocabulary)
    on_progress(0.3, "preparing")
    of_near = list(batches(NEAR, near, evidence, vocabulary, scales))
    of_general = list(batches(GENERAL, general, evidence, vocabulary, scales))
    prepared = of_near * _NEAR_TIMES + of_general
    members = [
        _fitted(prepared, seed=seed, epochs=epochs, on_progress=_told(on_progress, seed))
        for seed in range(_MEMBERS)
    ]
    on_progress(0.9, "calibrating")
    slope, offset = _calibrated(of_near, of_general, epochs=epochs)
    decision = {**metadata.get("decision", {}), "slope": slope, "offset": offset}
    return build(vocabulary, evidence, members, scales, {**metadata, "decision": decision})


def vocabulary_of(texts: Texts) -> Vocabulary:
    """Every syllable that any source holds, and other words with marks that are frequent."""
    counts = Counter(counted_forms((*texts.near, *texts.general)))
    formal = Counter(counted_forms(texts.formal))
    listed = {form_of(word) for pair in texts.web for word in pair.split(" ") if word.isalpha()}
    syllables = set(counts) | listed | {form for form, often in formal.items() if often >= _LEAST_FORMAL}
    known = {form for form in syllables if parse(form)}
    others = {form for form, often in counts.items() if often >= _LEAST_OF_OTHERS}
    others |= {form for form, often in formal.items() if often >= _LEAST_OF_OTHERS_FORMAL}
    return Vocabulary.of(known | {form for form in others if key_of(form) != form})


def evidence_of(
    texts: Texts, vocabulary: Vocabulary, *, near: Sequence[Sentence], general: Sequence[Sentence]
) -> Evidence:
    size = len(vocabulary)
    web = pairs_by_rank(texts.web, vocabulary)
    formal = count(sentences_of(texts.formal, vocabulary), size)
    return Evidence((web, formal, count(general, size), count(near, size)), vocabulary.keys)


def _fitted(prepared: Sequence[Batch], *, seed: int, epochs: int, on_progress: Progress) -> Potentials:
    def tell(epoch: int, loss: float) -> None:
        on_progress((epoch + 1) / epochs, f"round {epoch + 1}: {loss:.4f} nats a word")

    return fit(prepared, epochs=epochs, rate=_RATE, seed=seed, on_epoch=tell)


def _told(on_progress: Progress, member: int) -> Progress:
    """What one of the members says, as a part of the whole."""
    return lambda share, words: on_progress(
        0.3 + 0.6 * (member + share) / _MEMBERS, f"network {member + 1} of {_MEMBERS}, {words}"
    )


def _calibrated(near: Sequence[Batch], general: Sequence[Batch], *, epochs: int) -> tuple[float, float]:
    """Slope and offset, from what a model says of blocks it was not trained on."""
    fold = [batch for batch in near if batch.block % 5 == 0]
    rest = [batch for batch in near if batch.block % 5]
    held_out = _fitted([*rest * _NEAR_TIMES, *general], seed=0, epochs=epochs, on_progress=_silent)
    return calibration([held_out], fold)


def adapt(
    model: RestorerModel,
    lines: Iterable[str],
    metadata: Mapping[str, Any],
    *,
    on_progress: Progress = _silent,
) -> RestorerModel:
    """The model with a user's correct texts counted as what is to be restored; forms it did not know are
    added. Where there are enough lines, what was learned about trusting the counts is learned further
    on them."""
    lines = list(lines)
    grown = _grown(model, {form for form in counted_forms(lines) if parse(form)})
    vocabulary = grown.vocabulary
    sentences = sentences_of(lines, vocabulary)
    evidence = grown.evidence.plus(NEAR, count(sentences, len(vocabulary)))
    members = model.members
    if len(sentences) >= _LEAST_TO_TUNE:
        prepared = list(batches(NEAR, sentences, evidence, vocabulary, model.scales))
        members = tuple(_tuned(prepared, members, on_progress))
    return build(vocabulary, evidence, members, model.scales, metadata)


def _tuned(
    prepared: Sequence[Batch], members: Sequence[Potentials], on_progress: Progress
) -> Iterator[Potentials]:
    for at, member in enumerate(members):
        on_progress(at / len(members), f"network {at + 1} of {len(members)}")
        yield fit(prepared, epochs=_TUNING_EPOCHS, rate=_TUNING_RATE, seed=at, begin=member)


def _grown(model: RestorerModel, forms: set[str]) -> RestorerModel:
    """The model with more forms, of which nothing is known yet."""
    old = model.vocabulary
    wanted = forms | {key_of(form) for form in forms}
    new = sorted(wanted - old.ids.keys())
    if not new:
        return model
    vocabulary = Vocabulary((*old.forms, *new))
    left, right = np.divmod(model.pair_keys, len(old))
    wider = [(0, 0), (0, len(new))]
    return replace(
        model,
        vocabulary=vocabulary,
        pair_keys=left * len(vocabulary) + right,
        totals=np.pad(model.totals, wider),
        capital=np.pad(model.capital, wider),
    )


__all__ = ["Texts", "adapt", "train", "vocabulary_of"]
