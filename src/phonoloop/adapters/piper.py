"""Voices of Piper: a VITS network as ONNX with a JSON beside it, run by onnxruntime without Piper itself.

Inputs of the network are `input` (1, n) int64 phoneme ids, `input_lengths` (1,), `scales` (noise, length,
noise of durations) and, with several speakers, `sid` (1,); its output is the waveform. The ids come from
espeak-ng's phonemes as the JSON numbers them: begin, then each phoneme with a pad after it, then end (Piper's
`phonemes_to_ids`, https://github.com/OHF-Voice/piper1-gpl). The network draws noise of its own, so the same
text does not give the same samples twice.
"""

from __future__ import annotations

import json
import threading
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
import soxr

from phonoloop.core.errors import InputError, IntegrityError, NotFoundError
from phonoloop.core.ids import file_sha256
from phonoloop.core.units import CANONICAL_RATE_HZ

MIN_SPEED, MAX_SPEED = 0.4, 2.5
MIN_PITCH, MAX_PITCH = 0.5, 2.0
_BEGIN, _END, _PAD, _SPACE = "^", "$", "_", " "
_CLAUSES = ",;:"
_CLOSING = ".?!"
#: factors of the model's own noise, by text and voice: the same words do not always sound the same
_NOISES = (0.8, 1.2)
_SPEAKER = "#"
_LONGEST_PHONEMES = 1000


class NamesPhonemes(Protocol):
    """As `adapters.espeak.EspeakSynthesizer`."""

    def named_phonemes(
        self, texts: Sequence[str], language: str
    ) -> list[list[list[tuple[tuple[str, ...], str]]]]: ...


@dataclass(frozen=True, slots=True)
class PiperVoice:
    """A model and what its JSON says of it.

    Attributes:
        ids: of each phoneme; a phoneme is one character of decomposed IPA.
        speakers: name → number; empty with one speaker.
        scales: noise, length, noise of durations.
        sha256: of the model, where the JSON names it (voices that were trained here); else empty.
    """

    path: Path
    language: str
    rate_hz: int
    ids: dict[str, tuple[int, ...]]
    speakers: dict[str, int]
    scales: tuple[float, float, float]
    by_letters: bool
    sha256: str = ""

    @property
    def names(self) -> list[str]:
        return [f"{self.path.stem}{_SPEAKER}{name}" for name in self.speakers] or [self.path.stem]


