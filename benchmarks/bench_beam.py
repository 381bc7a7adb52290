"""Beam search with a 4-gram against greedy decoding, on the demo's unseen voices.

python benchmarks/bench_beam.py [--data DIR] [--model DIR] [--out DIR]

`--data` names a data folder that a demo left (`demo/data`); without one the demo is run first, which takes
several minutes. The champion is not trained again. The language model is trained on the demo's training
transcripts without every sentence that a validation or test voice says; its weights, and the calibration of
confidences, come from the validation voices; the test voices are decoded once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.app.bootstrap import open_app
from phonoloop.app.champion import artefact_dir
from phonoloop.app.settings import load_settings
from phonoloop.app.views import find_model
from phonoloop.asr.audio_files import read_samples
from phonoloop.asr.beam import BeamDecoder
from phonoloop.asr.beam_recogniser import BeamRecogniser
from phonoloop.asr.evaluate import Evaluation, evaluate
from phonoloop.asr.infer import Recogniser
from phonoloop.asr.tuning import Tuned, calibrate_greedy, hear, tune
from phonoloop.core.speech import Transcriber
from phonoloop.data.manifest import ManifestRow, parse_manifest, resolve_audio
from phonoloop.data.model import Split
from phonoloop.data.snapshot import current_manifest
from phonoloop.text.ngram import NgramModel
from phonoloop.text.ngram_text import sentences_of

ROOT = Path(__file__).resolve().parents[1]
ORDER = 4


@dataclass(frozen=True)
class World:
    """The demo's recogniser and its clips."""

    data: Path
    recogniser: Recogniser
    rows: dict[Split, list[ManifestRow]]

    def texts(self, split: Split) -> list[str]:
        return [text for row in self.rows[split] for text in sentences_of(row.text)]


def main() -> int:
    options = _options()
    data = options.data or _demo(options.out)
    world = _world(data, options.model)
    held_out = {*world.texts(Split.VAL), *world.texts(Split.TEST)}
    texts = [text for text in world.texts(Split.TRAIN) if text not in held_out]
    model = NgramModel.train(texts, ORDER)
    examples = hear(world.recogniser, world.rows[Split.VAL], [data])
    tuned = tune(world.recogniser, model, examples)
    greedy = replace(world.recogniser, calibration=calibrate_greedy(world.recogniser, examples))
    beam = _beam(world, model, tuned)
    line = {
        "bench": "beam",
        "order": ORDER,
        "texts": len(texts),
        "words": sum(len(text.split()) for text in texts),
        "left_out": len(world.texts(Split.TRAIN)) - len(texts),
        "perplexity_test": round(model.perplexity(world.texts(Split.TEST)).perplexity, 2),
        "alpha": tuned.config.alpha,
        "beta": tuned.config.beta,
        "beam": tuned.config.beam,
        **_compared(world, greedy, beam),
        "ways": _other_ways(world, model, tuned),
        "cores": os.cpu_count(),
        "measured_on": _measured_on(world),
    }
    print(json.dumps(line, ensure_ascii=False))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="data folder that a demo left")
    parser.add_argument("--model", type=Path, help="exported recogniser to take instead of its champion")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "demo", help="where the demo is run without --data"
    )
    return parser.parse_args()


