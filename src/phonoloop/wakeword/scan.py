"""Finding phrases in files, each heard as a stream of its own in a quiet room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phonoloop.core.errors import AudioError, NotFoundError
from phonoloop.core.speech import Detection, WakeDetector
from phonoloop.core.units import CANONICAL_RATE_HZ, samples_to_seconds, seconds_to_hours
from phonoloop.registry.counts import poisson_interval
from phonoloop.wakeword.clips import AudioDecoder, Label, WakeClip, audio_files
from phonoloop.wakeword.streams import TOLERANCE_S, lay_out

_CONFIDENCE = 0.95
_QUIET_BEFORE_S = 1.0


@dataclass(frozen=True, slots=True)
class Scanned:
    """One file. `at_s` of its detections counts from its start."""

    file: Path
    duration_s: float
    detections: tuple[Detection, ...]


def files_in(given: Sequence[Path]) -> list[Path]:
    """The files that were named, and the audio files in folders that were, at any depth.

    Raises:
        NotFoundError: `wakeword.no_audio`, where there is none at all.
    """
    found = [file for path in given for file in _files_of(path)]
    if not found:
        raise NotFoundError(
            "there is no audio file in it",
            code="wakeword.no_audio",
            subject=", ".join(map(str, given)),
            hint="Name files, or folders that hold WAV, FLAC, MP3, OGG or other audio",
        )
    return found


def _files_of(path: Path) -> Iterator[Path]:
    """What is no folder is tried as it is: the decoder says what is wrong with it."""
    if path.is_dir():
        yield from (file for _, file in audio_files([path]))
    else:
        yield path


def scan_file(path: Path, detector: WakeDetector, decoder: AudioDecoder) -> Scanned:
    """Hears one file from its start. The room around it is quiet, not digitally silent, as where
    detectors are judged; so what the end of a file sets off is found too.

    Raises:
        AudioError: as `Decoder.decode`, and `audio.silent`: nothing but zeros.
    """
    pcm = decoder.decode(path).pcm
    if not pcm.any():
        raise AudioError(
            "nothing but digital silence is in it",
            code="audio.silent",
            subject=str(path),
            hint="Record it again",
        )
    stream = lay_out(
        [WakeClip.of(pcm, Label.NEGATIVE, name=str(path))], before_s=_QUIET_BEFORE_S, after_s=TOLERANCE_S
    )
    detector.reset()
    heard = [detection for piece in stream.render() for detection in detector.push(piece)]
    start_s = stream.placed[0].start / CANONICAL_RATE_HZ
    duration_s = samples_to_seconds(len(pcm))
    return Scanned(path, duration_s, tuple(_placed(heard, start_s, duration_s)))


def _placed(heard: Sequence[Detection], start_s: float, duration_s: float) -> Iterator[Detection]:
    """Times from the file's start; what its end set off is put at its end."""
    for one in heard:
        at_s = one.at_s - start_s
        if at_s > 0:
            yield replace(one, at_s=round(min(at_s, duration_s), 3))


def summary(scanned: Sequence[Scanned]) -> dict[str, Any]:
    """Hours, detections, and how many an hour that makes, with a 95 % interval for audio like this."""
    hours = seconds_to_hours(sum(one.duration_s for one in scanned))
    count = sum(len(one.detections) for one in scanned)
    body: dict[str, Any] = {"hours": round(hours, 6), "detections": count, "files": len(scanned)}
    if hours > 0:
        low, high = (bound / hours for bound in poisson_interval(count, confidence=_CONFIDENCE))
        rate = {"rate": count / hours, "low": low, "high": high}
        body["per_hour"] = {name: float(f"{value:.4g}") for name, value in rate.items()}
        body["per_hour"]["confidence"] = _CONFIDENCE
    return body
