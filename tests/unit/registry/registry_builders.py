"""Builders for registry tests: small entities with everything that does not matter filled in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from phonoloop.core import ids
from phonoloop.data.model import Clip, ClipStatus, GoldenSet, Provenance, Recording, Speaker, Split
from phonoloop.registry.decide import Terms, prediction_id
from phonoloop.registry.model import Model, Prediction
from phonoloop.registry.rule import PromotionRule

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
GOLDEN_SHA256 = ids.sha256_hex(b"golden")


def model(name: str, **changes: Any) -> Model:
    given = {
        "model_id": name,
        "kind": "asr",
        "run_id": name.removeprefix("asr-"),
        "snapshot_id": "snap",
        "artefacts": f"models/asr/{name}/",
        "files": {"model.onnx": "0" * 64},
        "created_at": NOON,
    }
    return Model(**(given | changes))


def golden(speakers: int = 8, clips: int = 80, **changes: Any) -> GoldenSet:
    given = {
        "name": "test",
        "manifest": "datasets/golden/test.jsonl",
        "manifest_sha256": GOLDEN_SHA256,
        "clips": clips,
        "speakers": speakers,
        "hours": 0.1,
        "created_at": NOON,
    }
    return GoldenSet(**(given | changes))


def heard(name: str, errors_of: Any, *, of: GoldenSet, words: int = 10) -> list[Prediction]:
    """What a model heard in every clip of a golden set; `errors_of(clip)` counts its errors."""
    return [
        Prediction(
            prediction_id=prediction_id(name, of.manifest_sha256, f"clip{i:03d}"),
            model_id=name,
            clip_id=f"clip{i:03d}",
            speaker_id=f"speaker{i % of.speakers}",
            reference="một hai ba",
            hypothesis="một hai",
            errors=errors_of(i),
            words=words,
            slices={"dialect": "south" if i % of.speakers < of.speakers // 2 else "north"},
            created_at=NOON,
        )
        for i in range(of.clips)
    ]


def terms(of: GoldenSet | None, **rule: Any) -> Terms:
    return Terms(golden=of, rule=PromotionRule(**rule), normaliser_version="basic-vi-1")


def speaker(name: str, split: Split, attributes: Mapping[str, Any] | None = None) -> Speaker:
    return Speaker(speaker_id=name, name=name, split=split, attributes=attributes or {}, created_at=NOON)


def recording(audio_id: str, of: Speaker, **changes: Any) -> Recording:
    given = {
        "audio_id": audio_id,
        "speaker_id": of.speaker_id,
        "split": of.split,
        "path": f"audio/raw/{audio_id}.wav",
        "original_key": f"audio/original/{audio_id}.mp3",
        "original_sha256": "0" * 64,
        "original_name": f"{audio_id}.mp3",
        "samples": 48_000,
        "duration_s": 3.0,
        "sample_rate_hz": 44_100,
        "channels": 1,
        "container": "mp3",
        "snr_db": 25.0,
        "clipping_share": 0.0,
        "silence_share": 0.1,
        "loudness_lufs": -23.0,
        "bandwidth_hz": 7_000.0,
        "created_at": NOON,
    }
    return Recording(**(given | changes))


def clip(of: Recording, **changes: Any) -> Clip:
    given = {
        "clip_id": ids.clip_id(of.audio_id, 0, of.samples),
        "audio_id": of.audio_id,
        "speaker_id": of.speaker_id,
        "split": of.split,
        "start_sample": 0,
        "end_sample": of.samples,
        "duration_s": of.duration_s,
        "snr_db": of.snr_db,
        "status": ClipStatus.ACCEPTED,
        "text": "xin chào các bạn",
        "provenance": Provenance.SIDECAR,
        "created_at": NOON,
    }
    return Clip(**(given | changes))
