"""What the stages of a voice hand to each other. Frozen; times are integer samples at 22,050 Hz."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from phonoloop.core.ids import content_id
from phonoloop.core.speech import Span
from phonoloop.data.sidecar import TimedText

#: of all audio of voices after the ingest
RATE_HZ = 22_050


@dataclass(frozen=True, slots=True)
class Consent:
    """That the speaker agrees. It travels to the voice's card.

    Attributes:
        who: gave it. purpose: for what. date: when, as ISO 8601.
    """

    who: str
    purpose: str
    date: str

    def to_dict(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, str]) -> Self:
        return cls(raw["who"], raw["purpose"], raw["date"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A recording, named by the hash of its samples.

    Attributes:
        source_id: of the mono int16 samples at 22,050 Hz.
        name: of the file as it came. original_sha256: of that file.
        original_rate_hz: below 22,050 there is nothing in the upper band.
        speaker, language, licence: empty where nobody said.
        consent: None where nobody said.
        text: a transcript of the whole that came along; empty where none did.
        timed: what is said when, where a sidecar's `segments` told it.
        truncated: the file ends before its header says that it should, or is damaged in places.
    """

    source_id: str
    name: str
    original_sha256: str
    original_rate_hz: int
    samples: int
    speaker: str = ""
    language: str = ""
    licence: str = ""
    consent: Consent | None = None
    text: str = ""
    timed: tuple[TimedText, ...] = ()
    truncated: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"timed": [asdict(one) for one in self.timed]}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        consent = raw.get("consent")
        timed = tuple(TimedText(**one) for one in raw.get("timed", ()))
        return cls(**{**raw, "consent": Consent.from_dict(consent) if consent else None, "timed": timed})


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where something other than the speaker alone is heard.

    Attributes:
        kind: `music`, `speakers` or `noise`.
        certainty: 0 to 1.
    """

    start: int
    end: int
    kind: str
    certainty: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**raw)


@dataclass(frozen=True, slots=True)
class Segment:
    """A half-open stretch [start, end) of a source, between two pauses.

    Attributes:
        forced_cut: one of its ends was cut where nobody paused; it is not trained on.
    """

    start: int
    end: int
    forced_cut: bool = False

    @property
    def samples(self) -> int:
        return self.end - self.start

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceClip:
    """What may become an utterance of the training set. Its source is untouched.

    Attributes:
        clip_id: of its source, spans and of how it was processed.
        spans: of the source, in order, that it is put together from.
        samples: of the processed clip.
        facts: measured, JSON values by name with their units (`snr_db`, `loudness_lufs`, …).
        refused: why it is not trained on (`forced_cut`, `clipped`, `music`, `other_speaker`, …); empty
            where it is.
    """

    clip_id: str
    source_id: str
    spans: tuple[Span, ...]
    samples: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    refused: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        return self.samples / RATE_HZ

    def to_dict(self) -> dict[str, Any]:
        return {
            "clip_id": self.clip_id,
            "source_id": self.source_id,
            "spans": [[span.start, span.end] for span in self.spans],
            "samples": self.samples,
            "facts": dict(self.facts),
            "refused": list(self.refused),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        return cls(
            clip_id=raw["clip_id"],
            source_id=raw["source_id"],
            spans=tuple(Span(start, end) for start, end in raw["spans"]),
            samples=raw["samples"],
            facts=raw["facts"],
            refused=tuple(raw["refused"]),
        )


def clip_name(source_id: str, spans: tuple[Span, ...], processing_id: str) -> str:
    """The id of a clip: the same spans processed in the same way are the same clip."""
    return content_id([source_id, [[span.start, span.end] for span in spans], processing_id])
