"""What the benchmarks on recordings of real people share: where they lie, and train, export, hear."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

# as the product's own trainer does: threads that spin while they wait starve a machine of few cores
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from phonoloop.asr.audio_files import read_samples
from phonoloop.asr.config import AsrRecipe
from phonoloop.asr.export import export
from phonoloop.asr.infer import Recogniser
from phonoloop.asr.train import train
from phonoloop.data.manifest import ManifestRow
from phonoloop.text.normalise import for_scoring
from phonoloop.training.progress import Progress

VARIABLE = "PHONOLOOP_REAL_DATA"


@dataclass(frozen=True)
class Heard:
    """What a freshly trained model made of recordings it was not trained on.

    Attributes:
        pairs: (what was said, what was heard) in scoring form.
        train_s: seconds of training by the clock; cpu_s: of processor time, export and hearing included.
    """

    pairs: tuple[tuple[str, str], ...]
    parameters: int
    steps: int
    train_hours: float
    train_s: float
    cpu_s: float

    @property
    def errors(self) -> int:
        return sum(said != heard for said, heard in self.pairs)

    @property
    def error(self) -> float:
        return self.errors / len(self.pairs)

    def confusions(self, most: int = 5) -> list[str]:
        counted = Counter(pair for pair in self.pairs if pair[0] != pair[1])
        return [f"{said} > {heard or '(nothing)'}: {n}" for (said, heard), n in counted.most_common(most)]


def folder_or_skip(name: str, bench: str) -> Path:
    """The folder of the real recordings; where there is none, says so in one JSON line and ends."""
    root = os.environ.get(VARIABLE, "")
    folder = Path(root, name)
    if root and folder.is_dir():
        return folder
    why = f"{VARIABLE} is not set" if not root else f"{folder} is not there"
    print(json.dumps({"bench": bench, "skipped": f"{why}; it names a folder that holds {name}/"}))
    sys.exit(0)


def row(path: Path, text: str, speaker: str) -> ManifestRow:
    return ManifestRow(str(path), text, soundfile.info(str(path)).duration, speaker)


def train_and_hear(
    recipe: AsrRecipe, train_rows: Sequence[ManifestRow], test_rows: Sequence[ManifestRow]
) -> Heard:
    """Trains without looking at any other recording, exports, and hears the test rows through ONNX.

    Nothing is validated: the last epochs are averaged, whatever they score.
    """
    cpu_s = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        out, artefact, began_s = Path(folder, "run"), Path(folder, "model"), time.perf_counter()
        result = train(
            recipe, train_rows=train_rows, val_rows=(), audio_roots=(), out_dir=out, on_progress=_tell
        )
        train_s = time.perf_counter() - began_s
        export(out, artefact)
        pairs = _hear(Recogniser.load(artefact), test_rows)
    return Heard(
        pairs, result.parameters, result.steps, result.train_hours, train_s, time.process_time() - cpu_s
    )


def _hear(recogniser: Recogniser, rows: Sequence[ManifestRow]) -> tuple[tuple[str, str], ...]:
    spoken = (read_samples(Path(r.audio_filepath), r.offset, r.duration) for r in rows)
    heard = [recogniser.transcribe(samples).text for samples in spoken]
    return tuple((for_scoring(r.text), for_scoring(text)) for r, text in zip(rows, heard, strict=True))


def _tell(progress: Progress) -> None:
    print(f"\r{progress.stage} {progress.fraction:4.0%}", end="", file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    return {"machine": platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__}
