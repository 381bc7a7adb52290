"""How well numbers, dates and abbreviations are said and written, and how fast.

The hard sentences (`tests/unit/text/hard_sentences.tsv`) were written by this project together with the
rules, so their score says that nothing broke, not how other text fares. The round trips are exact or
wrong: integers up to a million in words and back, and random dates, times and sums through the spoken
form and back.

    python benchmarks/bench_normaliser.py [--integers 1000001] [--texts 100000] [--seed 0]

Prints one JSON line. Lines a second are of CPU time on one core; with PHONOLOOP_REAL_DATA set they are of
law paragraphs, else of the hard sentences.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from phonoloop.text.normalise import (
    NORMALISER_VERSION,
    for_scoring,
    for_training,
    normalise,
    to_spoken,
    to_written,
)
from phonoloop.text.numbers import number_to_words, words_to_number

TESTS = Path(__file__).resolve().parents[1] / "tests" / "unit" / "text"
sys.path.insert(0, str(TESTS))

from test_hard_sentences import by_class, sentences, wrong  # noqa: E402
from test_numbers import lost  # noqa: E402

TIMED_LINES = 20_000
FORMS: dict[str, Callable[[str], object]] = {
    "normalise": normalise,
    "spoken": to_spoken,
    "written": to_written,
    "for_training": for_training,
    "for_scoring": for_scoring,
}


def material() -> tuple[str, list[str]]:
    """What the speed is measured on."""
    folder = os.environ.get("PHONOLOOP_REAL_DATA", "")
    laws = Path(folder) / "text" / "vi" / "laws.txt.xz"
    if not folder or not laws.is_file():
        return "hard sentences", [line[2] for line in sentences()] * 30
    with lzma.open(laws, "rt", encoding="utf-8") as lines:
        return "law paragraphs", [
            line.rstrip("\n") for _, line in zip(range(TIMED_LINES), lines, strict=False)
        ]


def lines_per_s(form: Callable[[str], object], lines: list[str]) -> int:
    began_s = time.process_time()
    for line in lines:
        form(line)
    return round(len(lines) / (time.process_time() - began_s))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--integers", type=int, default=1_000_001, help="0 up to, not with")
    parser.add_argument("--texts", type=int, default=100_000, help="random dates, times and sums")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random.seed(args.seed)
    print(json.dumps(report(args), ensure_ascii=False))


def report(args: argparse.Namespace) -> dict[str, object]:
    classes = {name: f"{len(lines) - len(wrong(lines))}/{len(lines)}" for name, lines in by_class().items()}
    all_lines = sentences()
    measured_on, lines = material()
    integers_lost = sum(words_to_number(number_to_words(n)) != n for n in range(args.integers))
    return {
        "bench": "normaliser",
        "normaliser_version": NORMALISER_VERSION,
        "hard_sentences": len(all_lines),
        "hard_sentences_right_share": round(1 - len(wrong(all_lines)) / len(all_lines), 4),
        "bar": 0.98,
        "by_class": dict(sorted(classes.items())),
        "integers": args.integers,
        "integers_lost": integers_lost,
        "dates_times_sums": args.texts,
        "dates_times_sums_lost": len(lost(args.texts, args.seed)),
        "lines_per_s": {name: lines_per_s(form, lines) for name, form in FORMS.items()},
        "characters_per_line": round(sum(map(len, lines)) / len(lines)),
        "measured_on": f"{len(lines):,} {measured_on}, CPU time of one core; sentences by this project",
    }


if __name__ == "__main__":
    main()
