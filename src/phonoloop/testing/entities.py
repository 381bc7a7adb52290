"""Recorded things for tests, valid unless told otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from phonoloop.core.ids import clip_id
from phonoloop.data.model import Clip, IndexedText, Provenance, Recording, Speaker, Split
from phonoloop.search.words import pairs, plain, words_of

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def a_speaker(speaker_id: str = "lan", split: Split = Split.TRAIN, **fields: Any) -> Speaker:
    return Speaker(speaker_id=speaker_id, split=split, **{"name": speaker_id.title()} | fields)


def a_recording(
    audio_id: str = "rec1", speaker_id: str = "lan", split: Split = Split.TRAIN, **fields: Any
) -> Recording:
    usual = {
        "path": f"audio/raw/{audio_id}.wav",
        "original_key": f"audio/original/{audio_id}.flac",
        "original_sha256": "0" * 64,
        "original_name": f"{audio_id}.flac",
        "samples": 48_000,
        "duration_s": 3.0,
        "sample_rate_hz": 44_100,
        "channels": 2,
        "container": "flac",
        "snr_db": 30.5,
        "clipping_share": 0.0,
        "silence_share": 0.25,
        "loudness_lufs": -23.0,
        "bandwidth_hz": 7_500.0,
    }
    return Recording(audio_id=audio_id, speaker_id=speaker_id, split=split, **usual | fields)


def a_clip(
    audio_id: str = "rec1",
    start_sample: int = 0,
    *,
    speaker_id: str = "lan",
    split: Split = Split.TRAIN,
    **fields: Any,
) -> Clip:
    end_sample = start_sample + 16_000
    usual = {"clip_id": clip_id(audio_id, start_sample, end_sample), "duration_s": 1.0, "snr_db": 25.0}
    return Clip(
        audio_id=audio_id,
        speaker_id=speaker_id,
        split=split,
        start_sample=start_sample,
        end_sample=end_sample,
        **usual | fields,
    )


def a_text(text_id: str, *, text: str, **fields: Any) -> IndexedText:
    words = words_of(text)
    usual = {
        "audio_id": f"rec-{text_id}",
        "clip_id": "",
        "speaker_id": "lan",
        "split": Split.TRAIN,
        "provenance": Provenance.HUMAN,
        "snr_db": 25.0,
        "recorded_at": NOON,
        "start_sample": 0,
        "end_sample": 48_000,
        "revision": 1,
        "words": " ".join(words),
        "plain": " ".join(plain(words)),
        "pairs": " ".join(pairs(plain(words))),
        "embedder": "test",
        "vector": b"",
    }
    return IndexedText(text_id=text_id, text=text, **usual | fields)


class ManualClock:
    """A clock that goes when it is told to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now
