"""Phonemes by the names that a synthesiser takes: words that no spelling has, and foreign accents."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from phonoloop.core.speech import Phonemiser
from phonoloop.text.ipa import sound_distance
from phonoloop.wakeword.sounds import Sounds

#: stress, pauses and the like, at the beginning of a name
_MARKS = "',%=_|!"
_STRESS = "'"
#: between names, so that two do not make a third
_BETWEEN = "|"
#: mean distance of the sounds up to which an accent still says the phrase, and that of a single one
ACCENT_MEAN, ACCENT_WORST = 0.16, 0.5
_SAMPLE_WORDS = 3000


@runtime_checkable
class PhonemeSpeaker(Phonemiser, Protocol):
    """Names its phonemes and speaks what is given by these names.

    `named_phonemes` gives for each text its words, of pairs: a phoneme in IPA (a tone is a second one), and
    its name, which begins with `'` where it is stressed.
    """

    def named_phonemes(self, texts: Sequence[str], language: str) -> list[list[list[tuple[Sounds, str]]]]: ...

    def synthesize_phonemes(
        self, names: str, *, voice: str, speed: float = 1.0, pitch: float = 1.0
    ) -> object: ...


@dataclass(frozen=True, slots=True)
class NamedSound:
    """A phoneme, its name without stress, and whether it is stressed. With a tone there are two sounds."""

    sounds: Sounds
    name: str
    stressed: bool = False

    @property
    def written(self) -> str:
        return (_STRESS if self.stressed else "") + self.name


NamedWords = tuple[tuple[NamedSound, ...], ...]


def named_words(text: str, language: str, speaker: PhonemeSpeaker) -> NamedWords:
    """The phonemes of a text, without pauses; none where some have no name, as in words that are read as
    another language's."""
    words = speaker.named_phonemes([text], language)[0]
    if any(sounds and not _bare(name) for word in words for sounds, name in word):
        return ()
    return _named(words)


def _named(words: Sequence[Sequence[tuple[Sounds, str]]]) -> NamedWords:
    kept = (tuple(_sound(sounds, name) for sounds, name in word if sounds and _bare(name)) for word in words)
    return tuple(word for word in kept if word)


def _sound(sounds: Sounds, name: str) -> NamedSound:
    return NamedSound(tuple(sounds), _bare(name), name.startswith(_STRESS))


def _bare(name: str) -> str:
    return name.lstrip(_MARKS)


def written(words: NamedWords) -> str:
    """As `PhonemeSpeaker.synthesize_phonemes` takes it."""
    return " ".join(_BETWEEN.join(sound.written for sound in word) for word in words)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The phonemes that occur in a language's words.

    Attributes:
        names: of each sound, or sound and tone, the most frequent name.
        shares: how much of the language's sounds each is.
    """

    language: str
    names: Mapping[Sounds, str]
    shares: Mapping[Sounds, float]


def inventory(language: str, words: Sequence[str], speaker: PhonemeSpeaker) -> Inventory:
    """From some thousand words; empty without any."""
    found: dict[Sounds, Counter[str]] = defaultdict(Counter)
    for text in speaker.named_phonemes(list(words[:_SAMPLE_WORDS]), language):
        for sound in (sound for word in _named(text) for sound in word):
            found[sound.sounds][sound.name] += 1
    total = sum(counter.total() for counter in found.values())
    # what occurs once or twice in thousands of words is from a foreign one
    usual = {sounds: counter for sounds, counter in found.items() if counter.total() > total / 20_000}
    return Inventory(
        language=language,
        names={sounds: counter.most_common(1)[0][0] for sounds, counter in usual.items()},
        shares={sounds: counter.total() / total for sounds, counter in usual.items()},
    )


@dataclass(frozen=True, slots=True)
class Accent:
    """The phrase as somebody says it whose language is another one.

    Attributes:
        names: for voices of that language.
        distance: mean distance of its sounds from the phrase's.
    """

    language: str
    names: str
    distance: float


def accent(words: NamedWords, other: Inventory) -> Accent | None:
    """Each sound gives way to the nearest one that the other language has; None where it is not
    recognisably the phrase any more, or has tones."""
    if any(len(sound.sounds) > 1 for word in words for sound in word):
        return None
    choices = {sounds: name for sounds, name in other.names.items() if len(sounds) == 1}
    replaced = [[_replaced(part, choices) for sound in word for part in _parts(sound)] for word in words]
    distances = [distance for word in replaced for _, distance in word]
    mean = sum(distances) / max(len(distances), 1)
    if not distances or mean > ACCENT_MEAN or max(distances) > ACCENT_WORST:
        return None
    spoken = tuple(tuple(sound for sound, _ in word) for word in replaced)
    return Accent(other.language, written(spoken), mean)


def _parts(sound: NamedSound) -> list[NamedSound]:
    """A vowel with an r after it, which few languages have as one sound, as two."""
    whole = sound.sounds[0]
    if len(whole) < 2 or not whole.endswith("ɹ"):
        return [sound]
    return [NamedSound((whole[:-1],), "", sound.stressed), NamedSound(("ɹ",), "")]


def _replaced(sound: NamedSound, choices: Mapping[Sounds, str]) -> tuple[NamedSound, float]:
    wanted = sound.sounds[0]
    if not choices:
        return sound, 1.0
    distance, sounds = min((sound_distance(wanted, one[0]), one) for one in choices)
    return NamedSound(sounds, choices[sounds], sound.stressed), distance