@dataclass
class PiperSynthesizer:
    """A `Synthesizer` of Piper's voices. Threads may share one.

    A voice is the file's name without `.onnx`, with several speakers `model#speaker`. A model is loaded when
    one of its voices speaks for the first time.

    Args:
        paths: `.onnx` files, or folders that hold some; each has its JSON beside it (`x.onnx.json`).
        espeak: says how text sounds.

    Raises:
        NotFoundError: `piper.missing`, no model or no JSON there.
        IntegrityError: `piper.config`, the JSON is not one of Piper's.
    """

    paths: Sequence[Path]
    espeak: NamesPhonemes
    name: str = field(default="piper", init=False)

    def __post_init__(self) -> None:
        models = [read_voice(path) for given in self.paths for path in _models(Path(given))]
        self._voices = {name: voice for voice in models for name in voice.names}
        self._sessions: dict[Path, onnxruntime.InferenceSession] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """Every voice, whatever it speaks."""
        return list(self._voices)

    def voices(self, language: str) -> list[str]:
        return [
            name
            for name, voice in self._voices.items()
            if voice.language == language or voice.language.startswith(f"{language}-")
        ]

    def synthesize(self, text: str, *, voice: str, speed: float = 1.0, pitch: float = 1.0) -> np.ndarray:
        """(n,) float32 in [-1, 1] at 16,000 Hz.

        Raises:
            NotFoundError: `piper.voice`.
            InputError: `piper.text`, `piper.speed`, `piper.pitch`; espeak-ng's own.
            IntegrityError: `piper.model`, the file is no model of this kind; `piper.changed`, it is not the
                one that its JSON was written for.
        """
        return self._spoken(text, voice, speed=speed, pitch=pitch, rate_hz=CANONICAL_RATE_HZ)

    def speak(
        self, text: str, *, voice: str, speed: float = 1.0, pitch: float = 1.0
    ) -> tuple[np.ndarray, int]:
        """As `synthesize`, at the voice's own rate, which comes with it."""
        rate_hz = self._voice(voice).rate_hz
        return self._spoken(text, voice, speed=speed, pitch=pitch, rate_hz=rate_hz), rate_hz

    def _spoken(self, text: str, voice: str, *, speed: float, pitch: float, rate_hz: int) -> np.ndarray:
        model = self._voice(voice)
        _check_range("speed", speed, MIN_SPEED, MAX_SPEED)
        _check_range("pitch", pitch, MIN_PITCH, MAX_PITCH)
        ids = self._ids(model, text)
        # higher by playing it faster, so it is made longer by as much first
        made = self._run(model, voice, ids, length=model.scales[1] * pitch / speed)
        return np.clip(soxr.resample(made, model.rate_hz * pitch, rate_hz), -1.0, 1.0)

    def _voice(self, name: str) -> PiperVoice:
        if name not in self._voices:
            raise NotFoundError(
                "there is no such Piper voice", code="piper.voice", subject=name, hint=_some(self._voices)
            )
        return self._voices[name]

    def _ids(self, model: PiperVoice, text: str) -> np.ndarray:
        phonemes = text.lower() if model.by_letters else self._phonemes(text, model.language)
        decomposed = unicodedata.normalize("NFD", phonemes)
        known = [model.ids[ch] for ch in decomposed if ch in model.ids]
        if not any(ch.isalnum() and ch in model.ids for ch in decomposed) or len(known) > _LONGEST_PHONEMES:
            message = f"it has no phoneme that this voice knows, or more than {_LONGEST_PHONEMES}"
            raise InputError(message, code="piper.text", subject=repr(text[:80]))
        pad = model.ids[_PAD]
        inner = [number for ids in known for number in (*ids, *pad)]
        return np.array([*model.ids[_BEGIN], *pad, *inner, *model.ids[_END]], np.int64)

    def _phonemes(self, text: str, language: str) -> str:
        """IPA with stress, clauses parted as they were, the closing mark kept."""
        stripped = text.strip()
        closing = stripped[-1:] if stripped[-1:] in tuple(_CLOSING) else ""
        clauses = [clause for clause in _clauses(stripped.rstrip(_CLOSING)) if clause.strip()]
        spoken = self.espeak.named_phonemes(clauses, language)
        return ", ".join(filter(None, map(_written, spoken))) + closing

    def _run(self, model: PiperVoice, voice: str, ids: np.ndarray, *, length: float) -> np.ndarray:
        noise = (
            _NOISES[0] + (_NOISES[1] - _NOISES[0]) * (zlib.crc32(ids.tobytes() + voice.encode()) % 1000) / 999
        )
        scales = (model.scales[0] * noise, length, model.scales[2] * noise)
        inputs: dict[str, np.ndarray] = {
            "input": ids[None, :],
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(scales, np.float32),
        }
        if model.speakers:
            inputs["sid"] = np.array([model.speakers[voice.partition(_SPEAKER)[2]]], np.int64)
        try:
            made = self._session(model).run(None, inputs)[0]
        except IntegrityError:
            raise
        except Exception as error:  # onnxruntime has no common class for its errors
            raise IntegrityError(
                f"it cannot be run ({error})",
                code="piper.model",
                subject=str(model.path),
                hint="Give a voice of Piper: model.onnx with model.onnx.json beside it",
            ) from error
        return np.nan_to_num(np.asarray(made, np.float32).reshape(-1))

    def _session(self, model: PiperVoice) -> onnxruntime.InferenceSession:
        path = model.path
        with self._lock:
            if path not in self._sessions:
                _check_hash(model)
                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                self._sessions[path] = onnxruntime.InferenceSession(
                    str(path), options, providers=["CPUExecutionProvider"]
                )
            return self._sessions[path]


