"""Which sounds a voice has heard, which it lacks, and what to record for them.

Sounds are counted by the phonemiser that the training uses, alone and in pairs (diphones): a sound with the
one after it, over the ends of words too, and a tone with its vowel. `_` is the silence around a text.

What should be there follows from the texts that a person gives; for Vietnamese also from all syllables that
its orthography allows.
"""

from __future__ import annotations

import heapq
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from phonoloop.core.errors import InputError, NotFoundError
from phonoloop.core.speech import Phonemiser
from phonoloop.text.ipa import is_tone
from phonoloop.text.normalise import display, is_vietnamese
from phonoloop.text.syllables import all_syllables, compose
from phonoloop.voice.texts import ClipText

SILENCE = "_"
#: a sound is well heard from so many times on
ENOUGH = 5
_SENTENCE = re.compile(r"(?<=[.!?…])[”’\")\]]*\s+|\n+")
#: of the sentence before
_LEFT_OVER = ' .,;:!?…”’)]"'
#: beginning a sentence takes a speaker as long as so many sounds
_EFFORT = 20
#: words of a sentence that a person reads well
SHORTEST, LONGEST = 4, 20

Pair = tuple[str, str]


class ManyPhonemiser(Phonemiser, Protocol):
    """A phonemiser that reads many texts in one call, as espeak-ng's; what it cannot read has no phonemes."""

    def phonemise_all(self, texts: Sequence[str], language: str) -> list[list[tuple[str, ...]]]: ...


@dataclass(frozen=True, slots=True)
class Sounds:
    """How often each sound and each pair of them is there."""

    phonemes: Counter[str] = field(default_factory=Counter)
    diphones: Counter[Pair] = field(default_factory=Counter)

    def __add__(self, other: Sounds) -> Sounds:
        return Sounds(self.phonemes + other.phonemes, self.diphones + other.diphones)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A sentence to record. `brings`: the pairs in it that were heard fewer than `ENOUGH` times."""

    text: str
    brings: tuple[Pair, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"text": self.text, "brings": ["".join(pair) for pair in self.brings]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the voice has, and what it lacks.

    Attributes:
        clips: that were read. unread: clips in which the phonemiser found nothing to say.
        heard: of the clips. wanted: of the reference; empty where there is none.
    """

    clips: int
    unread: tuple[str, ...]
    heard: Sounds
    wanted: Sounds

    @property
    def missing_phonemes(self) -> list[str]:
        """Most wanted first."""
        return _missing(self.heard.phonemes, self.wanted.phonemes)

    @property
    def missing_diphones(self) -> list[Pair]:
        """Most wanted first."""
        return _missing(self.heard.diphones, self.wanted.diphones)

    @property
    def rare_phonemes(self) -> list[str]:
        """Heard, but fewer than `ENOUGH` times; rarest first."""
        counts = self.heard.phonemes
        return sorted((one for one in counts if counts[one] < ENOUGH), key=lambda one: (counts[one], one))

    @property
    def share(self) -> float:
        """How much of the pairs in the reference, as often as they are in it, was heard at all; 1 without
        a reference."""
        total = self.wanted.diphones.total()
        held = sum(count for pair, count in self.wanted.diphones.items() if pair in self.heard.diphones)
        return held / total if total else 1.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "clips": self.clips,
            "unread": list(self.unread),
            "diphone_share": round(self.share, 4),
            "phonemes": dict(self.heard.phonemes.most_common()),
            "missing_phonemes": self.missing_phonemes,
            "rare_phonemes": self.rare_phonemes,
            "diphones": len(self.heard.diphones),
            "missing_diphones": ["".join(pair) for pair in self.missing_diphones],
        }


def _missing(heard: Counter, wanted: Counter) -> list:
    return sorted((one for one in wanted if one not in heard), key=lambda one: (-wanted[one], one))


def sounds_of(words: Sequence[Sequence[str]]) -> Sounds:
    """Of the phonemes of each word of one text; nothing for no words."""
    spoken = [sound for word in words for sound in word]
    if not spoken:
        return Sounds()
    line = [SILENCE, *(sound for sound in spoken if not is_tone(sound)), SILENCE]
    tones = ((a, b) for a, b in itertools.pairwise(spoken) if is_tone(b) and not is_tone(a))
    return Sounds(Counter(spoken), Counter(itertools.chain(itertools.pairwise(line), tones)))


def coverage_of(
    texts: Sequence[ClipText], phonemiser: ManyPhonemiser, language: str, *, reference: Sequence[str] = ()
) -> Coverage:
    """
    Args:
        texts: clips with something to say are counted, unless somebody rejected them.
        reference: texts like those that the voice is to speak. Vietnamese syllables are wanted besides,
            each once.

    Raises:
        NotFoundError: the phonemiser does not know the language.
    """
    used = [text for text in texts if text.text and not text.rejected]
    read = _sounds_of_all([text.text for text in used], phonemiser, language)
    unread = tuple(text.clip_id for text, sounds in zip(used, read, strict=True) if not sounds.phonemes)
    wanted = _sum(_sounds_of_all(reference, phonemiser, language))
    if is_vietnamese(language):
        wanted += _syllable_sounds(phonemiser, language)
    return Coverage(clips=len(used), unread=unread, heard=_sum(read), wanted=wanted)


