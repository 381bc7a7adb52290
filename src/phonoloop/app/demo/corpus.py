"""Synthesised recordings with their transcripts beside them, as somebody might drop them into the inbox."""

from __future__ import annotations

import json
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
import soundfile
import yaml

from phonoloop.audio.augment import WaveAugment, WaveAugmentConfig
from phonoloop.core.errors import ConfigError, InputError, PhonoloopError
from phonoloop.core.speech import Synthesizer
from phonoloop.core.units import CANONICAL_RATE_HZ, samples_to_seconds
from phonoloop.data.model import Split

LICENCE = "CC0-1.0"
NOISY_SHARE = 0.25
#: what of a synthesiser's errors is about this sentence in this voice, and nothing else
UNSPEAKABLE = ("espeak.crashed", "espeak.timeout")

_RECORDER = WaveAugmentConfig(
    speeds=(1.0,),
    pad_probability=1.0,
    pad_s=0.25,
    noise_probability=1.0,
    generated_noise_share=1.0,
    floor_probability=1.0,
    room_probability=0.3,
    room_rt60_s=(0.1, 0.3),
    room_direct_db=(3.0, 12.0),
    channel_probability=0.5,
    tilt_db=6.0,
    ripple_db=2.0,
    telephone_probability=0.0,
    volume=(0.5, 1.0),
)
_SNR_DB = {"quiet": (25.0, 40.0), "noisy": (10.0, 20.0)}
_DIALECTS = {"vi": "north", "vi-vn-x-central": "central", "vi-vn-x-south": "south"}


@dataclass(frozen=True, slots=True)
class DemoVoice:
    """A made-up speaker.

    Attributes:
        voice: the synthesiser's name for it.
        speed, pitch: factors of the voice's own.
        batch: with which batch its recordings arrive.
    """

    name: str
    voice: str
    speed: float
    pitch: float
    split: Split
    batch: int

    @property
    def dialect(self) -> str:
        return _DIALECTS[self.voice.partition("+")[0]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What was written: the audio files, and their total duration.

    Attributes:
        skipped: sentences that the synthesiser crashed on; the voice said its next one instead.
    """

    files: tuple[Path, ...]
    duration_s: float
    skipped: int = 0


def load_voices() -> list[DemoVoice]:
    """The speakers of `voices.yaml`, in its order.

    Raises:
        ConfigError: `voices.invalid`.
    """
    source = resources.files(__package__) / "voices.yaml"
    rows = yaml.safe_load(source.read_text(encoding="utf-8"))
    try:
        return [DemoVoice(**{**row, "split": Split(row["split"])}) for row in rows]
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigError(
            f"a row is no voice ({error})", code="voices.invalid", subject=str(source)
        ) from error


def write_batch(
    folder: Path,
    voices: Sequence[DemoVoice],
    sentences: Sequence[str],
    *,
    synthesizer: Synthesizer,
    per_voice: int,
    seed: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Batch:
    """Has each voice say `per_voice` of the sentences, none of them twice.

    Every fourth recording is an MP3, the others are WAV, each with its sidecar, in a folder for each
    speaker. A quarter of them is noisy; some have a room and a microphone's colour. The same
    arguments write the same files. A sentence that the synthesiser crashes on in a voice is left out
    there, and the voice says the next one.

    Args:
        on_progress: called with (recordings done, recordings in all).

    Raises:
        InputError: `demo.sentences`, where there are fewer sentences than `per_voice`; the
            synthesiser's own, where a voice can say fewer.
    """
    if per_voice > len(sentences):
        raise InputError(
            f"{per_voice} recordings a voice need as many sentences, there are {len(sentences)}",
            code="demo.sentences",
        )
    wanted = [(voice, place) for voice in voices for place in range(per_voice)]
    recorders = _recorders()
    readers = {
        voice.name: _Reader(voice, _order(sentences, seed, voice.name), synthesizer, per_voice)
        for voice in voices
    }
    files, samples = [], 0
    for done, (voice, place) in enumerate(wanted, start=1):
        rng = _rng(seed, voice.name, place)
        environment = "noisy" if rng.random() < NOISY_SHARE else "quiet"
        text, speech = readers[voice.name].next()
        recording = recorders[environment](speech, rng)
        stem = folder / voice.name / f"{voice.name}-{seed:02d}-{place:04d}"
        files.append(_write(stem, recording, _sidecar(voice, text, environment), mp3=place % 4 == 3))
        samples += len(recording)
        on_progress(done, len(wanted))
    skipped = sum(reader.skipped for reader in readers.values())
    return Batch(files=tuple(files), duration_s=samples_to_seconds(samples), skipped=skipped)


class _Reader:
    """A voice that is to say `wanted` of the sentences, the first that it can."""

    def __init__(
        self, voice: DemoVoice, sentences: Sequence[str], synthesizer: Synthesizer, wanted: int
    ) -> None:
        self._voice, self._synthesizer = voice, synthesizer
        self._left, self._wanted = deque(sentences), wanted
        self.skipped = 0

    def next(self) -> tuple[str, np.ndarray]:
        """A sentence, and its speech."""
        while True:
            text = self._left.popleft()
            try:
                speech = self._speak(text)
            except PhonoloopError as error:
                if error.code not in UNSPEAKABLE or len(self._left) < self._wanted:
                    raise
                self.skipped += 1
            else:
                self._wanted -= 1
                return text, speech

    def _speak(self, text: str) -> np.ndarray:
        voice = self._voice
        return self._synthesizer.synthesize(text, voice=voice.voice, speed=voice.speed, pitch=voice.pitch)


def _order(sentences: Sequence[str], seed: int, name: str) -> list[str]:
    return [sentences[int(place)] for place in _rng(seed, name).permutation(len(sentences))]


def _recorders() -> dict[str, WaveAugment]:
    return {name: WaveAugment(replace(_RECORDER, noise_snr_db=snr_db)) for name, snr_db in _SNR_DB.items()}


def _rng(seed: int, name: str, place: int = -1) -> np.random.Generator:
    """Independent of which other voices and recordings there are."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), place + 1])


def _sidecar(voice: DemoVoice, text: str, environment: str) -> dict[str, str | bool]:
    return {
        "text": text,
        "speaker": voice.name,
        "dialect": voice.dialect,
        "language": "vi",
        "environment": environment,
        "licence": LICENCE,
        "synthetic": True,
        "voice": voice.voice,
    }


def _write(stem: Path, samples: np.ndarray, sidecar: dict[str, str | bool], *, mp3: bool) -> Path:
    """The sidecar first: a watched folder never sees the audio without its text."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".json").write_text(json.dumps(sidecar, ensure_ascii=False), encoding="utf-8")
    audio = stem.with_suffix(".mp3" if mp3 else ".wav")
    soundfile.write(audio, samples, CANONICAL_RATE_HZ)
    return audio
