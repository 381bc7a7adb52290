"""What the demo leaves: a table, a picture, a report, clips to listen to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phonoloop.app.bootstrap import App
from phonoloop.app.demo.steps import Trained
from phonoloop.app.hearing import serving_recogniser
from phonoloop.audio.wav import read_wav, to_int16, wav_bytes
from phonoloop.core.units import seconds_to_samples
from phonoloop.data.manifest import ManifestRow
from phonoloop.data.model import Split
from phonoloop.data.snapshot import snapshot_rows

CLIPS = 5


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A clip that no training heard: what was said, and what the champion heard."""

    file: str
    speaker: str
    said: str
    heard: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything the demo found."""

    first: Trained
    final: Trained
    shuffled: Trained
    rolled_back: bool
    about: str
    synthetic: bool
    seconds: float
    held_out: tuple[HeldOut, ...]

    @property
    def refused(self) -> bool:
        return not self.shuffled.promoted

    @property
    def trainings(self) -> tuple[Trained, ...]:
        return (self.first, self.final, self.shuffled)

    def to_dict(self) -> dict[str, Any]:
        return {
            "wer_first": self.first.wer,
            "wer_final": self.final.wer,
            "refused": self.refused,
            "rolled_back": self.rolled_back,
            "hours": round(self.final.hours, 4),
            "seconds": round(self.seconds, 1),
            "synthetic": self.synthetic,
            "measured_on": _measured_on(self),
            "wer_shuffled": self.shuffled.wer,
            "models": {t.label: t.model_id for t in self.trainings},
            "decisions": {t.label: t.decision for t in self.trainings},
            "intervals": {t.label: t.golden.get("interval") for t in self.trainings},
            "held_out": [asdict(clip) for clip in self.held_out],
        }


def _measured_on(outcome: Outcome) -> str:
    golden = outcome.final.golden
    if not golden:
        return "nothing: no speaker was kept for testing"
    kind = "synthetic voices" if outcome.synthetic else "speakers"
    return f"{golden['words']} words of {golden['speakers']} {kind} that no training heard"


def keep_held_out(app: App, folder: Path) -> tuple[HeldOut, ...]:
    """A few test clips as WAV, each of another speaker where there are enough, heard by the champion."""
    rows = snapshot_rows(app.ingest, app.freeze().snapshot, Split.TEST)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return tuple(_keep(app, row, folder) for row in _one_a_speaker(rows)[:CLIPS])


def _one_a_speaker(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    firsts: dict[str, ManifestRow] = {}
    for row in rows:
        firsts.setdefault(row.speaker, row)
    return [*firsts.values(), *(row for row in rows if row is not firsts[row.speaker])]


def _keep(app: App, row: ManifestRow, folder: Path) -> HeldOut:
    start = seconds_to_samples(row.offset)
    samples = read_wav(
        app.blobs.local_path(row.audio_filepath), start, start + seconds_to_samples(row.duration)
    )
    name = f"{row.clip_id[:12]}.wav"
    (folder / name).write_bytes(wav_bytes(to_int16(samples)))
    heard = serving_recogniser(app).transcribe(samples).text
    return HeldOut(file=f"{folder.name}/{name}", speaker=row.speaker, said=row.text, heard=heard)


def write_report(outcome: Outcome, folder: Path) -> Path:
    path = folder / "report.json"
    path.write_text(json.dumps(outcome.to_dict(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return path


def draw_curves(trainings: Sequence[Trained], folder: Path, *, synthetic: bool) -> Path | None:
    """Validation WER by epoch, a line a training; None where no training was validated."""
    drawn = [training for training in trainings if training.curve]
    if not drawn:
        return None
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for training in drawn:
        epochs = range(1, len(training.curve) + 1)
        axes.plot(epochs, [100 * min(wer, 1.0) for wer in training.curve], marker=".", label=training.label)
    axes.set(xlabel="epoch", ylabel="WER on the validation speakers, %", ylim=(0, 102))
    axes.set_title("Learning curves" + (" (synthetic speech)" if synthetic else ""))
    axes.grid(alpha=0.3)
    axes.legend()
    path = folder / "learning_curves.png"
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def table_lines(outcome: Outcome, files: Mapping[str, Path | None]) -> Iterator[str]:
    """The last screen of the demo."""
    yield f"WER on {_measured_on(outcome)}:"
    for training in outcome.trainings:
        state = "promoted" if training.promoted else "refused"
        why = training.decision.replace("_", " ")
        yield f"  {training.label:<24}{_rate(training):>26}{training.hours:8.2f} h  {state}: {why}"
    yield f"  rollback to the first model and back again: {'worked' if outcome.rolled_back else 'FAILED'}"
    if outcome.held_out:
        one = outcome.held_out[0]
        yield f"Held-out clip {one.file}, speaker {one.speaker}"
        yield f"  said   {one.said}"
        yield f"  heard  {one.heard}"
    if outcome.synthetic:
        yield "The speech is synthetic (espeak-ng). These figures say nothing about people."
    yield f"{outcome.seconds:.0f} s. " + "  ".join(f"{name}: {path}" for name, path in files.items() if path)


def _rate(training: Trained) -> str:
    if training.wer is None:
        return "not measured"
    interval = training.golden.get("interval")
    spread = f" ({interval[0]:.1%} to {interval[1]:.1%})" if interval else ""
    return f"{training.wer:.1%}{spread}"
