"""What a word sounds like to anybody: letters that some dialect does not tell apart are one class."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from phonoloop.text.syllables import parse

#: onsets that are one sound in the north, in the south, or where speakers mix them up. gi, d and r are one in
#: Hanoi, gi, d and v in Saigon; ch and tr, s and x in the north; l and n in the delta of the Red River.
_ONSETS = {
    **dict.fromkeys(("d", "gi", "r", "v"), "d"),
    **dict.fromkeys(("ch", "tr"), "c"),
    **dict.fromkeys(("s", "x"), "s"),
    **dict.fromkeys(("l", "n"), "l"),
    **dict.fromkeys(("c", "k", "qu"), "k"),
    **dict.fromkeys(("g", "gh"), "g"),
    **dict.fromkeys(("ng", "ngh"), "ng"),
}
#: endings that the south does not tell apart
_ENDINGS = {"ng": "n", "nh": "n", "c": "t", "ch": "t"}
_ENDING = re.compile(r"(ng|nh|ch|c)$")
#: hỏi and ngã are one tone from Thanh Hóa southwards
_TONES = {"ngã": "hỏi"}


@dataclass(frozen=True, slots=True)
class Sound:
    """A word in classes of sounds.

    Attributes:
        onset, rime: without tone; a word that is no syllable has its first letters and its last.
        tone: empty where it is no syllable.
        is_syllable: whether it is a Vietnamese one.
    """

    onset: str
    rime: str
    tone: str
    is_syllable: bool

    @property
    def toneless(self) -> str:
        return f"{self.onset}|{self.rime}"

    @property
    def whole(self) -> str:
        return f"{self.onset}|{self.rime}|{self.tone}"


@lru_cache(maxsize=65_536)
def sound_of(word: str) -> Sound:
    """Takes any word in scoring form."""
    syllable = parse(word, any_tone=True)
    if syllable is None:
        return Sound(word[:3], word[3:], "", is_syllable=False)
    onset = _ONSETS.get(syllable.onset, syllable.onset)
    rime = ("o" if syllable.onset == "qu" else "") + syllable.rime.replace("y", "i")
    ending = _ENDING.sub(lambda match: _ENDINGS[match[0]], rime)
    return Sound(onset, ending, _TONES.get(syllable.tone, syllable.tone), is_syllable=True)
