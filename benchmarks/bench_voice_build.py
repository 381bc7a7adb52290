"""How long `phonoloop voice build` takes from a video of talk until the dataset, its transcript beside it.

The talk is synthesised (espeak-ng, sentences of a grammar with pauses between them, a little noise) and
written as AAC in an mp4; the sidecar says what is said when. The command runs as a user runs it, in an
empty folder, bound to so many cores where the system can do that. A second run finds everything there.

    python benchmarks/bench_voice_build.py [--minutes 20] [--cores 2]

Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.adapters.espeak import EspeakSynthesizer
from phonoloop.app.demo.grammar import load_grammar
from phonoloop.testing.sounds import at_level, write_media

BAR_S = 90.0
RATE_HZ = 16_000
VOICE = "vi-vn-x-south+f2"
SPEECH_DBFS, NOISE_DBFS = -23.0, -62.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--cores", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_talk(Path(folder) / "talk", 60 * args.minutes)
        first_s, cpu_s, report = built(Path(folder), args.cores)
        again_s, _, _ = built(Path(folder), args.cores)
    print(json.dumps(line(args, report, first_s=first_s, cpu_s=cpu_s, again_s=again_s)), flush=True)


def write_talk(folder: Path, duration_s: float) -> None:
    folder.mkdir(parents=True)
    rng, grammar = np.random.default_rng(0), load_grammar()
    parts: list[np.ndarray] = []
    segments: list[dict[str, Any]] = []
    done = 0
    with EspeakSynthesizer() as espeak:
        while done < duration_s * RATE_HZ:
            text = ", ".join(grammar.sentence(rng) for _ in range(rng.integers(1, 4)))
            said = at_level(espeak.synthesize(text, voice=VOICE), SPEECH_DBFS)
            segments.append({"start_ms": ms(done), "end_ms": ms(done + said.size), "text": text})
            parts += [said, np.zeros(round(rng.uniform(0.4, 1.4) * RATE_HZ), np.float32)]
            done += parts[-2].size + parts[-1].size
    samples = np.concatenate(parts)
    samples += at_level(rng.standard_normal(samples.size).astype(np.float32), NOISE_DBFS)
    write_media(folder / "talk.mp4", samples, RATE_HZ)
    sidecar = {"speaker": "espeak", "licence": "CC0-1.0", "segments": segments}
    (folder / "talk.json").write_text(json.dumps(sidecar, ensure_ascii=False), encoding="utf-8")


def ms(samples: int) -> int:
    return samples * 1000 // RATE_HZ


def built(folder: Path, cores: int) -> tuple[float, float, dict[str, Any]]:
    """Seconds of the wall, of the CPU, and the report."""
    command = [sys.executable, "-m", "phonoloop.app.cli.main", "voice", "build", str(folder / "talk")]
    options = ["--name", "bench", "--language", "vi", "--until", "dataset", "--json"]
    places = ["--out", str(folder / "out"), "--data", str(folder / "data")]
    before_s, began_s = cpu_of_children_s(), time.perf_counter()
    done = subprocess.run(
        [*command, *options, *places], capture_output=True, text=True, check=False, preexec_fn=bound_to(cores)
    )
    took_s = time.perf_counter() - began_s
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return took_s, cpu_of_children_s() - before_s, json.loads(done.stdout)


def bound_to(cores: int) -> Any:
    def bind() -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])

    return bind


def cpu_of_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def line(
    args: argparse.Namespace, report: dict[str, Any], *, first_s: float, cpu_s: float, again_s: float
) -> dict[str, Any]:
    return {
        "bench": "voice_build",
        "wall_s": round(first_s, 1),
        "bar_s": BAR_S,
        "cpu_s": round(cpu_s, 1),
        "again_s": round(again_s, 1),
        "segments": report["segments"],
        "clips": report["clips"],
        "clips_hours": report["hours"]["clips"],
        "texts": report["texts"],
        "refused_clips": report["refused_clips"],
        "load": [round(load, 1) for load in os.getloadavg()],
        "measured_on": f"{args.minutes:g} min of espeak-ng's Vietnamese, AAC in mp4, transcript beside it; "
        f"until dataset, no recogniser; {args.cores} of {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}",
    }


if __name__ == "__main__":
    main()