def read_voice(path: Path) -> PiperVoice:
    """What the JSON beside a model says.

    Raises:
        NotFoundError: `piper.missing`. IntegrityError: `piper.config`.
    """
    config = path.with_name(f"{path.name}.json")
    if not path.is_file() or not config.is_file():
        raise _missing(path, f"{path.name} and {config.name} must be there")
    try:
        told = json.loads(config.read_text(encoding="utf-8"))
        return _voice(path, told)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"this does not describe a Piper voice ({type(error).__name__}: {error})",
            code="piper.config",
            subject=str(config),
            hint="Take the JSON that came with the model; voices of pinyin are not spoken here",
        ) from error


def _voice(path: Path, told: dict[str, Any]) -> PiperVoice:
    kind = told.get("phoneme_type", "espeak")
    if kind not in ("espeak", "text"):
        raise ValueError(f"phonemes of type {kind}")
    ids = {phoneme: tuple(map(int, numbers)) for phoneme, numbers in told["phoneme_id_map"].items()}
    if not {_BEGIN, _END, _PAD} <= set(ids):
        raise ValueError("its phonemes have no begin, end or pad")
    inference = told.get("inference", {})
    names = ("noise_scale", 0.667), ("length_scale", 1.0), ("noise_w", 0.8)
    scales = [float(inference.get(name, usual)) for name, usual in names]
    several = int(told.get("num_speakers", 1)) > 1
    return PiperVoice(
        path=path,
        language=str(told["espeak"]["voice"]).lower(),
        rate_hz=int(told["audio"]["sample_rate"]),
        ids=ids,
        speakers=_speakers(told) if several else {},
        scales=(scales[0], scales[1], scales[2]),
        by_letters=kind == "text",
        sha256=str(told.get("onnx_sha256", "")),
    )


def _check_hash(model: PiperVoice) -> None:
    if model.sha256 and file_sha256(model.path) != model.sha256:
        raise IntegrityError(
            "it is not the model that its JSON was written for",
            code="piper.changed",
            subject=str(model.path),
            hint="Install or export the voice again",
        )


def _speakers(told: dict[str, Any]) -> dict[str, int]:
    named = {str(name): int(number) for name, number in told.get("speaker_id_map", {}).items()}
    return named or {str(number): number for number in range(int(told["num_speakers"]))}


def _models(path: Path) -> list[Path]:
    found = sorted(path.glob("*.onnx")) if path.is_dir() else [path]
    if not found:
        raise _missing(path, "there is no .onnx file in this folder")
    return found


def _missing(path: Path, message: str) -> NotFoundError:
    return NotFoundError(
        message,
        code="piper.missing",
        subject=str(path),
        hint="Give model.onnx with model.onnx.json beside it",
    )


def _clauses(text: str) -> Iterator[str]:
    start = 0
    for at, ch in enumerate(text):
        if ch in _CLAUSES:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _written(words: list[list[tuple[tuple[str, ...], str]]]) -> str:
    spoken = ("".join(_phoneme(*pair) for pair in word) for word in words)
    return _SPACE.join(filter(None, spoken))


def _phoneme(sounds: tuple[str, ...], name: str) -> str:
    """With its stress, and with the third tone as espeak-ng writes it, which is what the voices learned."""
    stress = {"'": "ˈ", ",": "ˌ"}.get(name[:1], "") if sounds else ""
    first, rest = sounds[:1], sounds[1:]
    return stress + "".join((*first, *(tone.replace("3", "ɜ") for tone in rest)))


def _check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise InputError(
            f"{name} is {value}", code=f"piper.{name}", hint=f"Give a factor from {lowest} to {highest}"
        )


def _some(names: dict[str, PiperVoice]) -> str:
    return f"There are {', '.join(list(names)[:10])}" if names else "Name the .onnx file of one"
