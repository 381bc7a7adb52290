"""A stand-in for the training of a voice, for tests of the build and the job around it."""

from __future__ import annotations

import json
from collections.abc import Callable

from phonoloop.training.progress import Progress
from phonoloop.voice import build
from phonoloop.voice.evaluate import EpochScore
from phonoloop.voice.train import VoiceResult


def stand_in(
    monkeypatch, *, sound: bytes = b"network", then: Callable[[], None] = lambda: None
) -> list[dict]:
    """What it was asked for; the voice it makes is no network.

    Args:
        then: is called after its only epoch.
    """
    asked = []

    def train_voice(dataset, settings, out_dir, *, transcriber, on_progress, should_stop):
        asked.append({"dataset": dataset, "settings": settings, "out_dir": out_dir})
        epoch = out_dir / "epochs" / "epoch-0001"
        (epoch / "previews").mkdir(parents=True, exist_ok=True)
        for name in ("voice.onnx", "state.ckpt"):
            (epoch / name).write_bytes(sound)
        for name in ("voice.onnx.json", "golden.json", "epoch.json"):
            (epoch / name).write_text("{}")
        (epoch / "previews" / "00.wav").write_bytes(b"RIFF")
        on_progress(
            Progress("train", 1, 1, fraction=1.0, metrics={"loss_g": 1.5, "score": 0.3}, epoch_done=True)
        )
        then()
        told = json.loads((dataset / "dataset.json").read_text("utf-8"))
        return VoiceResult(
            dataset_id=told["dataset_id"],
            folder=epoch,
            epoch=1,
            epochs=1,
            score=score(),
            sentences=("xin chào",),
            history=({"epoch": 1, "steps": 9, "loss_g": 1.5, "score": 0.3, "sentences": [{"cer": 0.25}]},),
        )

    monkeypatch.setattr(build, "train_voice", train_voice)
    monkeypatch.setattr(build, "check_voice", lambda path: 0.0)
    return asked


def score() -> EpochScore:
    return EpochScore(
        epoch=1, cer=0.25, duration_ratio=1.1, artefacts=0.05, score=0.3, heard_by="parrot", sentences=()
    )
