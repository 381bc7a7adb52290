"""A voice reads out lines: recordings for a recogniser to learn from, that it is never measured on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phonoloop.adapters.espeak import EspeakSynthesizer
from phonoloop.adapters.piper import PiperSynthesizer
from phonoloop.app.bootstrap import App
from phonoloop.app.voice_speaking import chosen_speaker, voice_file
from phonoloop.audio.wav import to_int16, wav_bytes
from phonoloop.core.errors import InputError
from phonoloop.core.files import write_whole
from phonoloop.core.ids import content_id
from phonoloop.core.units import samples_to_seconds
from phonoloop.data.model import Split
from phonoloop.data.split import pin_speaker
from phonoloop.voice.export import check_hash

#: what of a synthesiser's refusals is about this line alone
_UNSPEAKABLE = ("piper.text", "espeak.text", "espeak.crashed")


@dataclass(frozen=True, slots=True)
class Read:
    """What was written.

    Attributes:
        speaker: as the recordings name it; in train for ever.
        files: of all lines that can be said, those that were there before too.
        refused: line → why it cannot be said.
    """

    speaker: str
    files: tuple[Path, ...]
    refused: dict[str, str]
    duration_s: float


def read_out(
    app: App,
    voice: str,
    lines: Sequence[str],
    folder: Path,
    *,
    speaker: str = "",
    speed: float = 1.0,
    on_line: Callable[[int, int], None] = lambda done, total: None,
) -> Read:
    """Writes a WAV for each line with a sidecar beside it; a second call writes only what is missing.

    The speaker is pinned to train first: synthetic speech must not be measured on.

    Raises:
        InputError: `voice.text`, no line has a letter; `voice.speaker`, `piper.speed`.
        NotFoundError: as `voice_file`. SplitConflictError: as `pin_speaker`. IntegrityError: as `check_hash`.
        ResourceError: `resource.disk`. UnavailableError: `espeak.missing`.
    """
    wanted = list(dict.fromkeys(line.strip() for line in lines if any(map(str.isalnum, line))))
    if not wanted:
        raise InputError("there is nothing to read", code="voice.text", hint="Give a text with a line each")
    path = voice_file(app, voice)
    told = check_hash(path)
    with EspeakSynthesizer() as espeak:
        piper = PiperSynthesizer([path], espeak)
        chosen = chosen_speaker(piper.names(), speaker)
        name = f"voice {chosen}"
        with app.records.transaction() as tx:
            pin_speaker(tx, name, Split.TRAIN)
        about = {
            "speaker": name,
            "language": told["espeak"]["voice"],
            "environment": "synthetic",
            "synthetic": True,
            "voice": told.get("onnx_sha256", path.name),
        }
        reader = _Reader(piper, chosen, speed, folder, about)
        files = tuple(reader.read(wanted, on_line))
    return Read(name, files, reader.refused, samples_to_seconds(reader.samples))


class _Reader:
    """One voice at one speed."""

    def __init__(
        self, piper: PiperSynthesizer, voice: str, speed: float, folder: Path, about: dict[str, Any]
    ) -> None:
        self._piper, self._voice, self._speed = piper, voice, speed
        self._folder, self._about = folder, about
        self.refused: dict[str, str] = {}
        self.samples = 0

    def read(self, lines: Sequence[str], on_line: Callable[[int, int], None]) -> Iterator[Path]:
        for done, line in enumerate(lines, start=1):
            path = self._folder / f"{content_id([self._about, self._voice, self._speed, line])}.wav"
            if path.is_file() or self._write(path, line):
                yield path
            on_line(done, len(lines))

    def _write(self, path: Path, line: str) -> bool:
        """The sidecar first: a watched folder never sees the audio without its text."""
        try:
            said = self._piper.synthesize(line, voice=self._voice, speed=self._speed)
        except InputError as error:
            if error.code not in _UNSPEAKABLE:
                raise
            self.refused[line] = error.message
            return False
        sidecar = json.dumps({"text": line, **self._about}, ensure_ascii=False)
        write_whole(path.with_suffix(".json"), sidecar.encode())
        write_whole(path, wav_bytes(to_int16(said)))
        self.samples += said.size
        return True
