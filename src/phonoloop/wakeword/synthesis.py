"""Phrases in many voices, for training: what is to be said how, and saying it.

A plan is a list of `Utterance`s, the same for the same seed. Each is spoken by one synthesiser and trimmed;
how an utterance sounds does not depend on the others.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from phonoloop.audio.augment import change_speed
from phonoloop.core.errors import InputError, PhonoloopError, UnavailableError
from phonoloop.core.ids import content_id
from phonoloop.core.speech import Synthesizer
from phonoloop.core.threads import in_order
from phonoloop.wakeword.confusables import Confusable
from phonoloop.wakeword.phrase import Phrase
from phonoloop.wakeword.spelled import Accent, PhonemeSpeaker, accent, inventory, named_words
from phonoloop.wakeword.trim import at_level, trimmed
from phonoloop.wakeword.words import frequent_words

#: languages whose voices may speak the phrase with an accent
ACCENTS = ("de", "fr", "es", "it", "pt", "nl", "pl", "ru", "hi", "tr", "sv", "ko", "cmn", "vi", "ar", "en-us")
ACCENT_SHARE = 0.25
#: factors of a voice's own. People say a wake word slower and higher than these voices read: 182 clips of
#: "athena" by many people last 0.42 to 0.89 s (5 and 95 %) at 102 to 307 Hz, espeak-ng's at factors of 0.7 to
#: 1.4 and 0.75 to 1.35 last 0.28 to 0.67 s at 78 to 281 Hz
SPEEDS = (0.58, 1.25)
PITCHES = (0.85, 1.65)
#: of all resonances: longer and shorter throats than the voices were made with
TRACTS = (0.87, 1.15)
LEVELS_DBFS = (-34.0, -16.0)
#: variants of espeak-ng's voices that hardly anybody would take for a person; of the second row, a detector
#: that learned "athena" from people heard 10 to 45 %, of the others together 93 %, with an accent 94 %
UNLIKELY_VARIANTS = frozenset(
    (
        *("Demonic", "AnxiousAndy", "Tweaky", "UniRobot", "fast", "Mr serious"),
        *("Lee", "boris", "kaukovalta", "Marco"),
    )
)
#: letters of another alphabet
_OTHER_SCRIPTS = frozenset({"en-shaw"})
_AHEAD = 8


class VoicedSynthesizer(Synthesizer, Protocol):
    """A `Synthesizer` with a name, the first part of the names of its voices: `espeak-ng`."""

    name: str


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something to be said, and how.

    Attributes:
        text: what is said, or the phonemes by name that say it (`phonemes`).
        voice: with its synthesiser, `espeak-ng:en-us+f3`.
        language: of the phrase.
        level_dbfs: RMS of the speech.
        tract: factor of the voice's resonances, speed and pitch staying: above 1 a shorter throat.
        kind: "phrase", "accent", or a confusable's kind.
        distance: of its sounds from the phrase's, 0 to 1.
    """

    text: str
    voice: str
    language: str
    speed: float
    pitch: float
    level_dbfs: float
    tract: float = 1.0
    kind: str = "phrase"
    distance: float = 0.0
    phonemes: bool = False

    @property
    def key(self) -> str:
        """Names all that it sounds like."""
        return content_id(asdict(self))


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """An utterance.

    Attributes:
        voice: with its synthesiser, as in `espeak-ng:en-us+f3`.
        language: of the text.
        speed, pitch: factors of the voice's own.
        samples: (n,) float32 in [-1, 1] at 16,000 Hz; speech begins and ends within 20 ms of the ends.
        kind, distance: as in `Utterance`.
    """

    text: str
    voice: str
    language: str
    speed: float
    pitch: float
    samples: np.ndarray
    kind: str = "phrase"
    distance: float = 0.0


OnSkip = Callable[[Utterance, PhonoloopError], None]


def voice_person(voice: str) -> str:
    """Whose voice it is, whatever language it speaks: `espeak-ng:f3` of `espeak-ng:en-us+f3`. Splits by
    this keep a timbre on one side."""
    synthesizer, _, name = voice.partition(":")
    return f"{synthesizer}:{name.partition('+')[2] or name}"


def native_voices(language: str, synthesizers: Iterable[VoicedSynthesizer]) -> list[str]:
    """Every voice of the language, its regions included, with the synthesiser's name before it."""
    base = language.partition("-")[0]
    named = ((one.name, voice) for one in synthesizers for voice in one.voices(base))
    return [f"{name}:{voice}" for name, voice in named if _likely(voice)]


def _likely(voice: str) -> bool:
    language, _, variant = voice.partition("+")
    return language not in _OTHER_SCRIPTS and variant not in UNLIKELY_VARIANTS


