"""A language of letters, and a synthesiser of beeps that speaks it."""

import zlib
from dataclasses import dataclass, field

import numpy as np

from phonoloop.core.errors import InputError

#: Latin letters that are IPA too
SOUNDS = {"c": "k", "q": "k", "x": "s", "y": "j", "r": "r"}


class LetterPhonemiser:
    """Each letter of a word is a sound; `xx` speaks as written, `xx-south` says `s` for `f`."""

    def languages(self):
        return ["xx", "xx-south", "yy"]

    def phonemise(self, text, language):
        return self.phonemise_all([text], language)[0]

    def phonemise_all(self, texts, language):
        return [
            [self._word(word, language) for word in text.lower().split() if self._word(word, language)]
            for text in texts
        ]

    def _word(self, word, language):
        sounds = [SOUNDS.get(ch, ch) for ch in word if ch.isalpha() and ch.isascii()]
        if len(sounds) == 1 and len(word) == 1:
            sounds.append("e")  # a letter on its own has a name
        return tuple("s" if language == "xx-south" and sound == "f" else sound for sound in sounds)


@dataclass
class Beeper(LetterPhonemiser):
    """Says every text as a tone between silences; refuses what holds `crash`."""

    name: str = "beeper"
    spoken: list = field(default_factory=list)

    def voices(self, language):
        languages = [name for name in self.languages() if name == language or name.startswith(f"{language}-")]
        return [f"{name}+{variant}" for name in languages for variant in ("low", "high", "odd")]

    def synthesize(self, text, *, voice, speed=1.0, pitch=1.0):
        self.spoken.append(text)
        if "crash" in text:
            raise InputError("it crashed", code="beeper.crashed", subject=text)
        return self._beep(text, voice, speed, pitch)

    def named_phonemes(self, texts, language):
        return [
            [[((sound,), f"'{sound}" if sound in "aeiou" else sound) for sound in word] for word in words]
            for words in self.phonemise_all(texts, language)
        ]

    def synthesize_phonemes(self, names, *, voice, speed=1.0, pitch=1.0):
        return self.synthesize(names, voice=voice, speed=speed, pitch=pitch)

    def _beep(self, text, voice, speed, pitch):
        frequency_hz = (200 + zlib.crc32(voice.encode()) % 200) * pitch
        count = int((0.1 + 0.03 * len(text)) / speed * 16_000)
        tone = 0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(count) / 16_000)
        return np.pad(tone, 2000).astype(np.float32)


class Reader:
    """Speaks, but knows nothing of phonemes."""

    name = "reader"

    def voices(self, language):
        return ["only"] if language == "xx" else []

    def synthesize(self, text, *, voice, speed=1.0, pitch=1.0):
        return np.full(1600, 0.1, np.float32)
