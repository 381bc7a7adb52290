"""How far the text of a clip can be trusted, and why.

The score is a product of doubts, each a factor between 0 and 1 with a sentence for people: two decodes that
do not agree, words that the cut goes through, a speaking rate unlike the speaker's other clips, loops and
what recognisers invent. A person's text is trusted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from phonoloop.data.pseudo import INVENTED, text_fault
from phonoloop.text.error_rates import Edit, align, char_errors
from phonoloop.text.normalise import for_scoring
from phonoloop.voice.texts import ClipText, Doubt, Heard, Origin, Trust

#: speech this little below the clip's own level, right at its end, goes on after it
CUT_DB = -12.0
#: the sound's part of the quality: worthless at the first, perfect at the second
_SNR_RANGE_DB = (0.0, 30.0)
_EDGE_WORDS, _CUT, _SPLIT, _LOOPS, _UNREADABLE = 0.8, 0.6, 0.8, 0.1, 0.3
_UNCHECKED = {Origin.MACHINE: 0.7, Origin.SIDECAR: 0.9}
#: spreads of the logarithm of the rate beyond which trust falls, and where nothing is left
_RATE_FROM, _RATE_TO = 3.0, 7.0
_LEAST_SPREAD, _LEAST_CLIPS = 0.1, 8
#: sounds a second that people can say; for fewer clips than that
_POSSIBLE = {"phonemes": (3.0, 25.0), "syllables": (1.0, 9.0), "letters": (3.0, 30.0)}


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is usual among the clips that a text is compared with.

    Attributes:
        log_rates: speaker and unit → the median of the logarithm of sounds a second, and its spread (1.4826
            times the median absolute deviation).
        agreement: how well the recogniser usually agrees with given texts, 0 to 1.
    """

    log_rates: dict[tuple[str, str], tuple[float, float]]
    agreement: float = 1.0


def corpus_of(texts: Iterable[ClipText]) -> Corpus:
    """Medians, so that a few wrong texts change nothing."""
    rates: dict[tuple[str, str], list[float]] = {}
    agreements: list[float] = []
    for text in texts:
        if text.heard.sounds and text.duration_s:
            rates.setdefault(_group(text), []).append(math.log(_rate(text)))
        if text.heard.origin is Origin.SIDECAR and text.heard.second is not None:
            agreements.append(agreement(text.heard, text.language))
    usual = {group: _middle(logs) for group, logs in rates.items() if len(logs) >= _LEAST_CLIPS}
    enough = len(agreements) >= _LEAST_CLIPS
    return Corpus(usual, float(np.median(agreements)) if enough else 1.0)


def _middle(logs: Sequence[float]) -> tuple[float, float]:
    median = float(np.median(logs))
    spread = 1.4826 * float(np.median(np.abs(np.asarray(logs) - median)))
    return median, max(spread, _LEAST_SPREAD)


def _group(text: ClipText) -> tuple[str, str]:
    return text.speaker, text.heard.sound_unit


def _rate(text: ClipText) -> float:
    return text.heard.sounds / text.duration_s


def agreement(heard: Heard, language: str) -> float:
    """1 where both decodes have the same characters in the form that errors are counted in, 0 for nothing in
    common; the same both ways."""
    one, other = for_scoring(heard.text, language), for_scoring(heard.second or "", language)
    longer = max(len(one), len(other))
    return max(0.0, 1.0 - char_errors(one, other).errors / longer) if longer else 1.0


def judged(text: ClipText, corpus: Corpus) -> ClipText:
    """The clip with its trust and quality.

    A text that counts but was written by a person is trusted whole; the sound is still what it is.
    """
    human = text.origin is Origin.HUMAN
    trust = Trust() if human and text.text else trust_of(text, corpus)
    return replace(text, trust=trust, quality=round(min(trust.score, _cleanness(text.snr_db)), 3))


def _cleanness(snr_db: float | None) -> float:
    low, high = _SNR_RANGE_DB
    return 1.0 if snr_db is None else min(1.0, max(0.0, (snr_db - low) / (high - low)))


