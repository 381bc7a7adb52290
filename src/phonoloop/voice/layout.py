"""Where things lie in the folder of a voice.

DIR/
  checkpoints/<job_id>.json     how far the job is (requirement C8)
  segments.json                 where every recording was cut
  clips/<clip_id>.wav           what is trained on: 16-bit mono, 22,050 Hz
  transcripts/<clip_id>.json    its text, confidence, language, trust, source offsets
  metadata.csv                  clip|transcript|duration|speaker|quality
  corrections/<passage_id>.json what people corrected; kept whatever else is made anew
  manifest.json                 the sources, the clips, what was refused and why, all by their hashes
  dataset/                      for Piper
  training/<dataset>/           checkpoints, previews, figures
  voice/                        the result: NAME.onnx, NAME.onnx.json
  report.json                   everything a person wants to know; written last
  log.txt
  cache/                        see `store`
"""

from __future__ import annotations

from pathlib import Path

CHECKPOINTS, CLIPS = "checkpoints", "clips"
DATASET, TRAINING, VOICE = "dataset", "training", "voice"
MANIFEST, REPORT, SEGMENTS = "manifest.json", "report.json", "segments.json"


def clip_audio(folder: Path, clip_id: str) -> Path:
    return folder / CLIPS / f"{clip_id}.wav"
