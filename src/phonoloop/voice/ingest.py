"""From a file to a source: 16-bit mono WAV at 22,050 Hz, the original with its checksum, what is known of it.

    FOLDER/
      audio.wav        named by its samples: `source_id`
      original.mp4     as it came
      source.json      `Source`

Everything goes block by block, so a recording of ten hours needs no more memory than one of ten seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from phonoloop.audio.decode import DecodedFacts, DecodeLimits
from phonoloop.audio.wav import WavWriter, read_wav, wav_info
from phonoloop.core.errors import AudioError, NotFoundError
from phonoloop.core.files import disk_error, write_whole
from phonoloop.core.ids import ID_LENGTH
from phonoloop.data.inbox import AUDIO_SUFFIXES
from phonoloop.data.sidecar import Sidecar, read_sidecars
from phonoloop.voice.data import RATE_HZ, Consent, Source

AUDIO, SOURCE = "audio.wav", "source.json"
#: what a recording may cost: a day of it, decoded in an hour
LIMITS = DecodeLimits(max_duration_s=24 * 3600, timeout_s=3600)
#: a recording in which nothing is louder has no voice in it
SILENT_BELOW_DBFS = -60.0
_SOUNDS = (".ac3", ".aif", ".aiff", ".amr", ".ape", ".caf", ".m4b", ".mka", ".oga", ".w64", ".wma", ".wv")
_FILMS = (".3gp", ".avi", ".flv", ".m4v", ".mov", ".mpeg", ".mpg", ".ts", ".wmv")
#: endings of files that are taken from a folder; a file that is named is tried whatever its ending
SUFFIXES = AUDIO_SUFFIXES.union(_SOUNDS, _FILMS)
_COPY_BYTES = 1 << 20
_BLOCK_SAMPLES = 1 << 18
_PLAIN_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


class BlockDecoder(Protocol):
    """See `phonoloop.audio.decode.Decoder`."""

    def decode_in_blocks(
        self, path: Path, take: Callable[[np.ndarray], object], rate_hz: int
    ) -> DecodedFacts: ...


@dataclass(frozen=True, slots=True)
class Given:
    """What was said by hand of all the files; it counts more than what lies beside one."""

    speaker: str = ""
    language: str = ""
    licence: str = ""
    consent: Consent | None = None


def find_files(inputs: Sequence[Path]) -> list[Path]:
    """The files named, and below the folders named those with a media file's ending (`SUFFIXES`), in the
    order of their names; each once. Hidden ones are left out.

    Raises:
        NotFoundError: `input.missing`; `voice.no_files`, there is no such file in a folder.
    """
    found = [path for given in inputs for path in _files_of(given)]
    return list({path.resolve(): path for path in reversed(found)}.values())[::-1]


def _files_of(path: Path) -> list[Path]:
    if not path.exists():
        raise NotFoundError("there is no such file or folder", code="input.missing", subject=str(path))
    if not path.is_dir():
        return [path]
    files = sorted(one for one in path.rglob("*") if _is_media(one, path))
    if not files:
        raise NotFoundError(
            "there is no sound or video file in this folder",
            code="voice.no_files",
            subject=str(path),
            hint=f"Taken are {', '.join(sorted(SUFFIXES))}; another file has to be named itself",
        )
    return files


def _is_media(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return not hidden and path.suffix.lower() in SUFFIXES and path.is_file()


def ingest_file(path: Path, *, decoder: BlockDecoder, folder: Path, given: Given | None = None) -> Source:
    """Takes one recording into an empty folder of its own. The file itself stays as and where it is.

    Raises:
        AudioError: as `Decoder.decode` (`audio.no_audio_track`, `audio.corrupt`, …); `audio.silent`;
            `audio.changed`, it was written to meanwhile.
        ManifestError: `sidecar.…`, what lies beside it cannot be used.
        ResourceError: `resource.disk`.
    """
    sidecar = read_sidecars(path)
    folder.mkdir(parents=True, exist_ok=True)
    before = _stamp(path)
    heard = _Heard()
    with WavWriter(folder / AUDIO, RATE_HZ) as writer:
        facts = decoder.decode_in_blocks(path, lambda pcm: (writer.write(pcm), heard.take(pcm)), RATE_HZ)
    _check_heard(path, heard)
    sha256 = _keep_original(path, folder)
    if _stamp(path) != before:
        raise _changed(path)
    source = _source(path, heard.source_id, sha256, facts=facts, sidecar=sidecar, given=given or Given())
    write_whole(folder / SOURCE, _json(source))
    return source


def read_source(folder: Path) -> Source:
    """What `ingest_file` wrote there."""
    return Source.from_dict(json.loads((folder / SOURCE).read_text("utf-8")))


def source_id(blocks: Iterable[np.ndarray]) -> str:
    """The id of a recording: its int16 samples at 22,050 Hz, in blocks of any length, nothing else."""
    heard = _Heard()
    for block in blocks:
        heard.take(block)
    return heard.source_id


def blocks_of(wav: Path, samples: int = _BLOCK_SAMPLES) -> Iterator[np.ndarray]:
    """A canonical WAV file in blocks, float32 (n,) in [-1, 1]; the last may be shorter."""
    total = wav_info(wav).samples
    for start in range(0, total, samples):
        yield read_wav(wav, start, min(start + samples, total))


class _Heard:
    """The hash and the extremes of samples that come in blocks."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256(f"pcm16/{RATE_HZ}/1\0".encode())
        self._low, self._high = 32767, -32768

    def take(self, pcm: np.ndarray) -> None:
        """int16 (n,)."""
        if pcm.size:
            self._digest.update(np.ascontiguousarray(pcm, "<i2").data)
            self._low, self._high = min(self._low, int(pcm.min())), max(self._high, int(pcm.max()))

    @property
    def source_id(self) -> str:
        return self._digest.hexdigest()[:ID_LENGTH]

    @property
    def level_dbfs(self) -> float:
        """Half the distance between the extremes, for a constant offset is no sound."""
        return 20 * float(np.log10(max(self._high - self._low, 1e-3) / 65536))