def _sounds_of_all(texts: Sequence[str], phonemiser: ManyPhonemiser, language: str) -> list[Sounds]:
    return [sounds_of(words) for words in phonemiser.phonemise_all(texts, language)] if texts else []


def _syllable_sounds(phonemiser: ManyPhonemiser, language: str) -> Sounds:
    """Each pair inside a syllable once; the silence around one is nobody's wish."""
    written = [compose(syllable) for syllable in all_syllables()]
    sounds = _sum(_sounds_of_all(written, phonemiser, language))
    pairs = Counter(pair for pair in sounds.diphones if SILENCE not in pair)
    return Sounds(Counter(list(sounds.phonemes)), pairs)


def _sum(sounds: Iterable[Sounds]) -> Sounds:
    total = Sounds()
    for one in sounds:
        total.phonemes.update(one.phonemes)
        total.diphones.update(one.diphones)
    return total


def rarity(texts: Sequence[ClipText], phonemiser: ManyPhonemiser, language: str) -> dict[str, float]:
    """Clip → the share of its pairs that are in fewer than `ENOUGH` places of all the clips, 0 to 1."""
    read = _sounds_of_all([text.text for text in texts], phonemiser, language)
    counts = _sum(read).diphones
    return {
        text.clip_id: sum(counts[pair] < ENOUGH for pair in sounds.diphones) / max(1, len(sounds.diphones))
        for text, sounds in zip(texts, read, strict=True)
    }


# ---------------------------------------------------------------- what to record


def sentences_in(text: str) -> Iterator[str]:
    """The sentences of a text that a person reads well: of 4 to 20 words, each once."""
    seen: set[str] = set()
    for part in _SENTENCE.split(text):
        sentence = display(part).lstrip(_LEFT_OVER)
        if SHORTEST <= len(sentence.split()) <= LONGEST and sentence not in seen:
            seen.add(sentence)
            yield sentence


def read_sentences(path: Path) -> list[str]:
    """
    Raises:
        NotFoundError: `voice.no_text_file`. InputError: `voice.text_file`, it is not UTF-8 or cannot be read.
    """
    try:
        return list(sentences_in(path.read_bytes().decode("utf-8-sig")))
    except FileNotFoundError as error:
        raise NotFoundError(
            "there is no such text file", code="voice.no_text_file", subject=str(path)
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"this text cannot be read ({error})",
            code="voice.text_file",
            subject=str(path),
            hint="Give a text file in UTF-8",
        ) from error


def sentences_to_record(
    coverage: Coverage, sentences: Sequence[str], phonemiser: ManyPhonemiser, language: str, *, most: int
) -> list[Suggestion]:
    """The sentences that bring most of what is missing for their length, picked one after the other.

    What a sentence brings is, over its pairs, how much the next time counts: 1 for what was never heard, less
    each time, nothing from `ENOUGH` on; times the logarithm of how often the pair is wanted. That sum has
    diminishing returns, so that the lazy greedy choice (Minoux, 1978) is the greedy one.
    """
    read = _sounds_of_all(sentences, phonemiser, language)
    counts, wanted = Counter(coverage.heard.diphones), coverage.wanted.diphones
    waiting = [(-_worth(sounds, counts, wanted), at) for at, sounds in enumerate(read) if sounds.phonemes]
    heapq.heapify(waiting)
    picked: list[Suggestion] = []
    while waiting and len(picked) < most:
        _, at = heapq.heappop(waiting)
        worth = -_worth(read[at], counts, wanted)
        if waiting and worth > waiting[0][0]:
            heapq.heappush(waiting, (worth, at))
        elif worth < 0:
            brings = tuple(pair for pair in read[at].diphones if counts[pair] < ENOUGH)
            picked.append(Suggestion(text=sentences[at], brings=brings))
            counts.update(read[at].diphones)
    return picked


def _worth(sounds: Sounds, counts: Mapping[Pair, int], wanted: Mapping[Pair, int]) -> float:
    """For the effort of recording it; a pair that nobody wants counts as wanted once."""
    pairs = sounds.diphones.items()
    gain = sum(math.log1p(max(wanted[pair], 1)) * _gain(counts[pair], times) for pair, times in pairs)
    return gain / (sounds.phonemes.total() + _EFFORT)


def _gain(heard: int, times: int) -> float:
    """The next times that a pair is heard are worth 1 - heard / `ENOUGH` each."""
    return sum(max(0.0, 1.0 - (heard + more) / ENOUGH) for more in range(times))