def trust_of(text: ClipText, corpus: Corpus) -> Trust:
    """The doubts about what was heard or given."""
    doubts = tuple(replace(one, factor=round(one.factor, 4)) for one in _doubts(text, corpus))
    return Trust(round(math.prod(doubt.factor for doubt in doubts), 4), doubts)


def _doubts(text: ClipText, corpus: Corpus) -> Iterator[Doubt]:
    heard = text.heard
    if heard.refused and heard.origin is Origin.MACHINE:
        yield Doubt("refused", 0.0, f"the recogniser refused it: {heard.refused}")
    elif not text.text:
        detail = "nothing was heard" if heard.model_version else "nobody has written it down"
        yield Doubt("empty", 0.0, detail)
    else:
        yield from _second_doubts(heard, text.language, corpus)
        yield from _edge_doubts(heard)
        yield from _rate_doubts(text, corpus)
        yield from _wording_doubts(heard)


def _second_doubts(heard: Heard, language: str, corpus: Corpus) -> Iterator[Doubt]:
    if heard.second is None:
        yield Doubt("unchecked", _UNCHECKED[heard.origin], "nobody else was asked")
        return
    alike = agreement(heard, language)
    usual = corpus.agreement if heard.origin is Origin.SIDECAR else 1.0
    factor = min(1.0, alike / max(usual, 1e-6)) ** 2
    if factor < 1.0:
        yield Doubt("disagreement", factor, f"another decode agrees to {alike:.0%}: {heard.second!r}")
    if edges := list(_edge_words(heard, language)):
        yield Doubt("edge_words", _EDGE_WORDS, f"the decodes differ at the {' and the '.join(edges)}")


def _edge_words(heard: Heard, language: str) -> Iterator[str]:
    one, other = (for_scoring(text or "", language).split() for text in (heard.text, heard.second))
    steps = align(one, other)
    if steps and steps[0].edit is not Edit.MATCH:
        yield "beginning"
    if steps and steps[-1].edit is not Edit.MATCH:
        yield "end"


def _edge_doubts(heard: Heard) -> Iterator[Doubt]:
    if heard.split:
        yield Doubt("split", _SPLIT, "the text was cut out of a longer one at a punctuation mark")
    for kind, level_db in zip(("cut_start", "cut_end"), heard.edges_db, strict=True):
        if level_db > CUT_DB:
            where = "begins" if kind == "cut_start" else "ends"
            yield Doubt(kind, _CUT, f"it {where} in the middle of speech ({level_db:.0f} dB)")


def _rate_doubts(text: ClipText, corpus: Corpus) -> Iterator[Doubt]:
    unit = text.heard.sound_unit
    if not text.heard.sounds:
        yield Doubt("rate", _UNREADABLE, f"it has no {unit} to say")
        return
    rate, (low, high) = _rate(text), _POSSIBLE[unit]
    usual = corpus.log_rates.get(_group(text))
    factor = float(low <= rate <= high) if usual is None else _rate_factor(text, *usual)
    if factor < 1.0:
        compared = f"{math.exp(usual[0]):.1f} are usual" if usual else f"{low:g} to {high:g} are possible"
        yield Doubt("rate", max(factor, 0.05), f"{rate:.1f} {unit} a second, {compared}")


def _rate_factor(text: ClipText, median: float, spread: float) -> float:
    """Short clips differ more: a quarter over the number of sounds is added to the variance."""
    wide = math.hypot(spread, math.sqrt(0.25 / text.heard.sounds))
    off = abs(math.log(_rate(text)) - median) / wide
    return min(1.0, max(0.0, (_RATE_TO - off) / (_RATE_TO - _RATE_FROM)))


def _wording_doubts(heard: Heard) -> Iterator[Doubt]:
    fault = text_fault(heard.text) if heard.origin is Origin.MACHINE else ""
    if fault == INVENTED:
        yield Doubt("invented", _LOOPS, "recognisers write this where nobody speaks")
    elif fault:
        yield Doubt("repetition", _LOOPS, "the same words over and over")