def _check_heard(path: Path, heard: _Heard) -> None:
    if heard.level_dbfs < SILENT_BELOW_DBFS:
        raise AudioError(
            f"nothing is heard in it (it never gets louder than {heard.level_dbfs:.0f} dBFS)",
            code="audio.silent",
            subject=_name(path),
            hint="Check the microphone and its level, and record again",
        )


def _stamp(path: Path) -> tuple[int, int] | None:
    """Size and time of change; None where there is no such file, which the decoder then says."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _changed(path: Path) -> AudioError:
    return AudioError(
        "it changed while it was being read",
        code="audio.changed",
        subject=_name(path),
        hint="Wait until it is complete and start again",
    )


def _keep_original(path: Path, folder: Path) -> str:
    """A copy; the SHA-256 of what was copied."""
    suffix = path.suffix.lower()
    kept = folder / f"original{suffix if _PLAIN_SUFFIX.fullmatch(suffix) else ''}"
    digest = hashlib.sha256()
    try:
        with path.open("rb") as original, kept.open("wb") as copy:
            while block := original.read(_COPY_BYTES):
                digest.update(block)
                copy.write(block)
    except OSError as error:
        if not path.exists():
            raise _changed(path) from error
        raise disk_error(kept, error) from error
    return digest.hexdigest()


def _source(
    path: Path, found_id: str, sha256: str, *, facts: DecodedFacts, sidecar: Sidecar, given: Given
) -> Source:
    record = sidecar.consent_record
    return Source(
        source_id=found_id,
        name=_name(path),
        original_sha256=sha256,
        original_rate_hz=facts.source_rate_hz,
        samples=facts.samples,
        speaker=given.speaker or sidecar.speaker,
        language=given.language or sidecar.language,
        licence=given.licence or sidecar.licence,
        consent=given.consent or (Consent.from_dict(record) if record else None),
        text=sidecar.full_text,
        timed=sidecar.segments,
        truncated=facts.truncated or facts.damaged_packets > 0,
    )


def _name(path: Path) -> str:
    """Of the file, as text that can be written down, also where its bytes are not UTF-8."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def _json(source: Source) -> bytes:
    return json.dumps(source.to_dict(), ensure_ascii=False, indent=1).encode() + b"\n"
