"""The spoken form: written Vietnamese as it is read aloud, which is what a recogniser is trained towards.

One pass from left to right looks for anything that is not said as it is written. At such a place the
rules are asked in turn; the first one that understands what stands there says it. What no rule
understands stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from phonoloop.text import say_dates, say_numbers, say_words
from phonoloop.text.addresses import address_spans, say_address
from phonoloop.text.corrections import Correction, Rewritten, apply
from phonoloop.text.lexicon import Lexicon
from phonoloop.text.said import Place, Said
from phonoloop.text.spelling import joined, normalise

Rule = Callable[[Place], Said | None]

#: asked in turn, by what the place begins with
_RULES: dict[str, Sequence[Rule]] = {
    "digit": (*say_dates.RULES, *say_numbers.RULES),
    "dash": (say_numbers.say_dash,),
    "money": (say_numbers.say_money,),
    "phone": (say_numbers.say_phone, say_numbers.say_sign),
    "sign": (say_numbers.say_sign,),
    "slash": (say_numbers.say_per,),
    "caps": (*say_words.RULES,),
    "word": (*say_words.RULES,),
    "single": (*say_words.SINGLE_RULES,),
    "amp": (say_words.say_and,),
}

#: rules whose words a dash can join to a second number
_COUNTED = ("number", "unit", "date", "time")

#: what a place can begin with, in the order in which it is tried
_TRIGGERS = (
    r"(?P<digit>[0-9])",
    r"(?P<dash>[-\u2013\u2014\u2212][ ]?(?=[0-9IVX]))",
    r"(?P<phone>[+(](?=[0-9]))",
    r"(?P<money>[$€£¥](?=[ ]?[0-9]))",
    r"(?P<sign>(?:>=|<=|[=<>≥≤≈~±×÷+])[ ]?(?=[-\u2212]?[0-9]))",
    r"(?P<slash>/(?=[^\W\d_])(?<=[^\W_]/|%/))",
    r"(?P<amp>&(?=\s)(?<=\s&))",
)
_FIRST_SIGNS = r"0-9A-ZĐƯ\u2013\u2014\u2212+($€£¥><=≥≤≈~±×÷/&\-"


def to_spoken(text: str, lexicon: Lexicon | None = None) -> Rewritten:
    """The text in one spelling (`normalise`) and in words.

    10h30 → mười giờ ba mươi; TP.HCM → thành phố Hồ Chí Minh; FPT → ép pê tê. Case, punctuation and
    fillers stay. Web addresses are read aloud (`abc.vn` → `abc chấm vn`).
    """
    spelled = normalise(text)
    said = speak(spelled.text, lexicon)
    return Rewritten(said.text, joined(text, spelled, said))


def speak(text: str, lexicon: Lexicon | None = None) -> Rewritten:
    """As `to_spoken`, for text that is in one spelling already."""
    changes = tuple(_corrections(text, lexicon or Lexicon.shipped()))
    return Rewritten(apply(text, changes), changes) if changes else Rewritten(text)


def has_unspoken(text: str) -> bool:
    """Whether the text holds anything that a rule would look at."""
    return _first(Lexicon.shipped()).search(text) is not None


def _corrections(text: str, lexicon: Lexicon) -> Iterator[Correction]:
    """Each saying with the spaces that keep its words apart from what stands around it."""
    done = spaced = -1  # where the last words ended; the same where they bring the space behind them
    for said in _sayings(text, lexicon):
        after = said.words
        runs_in = said.start == done or (said.start > 0 and text[said.start - 1].isalnum())
        if runs_in and said.start != spaced:
            after = f" {after}"
        done = said.end
        if done < len(text) and text[done].isalnum():
            after, spaced = f"{after} ", done
        before = text[said.start : said.end]
        if after != before:
            yield Correction(said.start, said.end, before, after, said.rule, said.confidence)


def _sayings(text: str, lexicon: Lexicon) -> Iterator[Said]:
    addresses = address_spans(text)
    at, last_end = 0, -1
    while True:
        match = _next(text, at, lexicon)
        while addresses and addresses[0][0] < at:  # a number reached into it: 0,5@a.vn
            addresses.pop(0)
        if addresses and (match is None or match.end() > addresses[0][0]):
            start, end = addresses.pop(0)
            yield Said(start, end, say_address(text[start:end]), "address")
            at, last_end = end, -1
        elif match is None:
            return
        elif said := _say(Place(text, match.start(), lexicon, last_end), match.lastgroup):
            yield said
            at = said.end
            last_end = at if said.rule.startswith(_COUNTED) else -1
        else:  # nobody understood it: on behind the word, or the character
            at = match.end() if match.lastgroup in ("caps", "word") else match.start() + 1


def _say(place: Place, kind: str | None) -> Said | None:
    return next(filter(None, (rule(place) for rule in _RULES[kind or ""])), None)


def _next(text: str, at: int, lexicon: Lexicon) -> re.Match[str] | None:
    """The next place that a rule may know: a quick look for its first character, then a closer one."""
    first, closer = _first(lexicon), _trigger(lexicon)
    while (found := first.search(text, at)) is not None:
        match = closer.match(text, found.start())
        if match is not None:
            return match
        at = found.end()
    return None


@lru_cache(maxsize=8)
def _first(lexicon: Lexicon) -> re.Pattern[str]:
    small = "|".join(re.escape(key) for key in _listed(lexicon) if not key[0].isupper())
    return re.compile(rf"[{_FIRST_SIGNS}]" + (rf"|(?<!\w)(?:{small})" if small else ""))


@lru_cache(maxsize=8)
def _trigger(lexicon: Lexicon) -> re.Pattern[str]:
    listed = "|".join(map(re.escape, _listed(lexicon)))
    words = (
        rf"(?P<word>(?<![\w])(?:{listed})(?:(?<=[.:])|(?!\w)))",
        r"(?P<caps>(?<![\w])[A-ZĐƯ][A-ZĐƯ&0-9][\w&]*)",
        r"(?P<single>(?<![\w])[A-ZĐ](?=[ ]?\.?[ ]?[0-9]|[ ]?\.[ ]?[^\W\d_a-z]|-[0-9]|(?<=[IVX])(?!\w)))",
    )
    return re.compile("|".join((*_TRIGGERS, *words)))


def _listed(lexicon: Lexicon) -> list[str]:
    """Abbreviations that cannot be told by their capitals, the longest first."""
    keys = (key for key in lexicon.abbreviations if not _CAPITALS.fullmatch(key))
    return sorted(keys, key=len, reverse=True)


_CAPITALS = re.compile(r"[A-ZĐƯ]{2}[\w&]*|[A-ZĐ]")