def plan_positives(
    phrase: Phrase,
    synthesizers: Sequence[VoicedSynthesizer],
    *,
    count: int,
    seed: int,
    accents: bool = True,
    texts: Sequence[str] = (),
) -> list[Utterance]:
    """The phrase `count` times, all voices about equally often.

    Args:
        accents: let voices of other languages say about a quarter, where a synthesiser takes phonemes and
            the other language has near enough sounds.
        texts: spellings to take instead of the phrase's own with commas, question and exclamation marks.

    Raises:
        UnavailableError: `wakeword.no_voice`.
    """
    voices = _checked(native_voices(phrase.language, synthesizers), phrase.language)
    rng = _generator(seed, phrase.text, "positives")
    foreign = _accented(phrase, synthesizers) if accents else []
    spellings = tuple(texts) or _spellings(phrase.text)
    natives, strangers = _rounds(voices, rng), _rounds(foreign, rng)
    plan = []
    for _ in range(count):
        if foreign and rng.random() < ACCENT_SHARE:
            voice, said = next(strangers)
            plan.append(_utterance(said.names, voice, phrase, rng, kind="accent", phonemes=True))
        else:
            text = spellings[int(rng.integers(len(spellings)))]
            plan.append(_utterance(text, next(natives), phrase, rng))
    return plan


def plan_negatives(
    phrase: Phrase,
    confusables: Sequence[Confusable],
    synthesizers: Sequence[VoicedSynthesizer],
    *,
    count: int,
    seed: int,
) -> list[Utterance]:
    """`count` utterances, the confusables in turn, each time in other voices.

    Those that are phonemes go to voices of synthesisers that take them, and are left out without one.

    Raises:
        UnavailableError: `wakeword.no_voice`.
        InputError: `wakeword.no_negatives`, there is nothing to say.
    """
    voices = _checked(native_voices(phrase.language, synthesizers), phrase.language)
    able = {one.name for one in synthesizers if isinstance(one, PhonemeSpeaker)}
    spelled = [voice for voice in voices if voice.partition(":")[0] in able]
    # phonemes are named for the language that was asked for
    spelled = [voice for voice in spelled if _speaks(voice, phrase.language)]
    said = [one for one in confusables if spelled or not one.phonemes]
    if not said:
        raise InputError("there is nothing near the phrase to say", code="wakeword.no_negatives")
    rng = _generator(seed, phrase.text, "negatives")
    all_rounds, spelled_rounds = _rounds(voices, rng), _rounds(spelled, rng)
    plan = []
    for one in _turns(said, count, rng):
        voice = next(spelled_rounds if one.phonemes else all_rounds)
        text = one.text if one.phonemes else _marked(one.text, rng)
        plan.append(
            _utterance(text, voice, phrase, rng, kind=one.kind, phonemes=one.phonemes, distance=one.distance)
        )
    return plan


def speak_positives(
    phrase: Phrase,
    synthesizers: Sequence[VoicedSynthesizer],
    *,
    count: int,
    seed: int,
    workers: int = 2,
    accents: bool = True,
    on_skip: OnSkip = lambda utterance, error: None,
) -> Iterator[Spoken]:
    """`plan_positives`, spoken in its order."""
    plan = plan_positives(phrase, synthesizers, count=count, seed=seed, accents=accents)
    return speak(plan, synthesizers, workers=workers, on_skip=on_skip)


def speak_negatives(
    phrase: Phrase,
    confusables: Sequence[Confusable],
    synthesizers: Sequence[VoicedSynthesizer],
    *,
    count: int,
    seed: int,
    workers: int = 2,
    on_skip: OnSkip = lambda utterance, error: None,
) -> Iterator[Spoken]:
    """`plan_negatives`, spoken in its order."""
    plan = plan_negatives(phrase, confusables, synthesizers, count=count, seed=seed)
    return speak(plan, synthesizers, workers=workers, on_skip=on_skip)


def speak(
    plan: Iterable[Utterance],
    synthesizers: Sequence[VoicedSynthesizer],
    *,
    workers: int = 2,
    on_skip: OnSkip = lambda utterance, error: None,
) -> Iterator[Spoken]:
    """Each utterance of the plan, in its order; what a synthesiser refuses (it crashes on just these words
    in just this voice) is told to `on_skip` and left out.

    Args:
        workers: so many threads; the synthesisers decide how many of them speak at once.
    """
    for utterance, result in spoken_or_error(plan, synthesizers, workers=workers):
        if isinstance(result, Spoken):
            yield result
        else:
            on_skip(utterance, result)


def spoken_or_error(
    plan: Iterable[Utterance], synthesizers: Sequence[VoicedSynthesizer], *, workers: int
) -> Iterator[tuple[Utterance, Spoken | PhonoloopError]]:
    """As `speak`, with each utterance beside what became of it."""
    by_name = {one.name: one for one in synthesizers}
    attempt = partial(_attempt, by_name=by_name)
    yield from in_order(plan, attempt, workers=workers, ahead=_AHEAD, name="speaking")


