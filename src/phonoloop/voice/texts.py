"""What is known of the text of a clip: what was heard or given, how far it can be trusted, what counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from phonoloop.core.ids import content_id
from phonoloop.core.speech import Span, Word
from phonoloop.voice.data import RATE_HZ, VoiceClip


class Origin(StrEnum):
    """Who wrote a text."""

    HUMAN = "human"
    SIDECAR = "sidecar"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a clip says by whoever was asked first. It never changes: another recogniser gives another key.

    Attributes:
        key: of the clip, the given text, the recognisers and the settings.
        text: as it was given or heard, whatever it holds.
        origin: SIDECAR or MACHINE.
        split: the given text was cut out of a longer one at a punctuation mark.
        confidence: 0 to 1, the recogniser's own; None where it gives none or the text was given.
        words: with their times in the clip, where the text was heard.
        language: of the text. model_version: what heard it; empty where it was given and not checked.
        second: what was heard the second time (of a given text: by the recogniser); None where nobody was
            asked.
        edges_db: how loud the clip begins and ends, against its speech; far below 0 where nothing was cut.
        sounds: how many `sound_unit`s the text has; `phonemes`, `syllables` or `letters`.
        refused: the recogniser could not read this clip; the error's code and sentence.
    """

    key: str
    text: str
    origin: Origin
    split: bool = False
    confidence: float | None = None
    words: tuple[Word, ...] = ()
    language: str = ""
    model_version: str = ""
    second: str | None = None
    edges_db: tuple[float, float] = (-100.0, -100.0)
    sounds: int = 0
    sound_unit: str = "letters"
    refused: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        words = tuple(Word(**word) for word in raw["words"])
        changed = {"origin": Origin(raw["origin"]), "words": words, "edges_db": tuple(raw["edges_db"])}
        return cls(**{**raw, **changed})


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a text is trusted less.

    Attributes:
        kind: `disagreement`, `edge_words`, `cut_start`, `cut_end`, `rate`, `repetition`, `invented`,
            `unchecked`, `split`, `empty`, `refused`.
        factor: 0 to 1, what the trust is multiplied by.
        detail: a sentence for people.
    """

    kind: str
    factor: float
    detail: str


@dataclass(frozen=True, slots=True)
class Trust:
    """`score`: 0 to 1, the product of the doubts' factors."""

    score: float = 1.0
    doubts: tuple[Doubt, ...] = ()

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        return cls(raw["score"], tuple(Doubt(**doubt) for doubt in raw["doubts"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipText:
    """A clip with the text that counts: what the dataset, `metadata.csv` and the review are made of.

    Attributes:
        samples: of the clip, at 22,050 Hz. snr_db: of its sound, where it was measured.
        text: one line that every reader of `metadata.csv` reads alike (see `metadata.made_safe`).
        changed: what had to be replaced for that (`pipe`, `quote`, `newline`, …).
        origin: HUMAN after a correction.
        trust: of the text. quality: 0 to 1, the lower of that and of how clean the sound is.
        rejected: a person said that this clip is not to be used.
    """

    clip_id: str
    source_id: str
    spans: tuple[Span, ...]
    samples: int
    speaker: str
    language: str
    heard: Heard
    snr_db: float | None = None
    text: str = ""
    changed: tuple[str, ...] = ()
    origin: Origin = Origin.MACHINE
    trust: Trust = field(default_factory=Trust)
    quality: float = 1.0
    rejected: bool = False

    @property
    def duration_s(self) -> float:
        return self.samples / RATE_HZ

    @property
    def passage_id(self) -> str:
        return passage_id(self.source_id, self.spans)

    def to_dict(self) -> dict[str, Any]:
        spans = [[span.start, span.end] for span in self.spans]
        return asdict(self) | {"spans": spans} | self._told()

    def _told(self) -> dict[str, Any]:
        """What other programs look for at the top."""
        return {"confidence": self.heard.confidence, "duration_s": round(self.duration_s, 3)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        own = {field.name for field in fields(cls)}
        return cls(
            **{
                **{name: value for name, value in raw.items() if name in own},
                "spans": tuple(Span(start, end) for start, end in raw["spans"]),
                "heard": Heard.from_dict(raw["heard"]),
                "changed": tuple(raw["changed"]),
                "origin": Origin(raw["origin"]),
                "trust": Trust.from_dict(raw["trust"]),
            }
        )


def passage_id(source_id: str, spans: tuple[Span, ...]) -> str:
    """Of what is said, however the clip was processed: a person's correction is kept under it."""
    return content_id([source_id, [[span.start, span.end] for span in spans]])


def snr_of(clip: VoiceClip) -> float | None:
    found = clip.facts.get("snr_db")
    return None if found is None else float(found)
