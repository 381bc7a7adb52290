"""Restoring Vietnamese marks: how many syllables come back right, how fast, and what correct text suffers.

Needs PHONOLOOP_REAL_DATA. VTB dev and VIVOS are read to be measured on, and nothing else. Lower-cased, tone
placement ignored; words of other languages count. Intervals: bootstrap over sentences. On one core.

    OMP_NUM_THREADS=1 python benchmarks/bench_restore.py [--model FILE]
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import platform
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.text.restorer import SHIPPED, Restorer
from phonoloop.text.restorer_measure import LineResult, kept, restored
from phonoloop.text.syllables import strip_marks

#: sentences of correct text, and how they are drawn
CORRECT, SEED = 20_000, 0


def lines_of(folder: Path, name: str) -> list[str]:
    data = (folder / name).read_bytes()
    text = (lzma.decompress(data) if name.endswith(".xz") else data).decode("utf-8")
    return [line for line in text.split("\n") if line.strip()]


def accuracy(results: Sequence[LineResult]) -> dict[str, Any]:
    words = np.array([result.syllables for result in results])
    wrong = np.array([result.wrong for result in results])
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(0, len(words), (1_000, len(words)))
    rates = 1 - wrong[drawn].sum(1) / words[drawn].sum(1)
    return {
        "accuracy": round(1 - wrong.sum() / words.sum(), 5),
        "interval_95": [round(float(q), 5) for q in np.quantile(rates, (0.025, 0.975))],
        "syllables": int(words.sum()),
        "sentences": len(words),
    }


def correct_text(folder: Path) -> list[str]:
    """20,000 sentences: VTB train, XQuAD, and statutes drawn by chance."""
    few = lines_of(folder, "vtb_train.txt") + lines_of(folder, "xquad.txt")
    laws = lines_of(folder, "laws.txt.xz")
    return few + random.Random(SEED).sample(laws, CORRECT - len(few))


def changed(restorer: Restorer, lines: Sequence[str]) -> dict[str, Any]:
    results = list(kept(restorer, lines))
    words, wrong = sum(r.syllables for r in results), sum(r.wrong for r in results)
    return {"changed_share": round(wrong / words, 7), "changed": wrong, "syllables": words}


def speed(restorer: Restorer, lines: Sequence[str]) -> float:
    """Syllables per second of processor time, stripped text, lines as `text restore` batches them."""
    given = [strip_marks(line) for line in lines]
    words = sum(len(line.split()) for line in given)
    restorer.restore_many(given[:512])
    begun = time.process_time()
    for at in range(0, len(given), 512):
        restorer.restore_many(given[at : at + 512])
    return words / (time.process_time() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    given = parser.parse_args()
    folder = Path(os.environ["PHONOLOOP_REAL_DATA"]) / "text" / "vi"
    begun = time.process_time()
    restorer = Restorer.load(given.model)
    restorer.restore("toi di hoc")
    load_s = time.process_time() - begun
    dev, vivos = lines_of(folder, "vtb_dev.txt"), lines_of(folder, "vivos_train.txt")
    print(
        json.dumps(
            {
                "bench": "restore",
                "vtb_dev": accuracy(list(restored(restorer, dev))),
                "vivos": accuracy(list(restored(restorer, vivos))),
                "correct_text": changed(restorer, correct_text(folder)),
                "correct_text_not_trained_on": changed(restorer, dev + vivos),
                "syllables_per_s": round(speed(restorer, vivos)),
                "load_and_first_s": round(load_s, 3),
                "model_bytes": given.model.stat().st_size,
                "machine": platform.machine(),
            },
            ensure_ascii=False,
        )
    )


if __name__ == "__main__":
    main()
