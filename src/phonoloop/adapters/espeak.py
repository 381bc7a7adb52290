"""espeak-ng, from the `espeakng-loader` wheel: speech and phonemes without anything installed.

A voice is a language of espeak-ng with or without one of its variants: `vi`, `vi+f2`,
`vi-vn-x-central+m3`, `en-us+Annie`.

Some variants crash the library for some words at some speeds (in espeak-ng 1.52 `vi+Andrea` at 1.05).
It therefore runs in a process of its own (`espeak_worker`), which is replaced when it dies.
"""

from __future__ import annotations

import importlib
import math
import re
import signal
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import chain
from typing import Any

import numpy as np
import soxr

from phonoloop.core.child import Answer, ChildDied, ChildLate, ChildProcess
from phonoloop.core.errors import InputError, NotFoundError, PhonoloopError, ResourceError, UnavailableError
from phonoloop.core.units import CANONICAL_RATE_HZ

WORDS_A_MINUTE = 175  # espeak-ng's own normal rate
MIN_SPEED, MAX_SPEED = 0.5, 2.5
MIN_PITCH, MAX_PITCH = 0.5, 1.98
#: a sentence takes milliseconds; this is for a library that hangs
TIMEOUT_S = 60.0

_MEMORY_BYTES = 1 << 30
_TEXT_SHOWN_CHARS = 80
#: a change of language, stress, and the signs of elision and of a pause
_NO_PHONEMES = re.compile(r"\([a-z0-9-]+\)|[ˈˌ_\-]")
_SWITCH = re.compile(r"\(([a-z0-9-]+)\)")
_PHONEMES = re.compile(r"[0-9]+|[^0-9\s]+")
#: at the end of a phoneme's name, after its vowel
_TONE = re.compile(r"(?<=[^0-9'])[0-9]*3[0-9]*$")
#: pairs of a phoneme in IPA (a tone is a second one) and its name
NamedWord = list[tuple[tuple[str, ...], str]]
_REFUSALS: dict[str, type[PhonoloopError]] = {"espeak.voice": NotFoundError}


