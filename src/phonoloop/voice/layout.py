"""Where things lie in the folder of a voice.

DIR/
  checkpoints/<job_id>.json   how far the job is (requirement C8)
  clips/<clip_id>.wav         what is trained on: 16-bit mono, 22,050 Hz
  clips/<clip_id>.json        its text, confidence, language, trust, source offsets
  metadata.csv                clip|transcript|duration|speaker|quality
  manifest.json               the sources, the clips, what was refused and why, all by their hashes
  corrections/<clip_id>.json  what people corrected; kept whatever else is made anew
  dataset/                    for Piper
  training/                   checkpoints, previews, figures
  voice/                      the result: NAME.onnx, NAME.onnx.json, card.md
  report.json                 everything a person wants to know; written last
  cache/                      see `store`
"""

from __future__ import annotations

from pathlib import Path

CHECKPOINTS, CLIPS, CORRECTIONS = "checkpoints", "clips", "corrections"
DATASET, TRAINING, VOICE = "dataset", "training", "voice"
METADATA, MANIFEST, REPORT = "metadata.csv", "manifest.json", "report.json"


def clip_audio(folder: Path, clip_id: str) -> Path:
    return folder / CLIPS / f"{clip_id}.wav"


def clip_facts(folder: Path, clip_id: str) -> Path:
    return folder / CLIPS / f"{clip_id}.json"


def correction(folder: Path, clip_id: str) -> Path:
    return folder / CORRECTIONS / f"{clip_id}.json"
