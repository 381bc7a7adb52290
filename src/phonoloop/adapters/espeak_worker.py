"""The child process that holds espeak-ng: `python -m … MEMORY_BYTES PARENT_PID LIBRARY DATA`.

It lives as long as its `EspeakSynthesizer` and serves one request at a time, over the pipes that
`core.child_side` describes; the data of an answer are samples (int16, mono, as the machine has them).

The library keeps the phase of its oscillators, its random numbers and its echo from one utterance
to the next, and not all of that can be reset through its interface. It is therefore loaded anew for
each request (0.4 ms), so that the same words in the same voice are the same samples, whatever was
spoken before.
"""

from __future__ import annotations

import _ctypes  # ctypes has no public way to unload a library
import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from phonoloop.core.child_side import DATA, DONE, FAILED, Answers, serve
from phonoloop.core.errors import NotFoundError, PhonoloopError, UnavailableError

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_RATE, _PITCH = 1, 3
_CHARS_UTF8 = 1
_PHONEME_INPUT = 0x100
_PHONEMES_IPA = 0x02
#: between the phonemes of a word; the interface takes any character, this one is in no text
_PHONEME_SEPARATOR = "\x1f"
_NAME_MODE = ord(_PHONEME_SEPARATOR) << 8
_PHONEME_MODE = _PHONEMES_IPA | _NAME_MODE

_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_Facts = dict[str, Any]


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


class _Espeak:
    """The library, loaded for one request at a time."""

    def __init__(self, library_path: str, data_path: str) -> None:
        self._library_path = library_path
        self._data_folder, self._data_name = os.path.split(os.path.abspath(data_path))

    def voices(self, _answers: Answers) -> _Facts:
        wanted = ctypes.create_string_buffer(b"variant")
        query = _Voice(languages=ctypes.addressof(wanted))
        with self._library() as (library, _):
            # by its file, `gmw/en-US`: some of the language names it lists cannot be selected
            return {
                "languages": [name.lower() for name in _listed(library, None)],
                "variants": list(_listed(library, query)),
            }

    def speak(
        self, answers: Answers, *, text: str, voice: str, rate: int, pitch: int, phonemes: bool
    ) -> _Facts:
        """`phonemes`: what stands in `[[` and `]]` is names of phonemes."""
        flags = _CHARS_UTF8 | (_PHONEME_INPUT if phonemes else 0)
        with self._library() as (library, rate_hz):
            _select(library, voice)
            pcm = _speak(library, _c_string(text), rate=rate, pitch=pitch, flags=flags)
        answers.send(DATA, pcm)
        return {"rate_hz": rate_hz}

    def phonemes(self, _answers: Answers, *, texts: list[str], voice: str, named: bool) -> _Facts:
        """Words of phonemes for each text, as the library writes them, with stress, tones and changes of
        language: in IPA, and by the names that it takes itself, where these are wanted or tell more."""
        with self._library() as (library, _):
            _select(library, voice)
            ipa = [_words(library, text, _PHONEME_MODE) for text in texts]
            names = [
                _words(library, text, _NAME_MODE) if named or _may_be_tone(words) else []
                for text, words in zip(texts, ipa, strict=True)
            ]
        return {"ipa": ipa, "names": names}

    @contextmanager
    def _library(self) -> Iterator[tuple[ctypes.CDLL, int]]:
        """A freshly loaded library and the rate of what it speaks in hertz."""
        library = _load(self._library_path)
        try:
            yield library, self._initialize(library)
        finally:
            library.espeak_Terminate()
            _unload(library)

    def _initialize(self, library: ctypes.CDLL) -> int:
        try:
            # the library keeps the path of its data in 160 bytes, so it gets one that is short
            os.chdir(self._data_folder)
        except OSError as error:
            raise self._no_data() from error
        rate_hz = library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, os.fsencode(self._data_name), _INITIALIZE_DONT_EXIT
        )
        if rate_hz <= 0:
            raise self._no_data()
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        return rate_hz

    def _no_data(self) -> UnavailableError:
        return UnavailableError(
            "espeak-ng did not find its data",
            code="espeak.data",
            subject=os.path.join(self._data_folder, self._data_name),
            hint="Install espeakng-loader again",
        )


def _load(path: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        raise UnavailableError(
            f"espeak-ng cannot be loaded ({error})",
            code="espeak.missing",
            subject=path,
            hint="Install espeakng-loader again",
        ) from error


def _unload(library: ctypes.CDLL) -> None:
    _ctypes.dlclose(library._handle)


def _c_string(text: str) -> bytes:
    return text.encode() + b"\0"


def _listed(library: ctypes.CDLL, query: _Voice | None) -> Iterator[str]:
    """The names of the files of the voices."""
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    table = library.espeak_ListVoices(None if query is None else ctypes.byref(query))
    index = 0
    while table[index]:
        yield table[index].contents.identifier.decode().split("/")[-1]
        index += 1


def _select(library: ctypes.CDLL, voice: str) -> None:
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise NotFoundError("espeak-ng cannot load this voice", code="espeak.voice", subject=voice)


def _speak(library: ctypes.CDLL, text: bytes, *, rate: int, pitch: int, flags: int) -> bytearray:
    """int16 at the library's own rate."""
    pcm = bytearray()
    callback = _SynthCallback(partial(_collect, pcm))
    library.espeak_SetSynthCallback(callback)
    library.espeak_SetParameter(_RATE, rate, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 1, 0, flags, None, None)
    library.espeak_Synchronize()
    return pcm


def _collect(pcm: bytearray, samples: int | None, count: int, _events: int | None) -> int:
    if samples and count > 0:
        pcm += ctypes.string_at(samples, 2 * count)
    return 0  # go on


def _words(library: ctypes.CDLL, text: str, mode: int) -> list[list[str]]:
    clauses = _clauses(library, _c_string(text), mode)
    return [word.split(_PHONEME_SEPARATOR) for clause in clauses for word in clause.split(" ")]


def _may_be_tone(words: list[list[str]]) -> bool:
    """In its IPA the third tone is written as a vowel."""
    return any(len(phoneme) > 1 and phoneme.endswith("ɜ") for word in words for phoneme in word)


def _clauses(library: ctypes.CDLL, text: bytes, mode: int) -> Iterator[str]:
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    rest = ctypes.c_char_p(text)
    while rest.value:  # it moves the pointer on by a clause, and to null after the last
        clause = library.espeak_TextToPhonemes(ctypes.byref(rest), _CHARS_UTF8, mode)
        if clause.strip():
            yield clause.decode().strip(" ")  # str.strip would take the separator too


def _handle(tasks: Mapping[str, Callable[..., _Facts]], request: dict[str, Any], answers: Answers) -> None:
    task = tasks[request.pop("task")]
    try:
        facts = task(answers, **request)
    except PhonoloopError as error:
        told = {"code": error.code, "message": error.message, "subject": error.subject, "hint": error.hint}
        answers.send_json(FAILED, told)
    else:
        answers.send_json(DONE, facts)


def main(arguments: list[str]) -> None:
    espeak = _Espeak(*arguments[2:])
    tasks = {"voices": espeak.voices, "speak": espeak.speak, "phonemes": espeak.phonemes}
    serve(partial(_handle, tasks), memory_bytes=int(arguments[0]), parent_pid=int(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
