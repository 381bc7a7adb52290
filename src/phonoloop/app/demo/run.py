"""The demo from an empty folder to the final table."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from phonoloop.app.bootstrap import App, open_app
from phonoloop.app.demo import material, report, steps
from phonoloop.app.settings import load_settings

SEED = 20
#: little audio is soon learned as well as it can be, and the demo should not take long
FIRST_EPOCHS = 8
#: enough for a model that learns from wrong texts to get worse
SHUFFLED_EPOCHS = 2
Bar = Callable[[str], AbstractContextManager[Callable[[float, str], None]]]
Say = Callable[[str], None]


def run_demo(
    out: Path, *, recordings: Path | None, recipe: str, say: Say, bar: Bar, seed: int = SEED
) -> report.Outcome:
    """Runs it; leaves `report.json`, `learning_curves.png`, `held_out/` and `data/` in `out`.

    What an earlier run left there is removed first.
    """
    began_s = time.monotonic()
    _clear(out)
    with open_app(load_settings({"data_dir": out / "data", "asr_recipe": recipe})) as app:
        app.inbox.mkdir(parents=True, exist_ok=True)
        source = _material(app, recordings, seed)
        say(f"Material: {source.about}.")
        material.pin_all(app, source.pins)
        outcome = _loop(app, source, say=say, bar=bar, began_s=began_s)
    files = {
        "report": report.write_report(outcome, out),
        "picture": report.draw_curves(outcome.trainings, out, synthetic=outcome.synthetic),
        "data": out / "data",
    }
    say("")
    for line in report.table_lines(outcome, files):
        say(line)
    return outcome


def _clear(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in ("data", "held_out"):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in ("report.json", "learning_curves.png"):
        (out / name).unlink(missing_ok=True)


def _material(app: App, recordings: Path | None, seed: int) -> material.Material:
    if recordings is not None:
        return material.recorded(app.inbox, recordings)
    from phonoloop.adapters.espeak import EspeakSynthesizer

    return material.synthesised(app.inbox, EspeakSynthesizer(), seed=seed)


def _loop(app: App, source: material.Material, *, say: Say, bar: Bar, began_s: float) -> report.Outcome:
    _drop(app, source, 1, say=say, bar=bar)
    first = _train(app, "first model", say=say, bar=bar, epochs=FIRST_EPOCHS)
    _drop(app, source, 2, say=say, bar=bar)
    final = _train(app, "more audio", say=say, bar=bar, initial="champion")
    manifest = steps.shuffled_manifest(app, app.data_dir.parent / "shuffled.jsonl", seed=SEED)
    shuffled = _train(
        app,
        "shuffled transcripts",
        say=say,
        bar=bar,
        initial="champion",
        manifest=manifest,
        epochs=SHUFFLED_EPOCHS,
    )
    rolled_back = final.promoted and steps.roll_back_and_forth(app, first.model_id, final.model_id)
    say(f"Rolled back to {first.model_id} and forth again: {'worked' if rolled_back else 'did not work'}.")
    return report.Outcome(
        first=first,
        final=final,
        shuffled=shuffled,
        rolled_back=rolled_back,
        about=source.about,
        synthetic=source.synthetic,
        held_out=report.keep_held_out(app, app.data_dir.parent / "held_out"),
        seconds=time.monotonic() - began_s,
    )


def _drop(app: App, source: material.Material, batch: int, *, say: Say, bar: Bar) -> None:
    with bar(f"Batch {batch}: recordings") as on_share:
        dropped = source.drop(batch, on_share)
    material.settle(app.inbox, app.settings.settle_s)
    with bar(f"Batch {batch}: ingest") as on_share:
        counts = steps.take_in_inbox(app)
    refused = f", {counts.refused} refused (see {app.data_dir / 'rejected'})" if counts.refused else ""
    skipped = f" ({dropped.skipped} skipped: espeak-ng crashed on them)" if dropped.skipped else ""
    files = f"{dropped.files} recordings dropped into the inbox{skipped}"
    say(f"Batch {batch}: {files}, {counts.ingested} ingested{refused}.")


def _train(app: App, label: str, *, say: Say, bar: Bar, **wish: object) -> steps.Trained:
    with bar(f"Training: {label}") as on_share:
        trained = steps.train(app, label, on_share, **wish)
    verdict = "promoted" if trained.promoted else "not promoted"
    say(f"{label.capitalize()}: {trained.model_id}, {verdict}. {trained.reason}.")
    return trained
