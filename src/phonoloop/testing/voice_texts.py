"""Clips of a voice, their texts, and a recogniser that needs no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from phonoloop.core.speech import Span, Transcription, Word
from phonoloop.core.units import CANONICAL_RATE_HZ
from phonoloop.voice.data import RATE_HZ, Source, VoiceClip
from phonoloop.voice.texts import ClipText, Heard, Origin

_LEVEL, _PAUSE_S = 0.1, 0.1
_LOWEST_HZ, _STEP_HZ = 200, 100


def source(source_id: str = "s", **given: Any) -> Source:
    """A recording by Lan, in Vietnamese."""
    usual = {"name": "talk.mp4", "original_sha256": "0", "original_rate_hz": 48_000, "samples": 10_000_000}
    return Source(**{"source_id": source_id, "language": "vi", "speaker": "Lan"} | usual | given)


def clip(
    clip_id: str,
    start_s: float = 0.0,
    end_s: float = 2.0,
    *,
    source_id: str = "s",
    refused: tuple[str, ...] = (),
    **facts: Any,
) -> VoiceClip:
    """One span of a recording, unprocessed."""
    span = Span(round(start_s * RATE_HZ), round(end_s * RATE_HZ))
    return VoiceClip(
        clip_id=clip_id,
        source_id=source_id,
        spans=(span,),
        samples=span.samples,
        facts=facts,
        refused=refused,
    )


def text(
    clip_id: str = "c",
    said: str = "xin chào các bạn",
    *,
    start_s: float = 0.0,
    duration_s: float = 1.0,
    **given: Any,
) -> ClipText:
    """A text that a machine heard twice alike. Arguments `heard_…` go to its `Heard`."""
    of_heard = {name: given.pop(name) for name in list(given) if name.startswith("heard_")}
    usual = {
        "key": clip_id,
        "text": said,
        "origin": Origin.MACHINE,
        "second": said,
        "language": "vi",
        "model_version": "fake-1",
        "edges_db": (-40.0, -40.0),
        "sounds": len(said.split()),
        "sound_unit": "syllables",
    }
    start, samples = round(start_s * RATE_HZ), round(duration_s * RATE_HZ)
    fields = {"source_id": "s", "speaker": "Lan", "language": "vi", "text": said} | given
    heard = Heard(**usual | {name.removeprefix("heard_"): value for name, value in of_heard.items()})
    spans = (Span(start, start + samples),)
    return ClipText(clip_id=clip_id, spans=spans, samples=samples, heard=heard, **fields)


class FakeEar:
    """A `Transcriber` that hears pitch: `tone(1)` is the first of its texts, `tone(2)` the second, …

    Args:
        texts: what it hears; an exception is raised instead.
        quieter: what it hears where a tone is not as loud as it was made, by number.
        before: called with the number of each clip before it is heard.

    Attributes:
        heard: the numbers of what it was asked, in order.
    """

    def __init__(
        self,
        texts: Sequence[str | Exception],
        *,
        version: str = "fake-1",
        quieter: Mapping[int, str] | None = None,
        before: Callable[[int], object] = lambda number: None,
    ) -> None:
        self.model_version = version
        self.heard: list[int] = []
        self._texts, self._quieter, self._before = texts, quieter or {}, before

    def transcribe(self, samples: np.ndarray) -> Transcription:
        middle = samples[len(samples) // 4 : -len(samples) // 4]
        crossings_a_s = np.count_nonzero(np.diff(np.signbit(middle))) * CANONICAL_RATE_HZ / len(middle)
        number = round((crossings_a_s / 2 - _LOWEST_HZ) / _STEP_HZ)
        self._before(number)
        self.heard.append(number)
        said = self._texts[number - 1]
        if np.abs(middle).max() < 0.75 * _LEVEL:
            said = self._quieter.get(number, said)
        if isinstance(said, Exception):
            raise said
        words = tuple(Word(word, 0, 1, 0.9) for word in said.split())
        return Transcription(
            said, confidence=0.9, words=words, language="vi", model_version=self.model_version
        )


def tone(number: int, duration_s: float = 2.0) -> np.ndarray:
    """What a `FakeEar` hears as its text `number`, silence around it: float32 (n,) at 22,050 Hz."""
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    samples = _LEVEL * np.sin(2 * np.pi * (_LOWEST_HZ + _STEP_HZ * number) * time_s)
    pause = round(_PAUSE_S * RATE_HZ)
    samples[:pause] = samples[-pause:] = 0.0
    return samples.astype(np.float32)
