"""What is recorded about audio and text. Frozen; changed by copy (`dataclasses.replace`).

The first field of each class is its key. Times are aware and in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from phonoloop.core.clock import utc_now


class Split(StrEnum):
    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Provenance(StrEnum):
    """Who wrote a transcript."""

    HUMAN = "human"
    SIDECAR = "sidecar"
    MACHINE = "machine"


class ClipStatus(StrEnum):
    """`waiting`: no usable text yet. `accepted`: goes into snapshots. `refused`: a gate said no."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Somebody who speaks, for ever in one split.

    Attributes:
        pinned: a person chose the split, before the first clip.
        weak: not a known person but a recording session that stands in for one.
    """

    speaker_id: str
    name: str
    split: Split
    pinned: bool = False
    weak: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A source file, named by the hash of its decoded audio.

    Attributes:
        path: blob key of the canonical copy, 16 kHz mono 16-bit (`audio/raw/{audio_id}.wav`).
        original_key: blob key of the file as it came.
        split: the speaker's.
        samples: at 16,000 Hz.
        sample_rate_hz, channels, container: the original's.
        snr_db, loudness_lufs, bandwidth_hz: estimates over the whole recording.
        clipping_share, silence_share: 0 to 1.
        attributes: what else came along (text is not here: it is a transcript).
    """

    audio_id: str
    speaker_id: str
    split: Split
    path: str
    original_key: str
    original_sha256: str
    original_name: str
    samples: int
    duration_s: float
    sample_rate_hz: int
    channels: int
    container: str
    snr_db: float
    clipping_share: float
    silence_share: float
    loudness_lufs: float
    bandwidth_hz: float
    language: str = ""
    device: str = ""
    environment: str = ""
    licence: str = ""
    consent: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A span of a recording that one can train on, [start_sample, end_sample) at 16,000 Hz.

    Attributes:
        text: the training target as curated; empty while waiting.
        reason: the code of the gate that refused it, or of what it waits for.
    """

    clip_id: str
    audio_id: str
    speaker_id: str
    split: Split
    start_sample: int
    end_sample: int
    duration_s: float
    snr_db: float
    status: ClipStatus = ClipStatus.WAITING
    reason: str = ""
    text: str = ""
    provenance: Provenance | None = None
    confidence: float = 0.0
    transcript_revision: int = 0
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The current transcript of a recording. Earlier revisions are `TranscriptRevision`s.

    Attributes:
        segments: {start_ms, end_ms, text, confidence}, from the recording's start; `spoken` where the
            text is said otherwise than it is written.
        text_clean, corrections: what the correct stage made of `text` for people to read.
        text_with_diacritics: what was said word by word, which is what is trained on.
        uri: blob key of the same as JSON (`transcripts/{audio_id}.json`).
    """

    audio_id: str
    revision: int
    text: str
    provenance: Provenance
    model_version: str = ""
    confidence: float = 1.0
    language: str = ""
    segments: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    words: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    text_clean: str = ""
    text_with_diacritics: str = ""
    corrections: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    uri: str = ""
    author: str = ""
    updated_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptRevision:
    """What a transcript was before: key `{audio_id}/{revision:06d}`."""

    revision_id: str
    audio_id: str
    revision: int
    body: Mapping[str, Any]
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedText:
    """A stretch of a transcript that can be found: what is said in one clip, or in a whole recording that
    nobody aligned. It goes with its transcript; what it copies from the records never changes there.

    Attributes:
        text_id: the recording and the span, as a clip is named.
        clip_id: empty where the span is no clip's.
        recorded_at: when the recording was taken in.
        revision: of the transcript.
        words, plain, pairs: what exact words are looked up in, one space between two: the words in scoring
            form, those without their marks, neighbours of those joined by `_`.
        embedder: version of what made the vector.
        vector: little-endian float16, of length 1; empty where the text holds no word.
    """

    text_id: str
    audio_id: str
    clip_id: str
    speaker_id: str
    split: Split
    provenance: Provenance
    snr_db: float
    recorded_at: datetime
    start_sample: int
    end_sample: int
    revision: int
    text: str
    words: str
    plain: str
    pairs: str
    embedder: str
    vector: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchIndex:
    """What the texts of a collection are embedded with now.

    Attributes:
        name: of the collection: `texts`.
        embedder: version; texts of another one are embedded anew.
        rarity: blob key of how rare words are here; empty before the first training.
        trained_on: how many texts that was counted on.
    """

    name: str
    embedder: str
    embedder_name: str
    rarity: str = ""
    trained_on: int = 0
    updated_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A frozen dataset, named by the hash of its manifests and of the rules that chose them.

    Attributes:
        manifests: split → blob key of a JSONL manifest.
        hours: split → hours; `hours_by_provenance`: provenance → hours.
    """

    snapshot_id: str
    manifests: Mapping[str, str]
    clips: int
    hours: Mapping[str, float]
    hours_by_provenance: Mapping[str, float]
    speakers: Mapping[str, int]
    rules: Mapping[str, Any]
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenSet:
    """Human-checked clips that no training may see; models are judged on them.

    Attributes:
        manifest: blob key of a JSONL manifest.
    """

    name: str
    manifest: str
    manifest_sha256: str
    clips: int
    speakers: int
    hours: float
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeOutcome:
    """What became of one file that was offered.

    Attributes:
        status: `ingested`, `duplicate`, `refused` or `skipped`.
        code: stable; `""` where it was ingested.
        kept_at: where the file lies now.
    """

    outcome_id: str
    name: str
    status: str
    code: str = ""
    message: str = ""
    hint: str = ""
    audio_id: str = ""
    kept_at: str = ""
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """A consumer has done what this event asks: key `{consumer}/{event_id}`."""

    key: str
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who did what to what."""

    audit_id: str
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=utc_now)
