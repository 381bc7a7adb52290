"""The written form: what was said, as people like to read it. Digits for number words, no fillers.

Words are taken in runs with nothing but spaces between them. At each word the rules are asked in turn;
the first that understands a number, a date or a time writes it. Single digits stay words unless they
measure, date or number something (`hai con mèo`, but `2 lít`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from phonoloop.text import write_dates, write_numbers
from phonoloop.text.addresses import address_spans
from phonoloop.text.corrections import Correction, Rewritten, apply
from phonoloop.text.lexicon import Lexicon
from phonoloop.text.numbers import STARTS
from phonoloop.text.spelling import joined, normalise
from phonoloop.text.spoken_run import Run, Wrote

Rule = Callable[[Run, int], Wrote | None]

_RULES: Sequence[Rule] = (*write_dates.RULES, *write_numbers.RULES)
#: words that a rule can begin with
_BEGINNINGS = STARTS | {"cộng", "tháng", "từ"}
_WORD = re.compile(r"[^\W_]+")
_HINT = re.compile(rf"(?<!\w)(?:{'|'.join(sorted(_BEGINNINGS))})(?!\w)", re.IGNORECASE)
_SENTENCE_ENDS = ".?!"


def to_written(text: str, lexicon: Lexicon | None = None) -> Rewritten:
    """The text in one spelling (`normalise`), with digits for number words and without fillers.

    mười giờ ba mươi → 10h30; ba phẩy năm ki lô gam → 3,5 kg; ờ tôi ừm → tôi.
    """
    lexicon = lexicon or Lexicon.shipped()
    spelled = normalise(text)
    unfilled = without_fillers(spelled.text, lexicon)
    first = Rewritten(unfilled.text, joined(text, spelled, unfilled))
    changes = tuple(_corrections(first.text, lexicon))
    second = Rewritten(apply(first.text, changes), changes)
    return Rewritten(second.text, joined(text, first, second))


def _corrections(text: str, lexicon: Lexicon) -> Iterator[Correction]:
    if not _HINT.search(text):
        return
    for run in _runs(text, lexicon):
        at = 0
        while at < len(run.words):
            wrote = _write(run, at) if run.words[at] in _BEGINNINGS else None
            if wrote is None:
                at += 1
                continue
            start, end = run.spans[wrote.start][0], run.spans[wrote.end - 1][1]
            if text[start:end] != wrote.text:
                yield Correction(start, end, text[start:end], wrote.text, wrote.rule, wrote.confidence)
            at = wrote.end


def _write(run: Run, at: int) -> Wrote | None:
    return next(filter(None, (rule(run, at) for rule in _RULES)), None)


def _runs(text: str, lexicon: Lexicon) -> Iterator[Run]:
    """Words with only white space between them; those in web addresses belong to none."""
    addresses = address_spans(text)
    spans: list[tuple[int, int]] = []
    for match in _WORD.finditer(text):
        if spans and not text[spans[-1][1] : match.start()].isspace():
            yield Run(text, tuple(spans), lexicon)
            spans = []
        if not any(start <= match.start() < end for start, end in addresses):
            spans.append(match.span())
    if spans:
        yield Run(text, tuple(spans), lexicon)


def without_fillers(text: str, lexicon: Lexicon | None = None) -> Rewritten:
    """The text without sounds of hesitation, and without the commas that went with them."""
    lexicon = lexicon or Lexicon.shipped()
    changes = tuple(_removals(text, lexicon))
    return Rewritten(apply(text, changes), changes) if changes else Rewritten(text)


def _removals(text: str, lexicon: Lexicon) -> Iterator[Correction]:
    for match in _filler_pattern(lexicon).finditer(text):
        if not _is_hesitation(text, match, lexicon):
            continue
        start, end = match.span()
        tail = end + len(_TAIL.match(text, end)[0])
        if tail == len(text) or text[tail] in ".?!;:":
            start = len(text[:start].rstrip(" ,"))
            yield Correction(start, end, text[start:end], "", "filler", 0.9)
        elif match[0][0].isupper() and text[tail].islower():
            yield Correction(start, tail + 1, text[start : tail + 1], text[tail].upper(), "filler", 0.9)
        else:
            yield Correction(start, tail, text[start:tail], "", "filler", 0.9)


_TAIL = re.compile(r"\s*(?:,|…|\.\.\.)?\s*")
_WORDS = re.compile(r"\w+")


@lru_cache(maxsize=8)
def _filler_pattern(lexicon: Lexicon) -> re.Pattern[str]:
    one = "|".join(sorted(map(re.escape, lexicon.fillers), key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{one})(?!\w)(?:[\s,…]+(?:{one})(?!\w))*", re.IGNORECASE)


def _is_hesitation(text: str, match: re.Match[str], lexicon: Lexicon) -> bool:
    fillers = [lexicon.fillers.get(word.lower(), "") for word in _WORDS.findall(match[0])]
    if len(fillers) > 1 or fillers == ["always"]:
        return True
    before = text[: match.start()].rstrip()
    opens = not before or before[-1] in _SENTENCE_ENDS
    comma = text[match.end() : match.end() + 1] == ","
    more = text[match.end() :].strip(" .?!,…") != ""
    if fillers == ["start"] and opens and not comma:
        return more and text[match.end()] == " "
    return comma and more and (opens or before[-1] == ",")