class EspeakSynthesizer:
    """A `Synthesizer` and a `Phonemiser`, also for many texts at once. Safe to use from several threads,
    which take turns.

    Its process starts with the first call and ends with this object, or with `close`, or at the end
    of a `with`; a call after that starts another.

    Args:
        timeout_s: how long one call may take.

    Raises:
        UnavailableError: `espeak.missing`, where the wheel is not installed or cannot be loaded;
            `espeak.data`, from any call, where its data are not there.
        ResourceError: `resource.no_process` from any call, its process cannot be started;
            `espeak.memory`, it was killed from outside.
    """

    name = "espeak-ng"

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._child = ChildProcess(
            "phonoloop.adapters.espeak_worker",
            _locate(),
            memory_bytes=_MEMORY_BYTES,
            about="process of espeak-ng",
            start_hint="Free memory or processes",
        )

    def __enter__(self) -> EspeakSynthesizer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._child.close()

    def voices(self, language: str) -> list[str]:
        """Every voice of a language, all its regions and variants: `vi`, `vi+Alex`, … in a fixed order.

        An unknown language has none.
        """
        regions = [name for name in self._languages if name == language or name.startswith(f"{language}-")]
        return [voice for region in regions for voice in (region, *(f"{region}+{v}" for v in self._variants))]

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0, pitch: float = 1.0) -> np.ndarray:
        """(n,) float32 in [-1, 1] at 16,000 Hz; the same arguments give the same samples.

        Args:
            speed: 0.5 to 2.5 times the voice's own rate.
            pitch: 0.5 to 1.98 times the voice's own.

        Raises:
            NotFoundError: `espeak.voice`, for a voice that `voices` does not name.
            InputError: `espeak.text` for text without anything to say, `espeak.speed`, `espeak.pitch`,
                `espeak.crashed` where espeak-ng crashes on just this. The next call works.
            ResourceError: `espeak.timeout`.
        """
        return self._speak(text, voice, speed=speed, pitch=pitch, phonemes=False)

    def synthesize_phonemes(
        self, names: str, *, voice: str, speed: float = 1.0, pitch: float = 1.0
    ) -> np.ndarray:
        """As `synthesize`, of phonemes by the names that `named_phonemes` gives for the voice's language,
        with `'` before a stressed vowel and spaces between words: `h'eI t'A@z`. A name that the language
        does not have is left out."""
        return self._speak(f"[[{names}]]", voice, speed=speed, pitch=pitch, phonemes=True)

    def _speak(self, text: str, voice: str, *, speed: float, pitch: float, phonemes: bool) -> np.ndarray:
        _check_range("speed", speed, MIN_SPEED, MAX_SPEED)
        _check_range("pitch", pitch, MIN_PITCH, MAX_PITCH)
        self._check_voice(voice)
        _check_text(text)
        # its pitch runs from 0 to 100, one octave to either side of 50
        wish = {"rate": round(WORDS_A_MINUTE * speed), "pitch": round(50 + 50 * math.log2(pitch))}
        about = f"{voice}, speed {speed:g}, pitch {pitch:g}, {_shown(text)}"
        answer = self._ask(
            {"task": "speak", "text": text, "voice": voice, "phonemes": phonemes, **wish}, about
        )
        pcm = np.frombuffer(answer.data, np.int16)
        if not pcm.any():
            raise InputError("there is nothing to say in this text", code="espeak.text", subject=_shown(text))
        resampled = soxr.resample(
            pcm.astype(np.float32) / 32768, answer.content["rate_hz"], CANONICAL_RATE_HZ
        )
        return np.clip(resampled, -1.0, 1.0)

    def languages(self) -> list[str]:
        """What `phonemise` takes, in the order of their names: `en-us`, `vi`, `vi-vn-x-south`, …"""
        return list(self._languages)

    def phonemise(self, text: str, language: str) -> list[tuple[str, ...]]:
        """The phonemes of each word, in the International Phonetic Alphabet; nothing for nothing to say.

        Words are as espeak-ng groups them: it may run small ones together (`of the`). Numbers and symbols
        are spelled out, foreign words sound as in their own language. Tones are espeak-ng's digits, each a
        phoneme of its own after the vowel; stress is left out.

        Raises:
            NotFoundError: `espeak.voice`, for a language it does not speak.
            InputError: `espeak.text` for text that is not Unicode, `espeak.no_phonemes` for letters and
                digits that it cannot read in this language, `espeak.crashed`.
            ResourceError: `espeak.timeout`.
        """
        found = self.phonemise_all([text], language)[0]
        if not found and any(ch.isalnum() for ch in text):
            raise _no_phonemes(text, language)
        return found

    def phonemise_all(self, texts: Sequence[str], language: str) -> list[list[tuple[str, ...]]]:
        """As `phonemise`, of each text; thousands of words take as long as one sentence spoken. A text that
        it cannot read has no phonemes.

        Raises:
            NotFoundError, InputError, ResourceError: as `phonemise`, but for `espeak.no_phonemes`.
        """
        named = self._named(texts, language, named=False)
        sounds = [[tuple(chain.from_iterable(ipa for ipa, _ in word)) for word in words] for words in named]
        return [[word for word in words if word] for words in sounds]

    def named_phonemes(self, texts: Sequence[str], language: str) -> list[list[NamedWord]]:
        """For each text its words, of pairs: a phoneme as `phonemise` has it (a tone is a second one; nothing
        for what makes no sound), and the name by which `synthesize_phonemes` takes it, with its stress."""
        return self._named(texts, language, named=True)

    def _named(self, texts: Sequence[str], language: str, *, named: bool) -> list[list[NamedWord]]:
        self._check_voice(language)
        for text in filter(str.strip, texts):
            _check_text(text)
        request = {"task": "phonemes", "texts": list(texts), "voice": language, "named": named}
        content = self._ask(request, f"phonemes, {language}, {_shown(' '.join(texts))}").content
        pairs = zip(content["ipa"], content["names"], strict=True)
        return [_named_words(ipa, names, language) for ipa, names in pairs]

    def _check_voice(self, voice: str) -> None:
        language, _, variant = voice.partition("+")
        if language not in self._languages or (variant and variant not in self._variants):
            raise NotFoundError(
                "espeak-ng has no such voice",
                code="espeak.voice",
                subject=voice,
                hint="`voices(language)` lists them, as in vi, vi+f2 or vi-vn-x-central+m3",
            )

    @property
    def _languages(self) -> list[str]:
        return self._listed["languages"]

    @property
    def _variants(self) -> list[str]:
        return self._listed["variants"]

    @cached_property
    def _listed(self) -> dict[str, list[str]]:
        answer = self._ask({"task": "voices"}, "list of voices")
        return {kind: sorted(names) for kind, names in answer.content.items()}

    def _ask(self, request: dict[str, Any], about: str) -> Answer:
        try:
            answer = self._child.ask(request, timeout_s=self._timeout_s, once_more=True)
        except ChildLate:
            raise _late(about, self._timeout_s) from None
        except ChildDied as died:
            raise _crashed(about, died) from None
        if answer.failed:
            told = answer.content
            kind = _REFUSALS.get(told["code"], UnavailableError)
            raise kind(told["message"], code=told["code"], subject=told["subject"], hint=told["hint"])
        return answer


