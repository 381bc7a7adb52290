"""espeak-ng, from the `espeakng-loader` wheel: speech and phonemes without anything installed.

A voice is a language of espeak-ng with or without one of its variants: `vi`, `vi+f2`,
`vi-vn-x-central+m3`, `en-us+Annie`.

The library keeps the phase of its oscillators, its random numbers and its echo from one utterance
to the next, and not all of that can be reset through its interface. It is therefore loaded anew for
each call (0.4 ms), so that the same words in the same voice are the same samples, whatever was
spoken before. The library has one state for the whole process, hence one lock for the module.
"""

from __future__ import annotations

import _ctypes  # ctypes has no public way to unload a library
import ctypes
import importlib
import math
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import soxr

from phonoloop.core.errors import InputError, NotFoundError, UnavailableError
from phonoloop.core.units import CANONICAL_RATE_HZ

WORDS_A_MINUTE = 175  # espeak-ng's own normal rate
MIN_SPEED, MAX_SPEED = 0.5, 2.5
MIN_PITCH, MAX_PITCH = 0.5, 1.98

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_RATE, _PITCH = 1, 3
_CHARS_UTF8 = 1
_PHONEMES_IPA = 0x02
# the library keeps the path in 160 bytes and appends file names to it
_LONGEST_DATA_PATH = 110

_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_lock = threading.Lock()


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class EspeakSynthesizer:
    """A `Synthesizer` and a phonemiser. Safe to use from several threads, which take turns.

    Raises:
        UnavailableError: `espeak.missing`, where the wheel is not installed or cannot be loaded.
    """

    def __init__(self) -> None:
        self._library_path, self._data_path = _locate()

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
            InputError: `espeak.text` for text without anything to say, `espeak.speed`, `espeak.pitch`.
        """
        _check_range("speed", speed, MIN_SPEED, MAX_SPEED)
        _check_range("pitch", pitch, MIN_PITCH, MAX_PITCH)
        self._check_voice(voice)
        with self._library() as (library, rate_hz):
            pcm = _speak(library, _encoded(text), voice=voice, speed=speed, pitch=pitch)
        if not pcm.any():
            raise InputError("there is nothing to say in this text", code="espeak.text", subject=text[:80])
        return np.clip(soxr.resample(pcm.astype(np.float32) / 32768, rate_hz, CANONICAL_RATE_HZ), -1.0, 1.0)

    def phonemes(self, text: str, language: str) -> str:
        """The International Phonetic Alphabet, words apart, with espeak-ng's tone digits.

        Raises:
            NotFoundError: `espeak.voice`, for a language it does not speak.
            InputError: `espeak.text`.
        """
        self._check_voice(language)
        with self._library() as (library, _):
            _select(library, language)
            return " ".join(_clauses(library, _encoded(text)))

    def _check_voice(self, voice: str) -> None:
        language, _, variant = voice.partition("+")
        if language not in self._languages or (variant and variant not in self._variants):
            raise NotFoundError(
                "espeak-ng has no such voice",
                code="espeak.voice",
                subject=voice,
                hint="`voices(language)` lists them, as in vi, vi+f2 or vi-vn-x-central+m3",
            )

    @cached_property
    def _languages(self) -> list[str]:
        with self._library() as (library, _):
            # by its file, `gmw/en-US`: some of the language names it lists cannot be selected
            return sorted(v.identifier.decode().split("/")[-1].lower() for v in _listed(library, None))

    @cached_property
    def _variants(self) -> list[str]:
        wanted = ctypes.create_string_buffer(b"variant")
        query = _Voice(languages=ctypes.addressof(wanted))
        with self._library() as (library, _):
            return sorted(v.identifier.decode().split("/")[-1] for v in _listed(library, query))

    @contextmanager
    def _library(self) -> Iterator[tuple[ctypes.CDLL, int]]:
        """A freshly loaded library, to oneself, and the rate of what it speaks in hertz."""
        with _lock, _short(self._data_path) as data_path:
            library = ctypes.CDLL(self._library_path)
            try:
                yield library, _initialize(library, data_path)
            finally:
                library.espeak_Terminate()
                _unload(library)


def _locate() -> tuple[str, str]:
    try:
        loader = importlib.import_module("espeakng_loader")
        return loader.get_library_path(), loader.get_data_path()
    except (ImportError, RuntimeError, OSError) as error:
        raise UnavailableError(
            f"espeak-ng cannot be used ({error})",
            code="espeak.missing",
            hint="pip install 'phonoloop[espeak]'",
        ) from error


@contextmanager
def _short(data_path: str) -> Iterator[str]:
    """The data folder by a path that the library can hold."""
    if len(os.fsencode(data_path)) <= _LONGEST_DATA_PATH:
        yield data_path
        return
    with tempfile.TemporaryDirectory(prefix="espeak-") as folder:
        link = Path(folder, "espeak-ng-data")
        link.symlink_to(data_path, target_is_directory=True)
        yield str(link)


def _initialize(library: ctypes.CDLL, data_path: str) -> int:
    rate_hz = library.espeak_Initialize(
        _AUDIO_OUTPUT_SYNCHRONOUS, 0, os.fsencode(data_path), _INITIALIZE_DONT_EXIT
    )
    if rate_hz <= 0:
        raise UnavailableError(
            "espeak-ng did not find its data",
            code="espeak.data",
            subject=data_path,
            hint="install espeakng-loader again",
        )
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    return rate_hz


def _unload(library: ctypes.CDLL) -> None:
    unload: Callable[[int], None] = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary
    unload(library._handle)


def _listed(library: ctypes.CDLL, query: _Voice | None) -> Iterator[_Voice]:
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    table = library.espeak_ListVoices(None if query is None else ctypes.byref(query))
    index = 0
    while table[index]:
        yield table[index].contents
        index += 1


def _check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise InputError(
            f"{name} is {value}",
            code=f"espeak.{name}",
            hint=f"give a factor from {lowest} to {highest}",
        )


def _encoded(text: str) -> bytes:
    if "\0" in text or not text.strip():
        raise InputError("there is nothing to say in this text", code="espeak.text", subject=repr(text[:80]))
    return text.encode() + b"\0"


def _select(library: ctypes.CDLL, voice: str) -> None:
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise NotFoundError("espeak-ng cannot load this voice", code="espeak.voice", subject=voice)


def _speak(library: ctypes.CDLL, text: bytes, *, voice: str, speed: float, pitch: float) -> np.ndarray:
    """int16 at the library's own rate."""
    pieces: list[np.ndarray] = []
    callback = _SynthCallback(partial(_collect, pieces))
    library.espeak_SetSynthCallback(callback)
    _select(library, voice)
    library.espeak_SetParameter(_RATE, round(WORDS_A_MINUTE * speed), 0)
    # its pitch runs from 0 to 100, one octave to either side of 50
    library.espeak_SetParameter(_PITCH, round(50 + 50 * math.log2(pitch)), 0)
    library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, _CHARS_UTF8, None, None)
    library.espeak_Synchronize()
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def _collect(pieces: list[np.ndarray], samples: ctypes._Pointer, count: int, _events: int) -> int:
    if samples and count > 0:
        pieces.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
    return 0  # go on


def _clauses(library: ctypes.CDLL, text: bytes) -> Iterator[str]:
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    rest = ctypes.c_char_p(text)
    while rest.value:  # it moves the pointer on by a clause, and to null after the last
        clause = library.espeak_TextToPhonemes(ctypes.byref(rest), _CHARS_UTF8, _PHONEMES_IPA)
        if clause.strip():
            yield clause.decode().strip()