def _attempt(utterance: Utterance, by_name: dict[str, Any]) -> Spoken | PhonoloopError:
    try:
        return _speak(utterance, by_name)
    except PhonoloopError as error:
        if isinstance(error, InputError) or error.code.endswith(".timeout"):
            return error  # about these words in this voice
        raise


def _speak(utterance: Utterance, by_name: dict[str, Any]) -> Spoken:
    name, _, voice = utterance.voice.partition(":")
    synthesizer = by_name[name]
    say = synthesizer.synthesize_phonemes if utterance.phonemes else synthesizer.synthesize
    # played faster by `tract` afterwards, so it is said that much slower and lower
    speed, pitch = utterance.speed / utterance.tract, utterance.pitch / utterance.tract
    said = say(utterance.text, voice=voice, speed=speed, pitch=pitch)
    samples = trimmed(change_speed(said, utterance.tract))
    if not len(samples):
        raise InputError("nothing is heard of this", code="wakeword.silent", subject=utterance.text)
    return Spoken(
        text=utterance.text,
        voice=utterance.voice,
        language=utterance.language,
        speed=utterance.speed,
        pitch=utterance.pitch,
        samples=at_level(samples, utterance.level_dbfs),
        kind=utterance.kind,
        distance=utterance.distance,
    )


# ---------------------------------------------------------------- how


def _utterance(text: str, voice: str, phrase: Phrase, rng: np.random.Generator, **about: Any) -> Utterance:
    return Utterance(
        text=text,
        voice=voice,
        language=phrase.language,
        speed=round(_between(rng, SPEEDS), 3),
        pitch=round(_between(rng, PITCHES), 3),
        level_dbfs=round(float(rng.uniform(*LEVELS_DBFS)), 1),
        tract=round(_between(rng, TRACTS), 3),
        **about,
    )


def _between(rng: np.random.Generator, factors: tuple[float, float]) -> float:
    """Half as fast is as likely as twice as fast."""
    return math.exp(rng.uniform(math.log(factors[0]), math.log(factors[1])))


def _spellings(text: str) -> tuple[str, ...]:
    """The tune of a statement, a question, a call; with more than one word, also with a pause between."""
    plain = (text, text, f"{text}.", f"{text}?", f"{text}!")
    words = text.split()
    return plain if len(words) < 2 else (*plain, f"{words[0]}, {' '.join(words[1:])}")


def _marked(text: str, rng: np.random.Generator) -> str:
    return text + ("", "", ".", "?", "!")[int(rng.integers(5))]


def _accented(phrase: Phrase, synthesizers: Sequence[VoicedSynthesizer]) -> list[tuple[str, Accent]]:
    """Every voice of another language that can say it, and what it says."""
    found = []
    for one in synthesizers:
        if isinstance(one, PhonemeSpeaker):
            for said in accents_of(phrase, one):
                voices = [name for name in one.voices(said.language) if _likely(name)]
                found += [(f"{one.name}:{name}", said) for name in voices if _speaks(name, said.language)]
    return found


def accents_of(phrase: Phrase, speaker: PhonemeSpeaker) -> list[Accent]:
    """The phrase in the sounds of other languages, as far as it stays recognisable."""
    base, known = phrase.language.partition("-")[0], set(speaker.languages())
    words = named_words(phrase.text, phrase.language, speaker)
    others = [name for name in ACCENTS if name in known and name.partition("-")[0] != base]
    said = (accent(words, inventory(name, frequent_words(name).words, speaker)) for name in others)
    return [one for one in said if one is not None]


def _speaks(voice: str, language: str) -> bool:
    return voice.rpartition(":")[2].partition("+")[0] == language


def _checked(voices: list[str], language: str) -> list[str]:
    if not voices:
        raise UnavailableError(
            f"there is no voice for {language}",
            code="wakeword.no_voice",
            hint="Install espeak-ng (pip install 'phonoloop[espeak]') or name a Piper voice of this language",
        )
    return voices


def _generator(seed: int, *about: str) -> np.random.Generator:
    return np.random.default_rng([seed, *(zlib.crc32(word.encode()) for word in about)])


def _rounds(items: Sequence[Any], rng: np.random.Generator) -> Iterator[Any]:
    """Without end: all of them in a random order, then again in another."""
    while items:
        yield from (items[int(at)] for at in rng.permutation(len(items)))


def _turns(items: Sequence[Confusable], count: int, rng: np.random.Generator) -> Iterator[Confusable]:
    rounds = _rounds(items, rng)
    return (next(rounds) for _ in range(count))