def _demo(out: Path) -> Path:
    if not (out / "report.json").exists():
        command = [sys.executable, "-m", "phonoloop.app.cli.main", "demo", "--out", str(out), "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out / "data"


def _world(data: Path, model: Path | None) -> World:
    with open_app(load_settings({"data_dir": data})) as app:
        with app.records.transaction() as tx:
            folder = model or artefact_dir(app.blobs, find_model(tx, "champion"))
        rows = {
            split: parse_manifest(app.blobs.get(current_manifest(split)), name=str(split)) for split in Split
        }
    return World(data, replace(Recogniser.load(folder, threads=1), calibration=None), rows)


def _beam(world: World, model: NgramModel, tuned: Tuned) -> BeamRecogniser:
    decoder = BeamDecoder(world.recogniser.tokenizer, tuned.config, model=model)
    return BeamRecogniser(world.recogniser, decoder, calibration=tuned.calibration)


def _compared(world: World, greedy: Transcriber, beam: Transcriber) -> dict[str, Any]:
    before, after = (evaluate(one, world.rows[Split.TEST], [world.data]) for one in (greedy, beam))
    low, high = _fall_interval(before, after)
    return {
        "greedy": _figures(world, greedy, before),
        "with_lm": _figures(world, beam, after),
        "fall": round(1 - after.wer.rate / before.wer.rate, 4),
        "fall_interval": [low, high],
    }


def _figures(world: World, transcriber: Transcriber, heard: Evaluation) -> dict[str, Any]:
    raw = evaluate(replace(transcriber, calibration=None), world.rows[Split.TEST], [world.data])
    return {
        "wer": round(heard.wer.rate, 4),
        "interval": [round(heard.wer.low, 4), round(heard.wer.high, 4)],
        "ece": round(heard.confidences.ece, 4),
        "ece_uncalibrated": round(raw.confidences.ece, 4),
        "times_real_time": _speed(world, transcriber),
    }


def _speed(world: World, transcriber: Transcriber) -> float:
    """Seconds of audio heard in a second of this process's CPU, features and network included."""
    clips = [
        read_samples(resolve_audio(row, world.data), row.offset, row.duration)
        for row in world.rows[Split.TEST]
    ]
    began_s = time.process_time()
    for samples in clips:
        transcriber.transcribe(samples)
    return round(sum(map(len, clips)) / 16_000 / (time.process_time() - began_s), 1)


def _fall_interval(before: Evaluation, after: Evaluation) -> tuple[float, float]:
    """95 %, speakers drawn with replacement, the same ones for both."""
    errors: dict[str, np.ndarray] = {}
    for one, other in zip(before.utterances, after.utterances, strict=True):
        both = np.array([one.scores.words.errors, other.scores.words.errors], float)
        errors[one.speaker] = errors.get(one.speaker, np.zeros(2)) + both
    table = np.array(list(errors.values()))
    drawn = np.random.default_rng(0).integers(0, len(table), (10_000, len(table)))
    totals = table[drawn].sum(axis=1)
    falls = 1 - totals[:, 1] / np.maximum(totals[:, 0], 1)
    return round(float(np.quantile(falls, 0.025)), 4), round(float(np.quantile(falls, 0.975)), 4)


def _other_ways(world: World, model: NgramModel, tuned: Tuned) -> dict[str, Any]:
    """What else could be done with the same texts: WER of each, all but the weights as above."""
    tokenizer, config = world.recogniser.tokenizer, tuned.config
    nothing = replace(config, alpha=0.0, beta=0.0)
    decoders: dict[str, Callable[[], BeamDecoder]] = {
        "beam_alone": lambda: BeamDecoder(tokenizer, nothing),
        "lexicon_alone": lambda: BeamDecoder(tokenizer, nothing, lexicon=model.words),
        "lm_and_lexicon": lambda: BeamDecoder(tokenizer, config, model=model, lexicon=model.words),
        "beam_64": lambda: BeamDecoder(tokenizer, replace(config, beam=64), model=model),
    }
    found = {name: _rate(world, BeamRecogniser(world.recogniser, make())) for name, make in decoders.items()}
    with tempfile.TemporaryDirectory() as folder:  # as another program's file would come
        model.to_arpa(Path(folder) / "lm.arpa")
        read = NgramModel.from_arpa(Path(folder) / "lm.arpa")
    found["from_arpa"] = _rate(
        world, BeamRecogniser(world.recogniser, BeamDecoder(tokenizer, config, model=read))
    )
    return found


def _rate(world: World, transcriber: Transcriber) -> float:
    return round(evaluate(transcriber, world.rows[Split.TEST], [world.data]).wer.rate, 4)


def _measured_on(world: World) -> str:
    rows: Sequence[ManifestRow] = world.rows[Split.TEST]
    voices = len({row.speaker for row in rows})
    return f"{len(rows)} clips of {voices} synthetic voices (espeak-ng) that no training heard, not people"


if __name__ == "__main__":
    sys.exit(main())
