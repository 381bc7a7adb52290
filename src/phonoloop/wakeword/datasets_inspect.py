"""Looking at a clip before it is taken into a dataset: refused with a reason, or measured and flagged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from phonoloop.audio.decode import Decoded
from phonoloop.audio.quality import Quality, measure
from phonoloop.audio.wav import to_float
from phonoloop.core.errors import AudioError
from phonoloop.core.ids import audio_id
from phonoloop.core.speech import Span, SpeechDetector
from phonoloop.core.units import samples_to_seconds, seconds_to_samples
from phonoloop.wakeword.clips import Label
from phonoloop.wakeword.fingerprint import fingerprint, to_text

#: ffmpeg's names of what is taken
CONTAINERS = ("wav", "mp3", "flac", "ogg")

#: code → what it means to somebody who listens
FLAGS = {
    "clipped": "the loudest parts are cut off: recorded too loud",
    "mostly_zeros": "mostly digital zeros: padding that no microphone gives",
    "low_snr": "the background is nearly as loud as the speech",
    "quiet": "very quiet",
    "narrow_band": "nothing above the telephone's band",
    "speech_at_edge": "somebody speaks at the very start or end: the phrase may be cut",
    "speech_in_noise": "somebody speaks in what is labelled noise",
    "damaged": "the file was damaged or incomplete; this is what could be read",
    "near_duplicate": "nearly the same audio as an earlier clip",
    "other_label": "nearly the same audio as a clip with another label",
}

_SHORT = "Say the whole phrase, louder or nearer; for a very short one lower WAKEWORD_MIN_SPEECH_SEC"
_MARGIN_S = 0.25
_EDGE_S = 0.02
_LEAST_SPEECH_IN_NOISE_S = 0.4
_CLIPPED_SHARE = 0.005
_ZEROS_SHARE = 0.6
_QUIET_LUFS = -45.0
_NARROW_HZ = 4200.0


@dataclass(frozen=True, slots=True)
class DatasetRules:
    """What is taken, and when there is enough to train on.

    Attributes:
        min_speech_s, max_speech_s: speech in a positive clip, by the speech detector.
        max_clip_s: the longest clip of any label, pauses included.
        silent_dbfs: a clip whose loudest sample is below is refused.
        low_snr_db: below it a clip with speech is flagged.
        min_positives, min_negatives: clips to train on, copies not counted; noise counts as negative.
    """

    min_speech_s: float = 0.5
    max_speech_s: float = 3.0
    max_clip_s: float = 30.0
    silent_dbfs: float = -60.0
    low_snr_db: float = 10.0
    min_positives: int = 50
    min_negatives: int = 50


@dataclass(frozen=True, slots=True, eq=False)
class Inspected:
    """What was found in a file. `flags` are those that hold whatever the label."""

    decoded: Decoded
    audio_id: str
    quality: Quality
    spans: tuple[Span, ...]
    fingerprint: str
    flags: tuple[str, ...]

    @property
    def speech_s(self) -> float:
        return samples_to_seconds(sum(span.samples for span in self.spans))


def inspect(decoded: Decoded, detector: SpeechDetector, rules: DatasetRules, *, name: str) -> Inspected:
    """Measures decoded audio.

    Raises:
        AudioError: `clip.container`, `clip.too_long`, `clip.silent`.
    """
    _check_container(decoded, name)
    if decoded.duration_s > rules.max_clip_s:
        message = f"it lasts {decoded.duration_s:.1f} s, and a clip has {rules.max_clip_s:g} s at the most"
        raise _refused(
            name, message, code="clip.too_long", hint="Cut out the phrase with about half a second around it"
        )
    quality = measure(decoded.pcm, decoded.rate_hz)
    if quality.peak_dbfs < rules.silent_dbfs:
        message = f"nothing is to be heard: its loudest sample has {quality.peak_dbfs:.0f} dBFS"
        raise _refused(name, message, code="clip.silent", hint="Check the microphone, then record it again")
    samples = to_float(decoded.pcm)
    found = Inspected(
        decoded=decoded,
        audio_id=audio_id(np.ascontiguousarray(decoded.pcm, "<i2").data),
        quality=quality,
        spans=_speech(samples, detector),
        fingerprint=to_text(fingerprint(samples)),
        flags=(),
    )
    return replace(found, flags=_flags(found, rules))


def check_speech(label: Label, speech_s: float, rules: DatasetRules, *, name: str) -> None:
    """A positive holds the phrase, once.

    Raises:
        AudioError: `clip.no_speech`, `clip.short_speech`, `clip.long_speech`.
    """
    if label is not Label.POSITIVE:
        return
    measured = f"{speech_s:.2f} s of speech"
    if speech_s == 0:
        raise _refused(
            name,
            "nobody speaks in it",
            code="clip.no_speech",
            hint="Label it noise or negative, or record anew",
        )
    if speech_s < rules.min_speech_s:
        message = f"it has {measured}, and a positive has {rules.min_speech_s:g} s at the least"
        raise _refused(name, message, code="clip.short_speech", hint=_SHORT)
    if speech_s > rules.max_speech_s:
        message = f"it has {measured}, and a positive has {rules.max_speech_s:g} s at the most"
        raise _refused(
            name, message, code="clip.long_speech", hint="Cut out one utterance of the phrase alone"
        )


def label_flags(flags: tuple[str, ...], label: Label, speech_s: float) -> tuple[str, ...]:
    """The flags of a clip under a label; those that went with another label go."""
    kept = [flag for flag in flags if flag != "speech_in_noise"]
    if label is Label.NOISE and speech_s >= _LEAST_SPEECH_IN_NOISE_S:
        kept.append("speech_in_noise")
    return tuple(kept)


def part_of(decoded: Decoded, start_s: float, end_s: float) -> Decoded:
    """[start_s, end_s) of it, as far as there is such a part."""
    start, end = (max(0, seconds_to_samples(at, decoded.rate_hz)) for at in (start_s, end_s))
    return replace(decoded, pcm=decoded.pcm[start:end])


def decode(path: Path, decoder: object, *, name: str) -> Decoded:
    """`decoder.decode`, with errors that name what the user called the file."""
    try:
        return decoder.decode(path)
    except AudioError as error:
        raise AudioError(error.message, code=error.code, subject=name, hint=error.hint) from error


def _check_container(decoded: Decoded, name: str) -> None:
    if not set(decoded.container.split(",")) & set(CONTAINERS):
        message = f"it is {decoded.container} ({decoded.codec})"
        raise _refused(
            name, message, code="clip.container", hint="Convert it: WAV, MP3, FLAC and OGG are taken"
        )


def _refused(name: str, message: str, *, code: str, hint: str) -> AudioError:
    return AudioError(message, code=code, subject=name, hint=hint)


def _speech(samples: np.ndarray, detector: SpeechDetector) -> tuple[Span, ...]:
    """Where somebody speaks. Silence is put around it first, so that what is cut closely is measured as
    anything else is: a detector needs a little time before it believes in speech."""
    margin = seconds_to_samples(_MARGIN_S)
    shifted = detector.speech_spans(np.pad(samples, margin))
    inside = (Span(max(0, s.start - margin), min(samples.size, s.end - margin)) for s in shifted)
    return tuple(span for span in inside if span.samples > 0)


def _flags(found: Inspected, rules: DatasetRules) -> tuple[str, ...]:
    pcm, quality, edge = found.decoded.pcm, found.quality, seconds_to_samples(_EDGE_S)
    speaks = bool(found.spans)
    holds = {
        "clipped": quality.clipping_share > _CLIPPED_SHARE,
        "mostly_zeros": float(np.mean(pcm == 0)) > _ZEROS_SHARE,
        "low_snr": speaks and quality.snr_db < rules.low_snr_db,
        "quiet": quality.loudness_lufs < _QUIET_LUFS,
        "narrow_band": speaks and quality.bandwidth_hz < _NARROW_HZ,
        "speech_at_edge": speaks and _loud_at_edge(pcm, found.spans, edge),
        "damaged": found.decoded.truncated or found.decoded.damaged_packets > 0,
    }
    return tuple(flag for flag, does in holds.items() if does)


def _loud_at_edge(pcm: np.ndarray, spans: tuple[Span, ...], edge: int) -> bool:
    """Speech reaches an end of the clip, and is loud there: a span's own margin may reach it too."""
    power = np.square(pcm.astype(np.float64))
    loud = 0.1 * max(float(power[span.start : span.end].mean()) for span in spans)
    first = spans[0].start == 0 and float(power[:edge].mean()) > loud
    return first or (spans[-1].end == pcm.size and float(power[-edge:].mean()) > loud)
