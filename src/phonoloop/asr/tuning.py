"""What a recogniser's decoding is set by, found on speakers that no training heard: how much to believe a
language model, and how much to believe confidences. Never on test data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from phonoloop.asr.audio_files import read_samples
from phonoloop.asr.beam import DEFAULT, BeamConfig, BeamDecoder
from phonoloop.asr.beam_recogniser import BeamRecogniser
from phonoloop.asr.calibration import CALIBRATION, Calibration, Outcome, fit, outcomes
from phonoloop.asr.decode import read_greedily, words_of
from phonoloop.asr.infer import WINDOW_S, Recogniser
from phonoloop.core.speech import Word
from phonoloop.data.manifest import ManifestRow, resolve_audio
from phonoloop.text.error_rates import Counts, total, word_errors
from phonoloop.text.ngram import NgramModel
from phonoloop.text.normalise import DEFAULT_LANGUAGE, for_scoring
from phonoloop.training.artefacts import METADATA, file_hashes

#: more than this adds nothing to two numbers
MOST_AUDIO_S = 1200.0
ALPHAS = (0.2, 0.35, 0.5, 0.8, 1.2)
BETAS = (0.0, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Example:
    """One utterance as the network heard it, (T, vocab) log-probabilities, and what was said."""

    log_probs: np.ndarray
    reference: str
    language: str = DEFAULT_LANGUAGE


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was found.

    Attributes:
        greedy, beam: word errors on the examples without and with the language model.
        calibration: of the beam's confidences; None where there is too little to go by.
    """

    config: BeamConfig
    greedy: Counts
    beam: Counts
    calibration: Calibration | None


def hear(recogniser: Recogniser, rows: Sequence[ManifestRow], audio_roots: Sequence[Path]) -> list[Example]:
    """Utterances from all over the rows, up to twenty minutes; those longer than a window are left out.

    Raises:
        AudioError, NotFoundError: a file cannot be read.
    """
    found, heard_s = [], 0.0
    for row in _spread(rows):
        if heard_s > MOST_AUDIO_S:
            break
        if row.duration <= WINDOW_S:
            samples = read_samples(resolve_audio(row, *audio_roots), row.offset, row.duration)
            language = row.language_or(recogniser.metadata.get("language", DEFAULT_LANGUAGE))
            found.append(Example(recogniser.log_probs(samples), row.text, language))
            heard_s += row.duration
    return found


def _spread(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """In an order in which every beginning is a sample of the whole; the same one each time."""
    order = np.random.default_rng(0).permutation(len(rows))
    return [rows[i] for i in order]


def tune(
    recogniser: Recogniser,
    model: NgramModel,
    examples: Sequence[Example],
    *,
    beam: int = DEFAULT.beam,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Tuned:
    """The weights with the fewest word errors on the examples; of equal ones those nearest the defaults."""
    tried = []
    for done, (alpha, beta) in enumerate(product(ALPHAS, BETAS)):
        config = replace(DEFAULT, beam=beam, alpha=alpha, beta=beta)
        tried.append((_errors(recogniser, model, config, examples), _oddness(config), config))
        on_progress((done + 1) / (len(ALPHAS) * len(BETAS)))
    counts, _, config = min(tried, key=lambda one: (one[0].errors, one[1]))
    return Tuned(
        config,
        greedy=total(_word_errors(one, _text(_greedy(recogniser, one))) for one in examples),
        beam=counts,
        calibration=calibrate_beam(recogniser, model, config, examples),
    )


def _oddness(config: BeamConfig) -> float:
    return abs(config.alpha - DEFAULT.alpha) + abs(config.beta - DEFAULT.beta) / 4


def _errors(
    recogniser: Recogniser, model: NgramModel, config: BeamConfig, examples: Sequence[Example]
) -> Counts:
    decoder = BeamDecoder(recogniser.tokenizer, config, model=model)
    return total(_word_errors(one, decoder.decode(one.log_probs)[0].text) for one in examples)


def _word_errors(example: Example, text: str) -> Counts:
    wanted, heard = (for_scoring(one, example.language) for one in (example.reference, text))
    return word_errors(wanted, heard)


def calibrate_beam(
    recogniser: Recogniser, model: NgramModel, config: BeamConfig, examples: Sequence[Example]
) -> Calibration | None:
    """Of the share that each word has among the readings."""
    hearing = BeamRecogniser(recogniser, BeamDecoder(recogniser.tokenizer, config, model=model))
    found = [
        outcome
        for one in examples
        for outcome in outcomes(
            one.reference,
            words_of(hearing.read(one.log_probs).tokens, recogniser.tokenizer, end_ms=1 << 62),
            one.language,
        )
    ]
    return fit(found, measured_on=_measured_on(examples))


def calibrate_greedy(recogniser: Recogniser, examples: Sequence[Example]) -> Calibration | None:
    """Of the mean probability of each word's tokens."""
    found: list[Outcome] = []
    for one in examples:
        found += outcomes(one.reference, _greedy(recogniser, one), one.language)
    return fit(found, measured_on=_measured_on(examples))


def _greedy(recogniser: Recogniser, example: Example) -> list[Word]:
    return words_of(read_greedily(example.log_probs), recogniser.tokenizer, end_ms=1 << 62)


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _measured_on(examples: Sequence[Example]) -> str:
    return f"{len(examples)} utterances of the validation split"


def calibrate_artefact(
    folder: Path, rows: Sequence[ManifestRow], audio_roots: Sequence[Path]
) -> Calibration | None:
    """Hears validation rows with an exported model and writes `calibration.json` into its folder, listed with
    its hash in metadata.json. None, and nothing written, where there are too few words.

    Raises:
        IntegrityError, NotFoundError: as `Recogniser.load`; AudioError where a row cannot be read.
    """
    recogniser = Recogniser.load(folder)
    found = calibrate_greedy(recogniser, hear(recogniser, rows, audio_roots))
    if found is None:
        return None
    (folder / CALIBRATION).write_text(json.dumps(found.to_dict(), indent=1), "utf-8")
    metadata = recogniser.metadata | {"files": file_hashes(folder)}
    beside = folder / f".{METADATA}.{os.getpid()}.tmp"  # hidden names are no part of a model
    beside.write_text(json.dumps(metadata, ensure_ascii=False, indent=1), "utf-8")
    os.replace(beside, folder / METADATA)
    return found
