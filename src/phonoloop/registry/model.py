"""What is recorded about models. Frozen; changed by copy. The first field is the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from phonoloop.core.clock import utc_now


class ModelStatus(StrEnum):
    CANDIDATE = "candidate"
    CHAMPION = "champion"
    RETIRED = "retired"
    REJECTED = "rejected"


class Decision(StrEnum):
    """What a paired comparison says of a candidate."""

    BETTER = "better"
    WORSE = "worse"
    NOT_ENOUGH_EVIDENCE = "not_enough_evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """One training: what went in, under which id (`YYYYMMDD-HHMMSS`)."""

    run_id: str
    kind: str
    job_id: str
    snapshot_id: str
    recipe: Mapping[str, Any]
    seed: int
    code_version: str
    initial_model_id: str = ""
    state: str = "running"
    metrics: Mapping[str, Any] = field(default_factory=dict)
    started_at: datetime = field(default_factory=utc_now)
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochMetric:
    """What one epoch measured: key `{run_id}/{epoch:04d}`."""

    metric_id: str
    run_id: str
    epoch: int
    values: Mapping[str, float]
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A version of a model.

    Attributes:
        artefacts: blob prefix (`models/asr/{run_id}/`); complete before the row exists.
        files: file name → SHA-256.
        metrics: what it scored, each with what it was measured on.
        unproven: it serves because there was nothing before it and too little to judge it on.
        marks: why it should be looked at again (a speaker was forgotten, say).
    """

    model_id: str
    kind: str
    run_id: str
    snapshot_id: str
    artefacts: str
    files: Mapping[str, str]
    status: ModelStatus = ModelStatus.CANDIDATE
    unproven: bool = False
    metrics: Mapping[str, Any] = field(default_factory=dict)
    marks: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """Which model of a kind serves; `since_position` counts changes, so a reader sees any change."""

    kind: str
    model_id: str
    previous_model_id: str = ""
    since_position: int = 1
    since: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What judging a candidate against a champion said, and everything it rests on.

    Attributes:
        decision: see `Decision`.
        promoted: whether the candidate became champion.
        evidence: sizes, rates, intervals, p-values, slices, the rule, the normaliser's version.
    """

    verdict_id: str
    kind: str
    candidate_id: str
    champion_id: str
    golden_set: str
    golden_sha256: str
    decision: Decision
    promoted: bool
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a model heard in a clip it was judged on: key `{model_id}/{golden_sha256[:12]}/{clip_id}`."""

    prediction_id: str
    model_id: str
    clip_id: str
    speaker_id: str
    reference: str
    hypothesis: str
    errors: int
    words: int
    slices: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime = field(default_factory=utc_now)