def _locate() -> tuple[str, str]:
    """The library, and its data."""
    try:
        loader = importlib.import_module("espeakng_loader")
        return loader.get_library_path(), loader.get_data_path()
    except (ImportError, RuntimeError, OSError) as error:
        raise UnavailableError(
            f"espeak-ng cannot be used ({error})",
            code="espeak.missing",
            hint="pip install 'phonoloop[espeak]'",
        ) from error


def _late(about: str, timeout_s: float) -> ResourceError:
    return ResourceError(
        f"espeak-ng took longer than {timeout_s:g} s and was stopped",
        code="espeak.timeout",
        subject=about,
        hint="Give a shorter text; if that is not it, take another voice or speed",
    )


def _crashed(about: str, died: ChildDied) -> PhonoloopError:
    if died.returncode == -signal.SIGKILL:  # not by us: the system was short of memory
        return ResourceError(
            "the process of espeak-ng was killed",
            code="espeak.memory",
            subject=about,
            hint="Free memory and try again",
        )
    return InputError(
        f"espeak-ng crashed on this ({died.how})",
        code="espeak.crashed",
        subject=about,
        hint="Take another voice or speed, or leave out the word that it happens at",
    )


def _named_words(ipa: list[list[str]], names: list[list[str]], language: str) -> list[NamedWord]:
    """Where the library counts differently in its two writings, and in stretches that it reads as another
    language, there are no names."""
    called = names if list(map(len, ipa)) == list(map(len, names)) else [[""] * len(word) for word in ipa]
    foreign = False
    found = []
    for word, word_names in zip(ipa, called, strict=True):
        pairs = []
        for written, name in zip(word, word_names, strict=True):
            switch = _SWITCH.search(written) if "(" in written else None
            after = switch[1].partition("-")[0] != language.partition("-")[0] if switch else foreign
            # the mark stands before the first phoneme of the other language, or after its last
            foreign = after if switch and switch.start() == 0 else foreign
            pairs.append((_phonemes(written, name), "" if foreign else name))
            foreign = after
        found.append(pairs)
    return found


@lru_cache(maxsize=8192)
def _phonemes(written: str, name: str) -> tuple[str, ...]:
    """One of the library's phonemes, or a mark between them, as phonemes: `ˈaː2` is `aː` and `2`."""
    if _TONE.search(name) and written.endswith("ɜ"):  # its IPA takes the digit for a vowel
        written = written[:-1] + "3"
    return tuple(_PHONEMES.findall(_NO_PHONEMES.sub("", written)))


def _no_phonemes(text: str, language: str) -> InputError:
    return InputError(
        f"espeak-ng cannot read this in {language}",
        code="espeak.no_phonemes",
        subject=_shown(text),
        hint="Spell it in letters of that language, or take another language: of some only the name is there",
    )


def _check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise InputError(
            f"{name} is {value}",
            code=f"espeak.{name}",
            hint=f"Give a factor from {lowest} to {highest}",
        )


def _check_text(text: str) -> None:
    if not text.strip():
        raise InputError("there is nothing to say in this text", code="espeak.text", subject=_shown(text))
    if "\0" in text:
        raise InputError(
            "there is a NUL character in this text",
            code="espeak.text",
            subject=_shown(text),
            hint="Take it out: the file may not be text",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text is not Unicode ({error.reason})", code="espeak.text", subject=_shown(text)
        ) from error


def _shown(text: str) -> str:
    return repr(text[:_TEXT_SHOWN_CHARS])
