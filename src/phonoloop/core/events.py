"""CloudEvents 1.0 in structured JSON, and the names of what can happen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from phonoloop.core.clock import utc_now
from phonoloop.core.errors import InputError
from phonoloop.core.ids import content_id

RECORDING_INGESTED = "recording.ingested"
TRANSCRIPTION_COMPLETED = "transcription.completed"
NLP_POSTPROCESSED = "nlp.postprocessed"
EMBEDDINGS_INDEXED = "embeddings.indexed"
DATASET_NEW_SAMPLE = "dataset.new_sample"
DATASET_READY = "dataset.ready"
DATASET_CHANGED = "dataset.changed"
TRAINING_STARTED = "training.started"
TRAINING_COMPLETED = "training.completed"
MODEL_PROMOTED = "model.promoted"
MODEL_REJECTED = "model.rejected"
MODEL_ROLLED_BACK = "model.rolled_back"

SOURCE = "/phonoloop"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        type: one of the names above.
        subject: the id of the thing it happened to.
        data: JSON values only.
        id: from type, subject and data unless given, so that telling it twice is telling it once.
        time: when it was first told; not part of the id.
    """

    type: str
    subject: str
    data: Mapping[str, Any]
    id: str = ""
    time: datetime = field(default_factory=utc_now)
    source: str = SOURCE

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", content_id([self.type, self.subject, dict(self.data)]))

    def to_json(self) -> str:
        return json.dumps(
            {
                "specversion": "1.0",
                "id": self.id,
                "source": self.source,
                "type": self.type,
                "subject": self.subject,
                "time": self.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "datacontenttype": "application/json",
                "data": dict(self.data),
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Event:
        """Reads a structured CloudEvent.

        Raises:
            InputError: `event.invalid`, where it is not JSON or lacks a required attribute.
        """
        try:
            raw = json.loads(text)
            if raw["specversion"] != "1.0":
                raise ValueError(f"specversion is {raw['specversion']!r}, not '1.0'")
            return cls(
                type=raw["type"],
                subject=raw.get("subject", ""),
                data=raw.get("data") or {},
                id=raw["id"],
                time=datetime.fromisoformat(raw["time"]) if "time" in raw else utc_now(),
                source=raw["source"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"this is not a CloudEvents 1.0 event ({error})", code="event.invalid"
            ) from error
