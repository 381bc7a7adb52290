"""Several processes of espeak-ng that threads share, so that as many of them speak at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import LifoQueue

import numpy as np

from phonoloop.adapters.espeak import TIMEOUT_S, EspeakSynthesizer, NamedWord


class EspeakPool:
    """Does what an `EspeakSynthesizer` does, from several threads at once.

    Which process answers changes nothing in the answer. Ends with `close`, or at the end of a `with`.

    Args:
        workers: so many processes; each is started with its first call.

    Raises:
        UnavailableError: `espeak.missing`, `espeak.data`.
    """

    name = EspeakSynthesizer.name

    def __init__(self, workers: int = 2, timeout_s: float = TIMEOUT_S) -> None:
        self._workers = [EspeakSynthesizer(timeout_s) for _ in range(workers)]
        self._free: LifoQueue[EspeakSynthesizer] = LifoQueue()
        for worker in reversed(self._workers):
            self._free.put(worker)

    def __enter__(self) -> EspeakPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for worker in self._workers:
            worker.close()

    @contextmanager
    def _one(self) -> Iterator[EspeakSynthesizer]:
        worker = self._free.get()
        try:
            yield worker
        finally:
            self._free.put(worker)

    def voices(self, language: str) -> list[str]:
        with self._one() as espeak:
            return espeak.voices(language)

    def languages(self) -> list[str]:
        with self._one() as espeak:
            return espeak.languages()

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0, pitch: float = 1.0) -> np.ndarray:
        with self._one() as espeak:
            return espeak.synthesize(text, voice=voice, speed=speed, pitch=pitch)

    def synthesize_phonemes(
        self, names: str, *, voice: str, speed: float = 1.0, pitch: float = 1.0
    ) -> np.ndarray:
        with self._one() as espeak:
            return espeak.synthesize_phonemes(names, voice=voice, speed=speed, pitch=pitch)

    def phonemise(self, text: str, language: str) -> list[tuple[str, ...]]:
        with self._one() as espeak:
            return espeak.phonemise(text, language)

    def phonemise_all(self, texts: Sequence[str], language: str) -> list[list[tuple[str, ...]]]:
        with self._one() as espeak:
            return espeak.phonemise_all(texts, language)

    def named_phonemes(self, texts: Sequence[str], language: str) -> list[list[NamedWord]]:
        with self._one() as espeak:
            return espeak.named_phonemes(texts, language)
