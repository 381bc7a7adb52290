"""The microphone, through sounddevice and PortAudio (the extra `wakeword`)."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from phonoloop.audio.pipe import Resampler
from phonoloop.core.errors import NotFoundError, UnavailableError
from phonoloop.core.units import CANONICAL_RATE_HZ

_BLOCK_S = 0.04
#: blocks that may wait while somebody is slow: 8 s
_MOST_WAITING = 200
_PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class InputDevice:
    """`number` and `name`: either may be given as `device`."""

    number: int
    name: str
    channels: int
    rate_hz: int
    default: bool


def _sounddevice() -> ModuleType:
    """
    Raises:
        UnavailableError: `microphone.missing`.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise _missing("sounddevice is not installed", "pip install 'phonoloop[wakeword]'") from error
    except OSError as error:  # it is, and finds no PortAudio
        hint = "pip install 'phonoloop[wakeword]', and PortAudio: on Debian apt-get install libportaudio2"
        raise _missing(f"PortAudio cannot be loaded ({error})", hint) from error
    return sounddevice


def _missing(message: str, hint: str) -> UnavailableError:
    return UnavailableError(message, code="microphone.missing", hint=f"{hint}; or pipe audio to --stdin")


def input_devices() -> list[InputDevice]:
    """Everything that can be listened to.

    Raises:
        UnavailableError: `microphone.missing`.
    """
    sounddevice = _sounddevice()
    default = sounddevice.default.device[0]
    return [
        InputDevice(
            number, one["name"], one["max_input_channels"], int(one["default_samplerate"]), number == default
        )
        for number, one in enumerate(sounddevice.query_devices())
        if one["max_input_channels"] > 0
    ]


class Microphone:
    """Blocks of float32 (n,) at 16,000 Hz as they are heard, without end (or `microphone.gone`). A context
    manager.

    Args:
        device: number or part of the name; the system's own where None.

    Attributes:
        overruns: how often audio was lost because nobody took it in time.
    """

    def __init__(self, device: str | int | None = None) -> None:
        self._sounddevice = _sounddevice()
        self._device = int(device) if str(device).isdecimal() else device
        self._waiting: queue.Queue[np.ndarray] = queue.Queue(_MOST_WAITING)
        self.overruns = 0

    def __enter__(self) -> Microphone:
        """
        Raises:
            NotFoundError: `microphone.no_device`.
            UnavailableError: `microphone.refused`, where the device cannot be opened.
        """
        rate_hz = self._rate_hz()
        self._resampler = Resampler(rate_hz)
        try:
            self._stream = self._sounddevice.InputStream(
                samplerate=rate_hz,
                blocksize=int(_BLOCK_S * rate_hz),
                device=self._device,
                channels=1,
                dtype="float32",
                callback=self._take,
            )
            self._stream.start()
        except self._sounddevice.PortAudioError as error:
            raise self._refused(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.stop()
        self._stream.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        while True:
            yield self._resampler.push(self._next_block())

    def _next_block(self) -> np.ndarray:
        """
        Raises:
            UnavailableError: `microphone.gone`, where the device stopped, as when it is unplugged.
        """
        while True:
            try:
                return self._waiting.get(timeout=_PATIENCE_S)
            except queue.Empty:
                if not self._stream.active:
                    raise UnavailableError(
                        "the microphone has stopped",
                        code="microphone.gone",
                        hint="Connect it and start again",
                    ) from None

    def _rate_hz(self) -> int:
        """16,000 Hz where the device can, else what it likes best."""
        try:
            found = self._sounddevice.query_devices(self._device, "input")
        except (ValueError, self._sounddevice.PortAudioError) as error:
            raise NotFoundError(
                f"there is no microphone {self._device!r}"
                if self._device is not None
                else "there is no microphone",
                code="microphone.no_device",
                hint="`phonoloop wakeword listen --list-devices` shows what there is",
            ) from error
        try:
            wanted: dict[str, Any] = {"device": self._device, "channels": 1, "dtype": "float32"}
            self._sounddevice.check_input_settings(samplerate=CANONICAL_RATE_HZ, **wanted)
        except self._sounddevice.PortAudioError:
            return int(found["default_samplerate"])
        return CANONICAL_RATE_HZ

    def _take(self, block: np.ndarray, _frames: int, _time: Any, status: Any) -> None:
        """Called by PortAudio, in a thread of its own."""
        self.overruns += bool(status.input_overflow)
        try:
            self._waiting.put_nowait(block[:, 0].copy())
        except queue.Full:
            self.overruns += 1

    def _refused(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"the microphone cannot be opened ({error})",
            code="microphone.refused",
            subject=str(self._device if self._device is not None else "default"),
            hint="Close what else uses it, or take another: --list-devices",
        )
