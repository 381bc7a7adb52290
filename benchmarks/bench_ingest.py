"""What taking files in costs on top of decoding them.

A hundred ten-second MP3s go through the decoder alone, and through everything: decode, measure, hash,
store (a folder), record (SQLite) and publish. Both sides use the same decoding child, in turns. CPU
time is that of this process and of the child together, start-up left out.

    python benchmarks/bench_ingest.py [--files 100] [--repetitions 5] [--profile]

Prints one JSON line for each kind of MP3.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import platform
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import soundfile

from phonoloop.adapters.blobs_local import LocalBlobStore
from phonoloop.adapters.bus_sql import SqlEventBus
from phonoloop.adapters.records_sql import SqlRecords
from phonoloop.audio.decode import Decoder
from phonoloop.audio.vad import EnergyDetector
from phonoloop.data.ingest import Hints, IngestContext, ingest_file

SECONDS = 10
BAR = 2.0
KINDS = {"16 kHz mono": (16_000, 1), "44.1 kHz stereo": (44_100, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="print where the time goes as well")
    args = parser.parse_args()
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder, Decoder() as decoder:
            files = write_files(Path(folder) / "mp3", kind, args.files)
            decoder.decode(files[0])  # starts the child
            print(json.dumps(compare(kind, files, decoder, args)), flush=True)


def write_files(folder: Path, kind: str, count: int) -> list[Path]:
    """Different tones that come and go, over a little noise: what they are does not matter for the cost."""
    folder.mkdir(parents=True)
    rate_hz, channels = KINDS[kind]
    rng = np.random.default_rng(0)
    paths = [folder / f"{number:03d}.mp3" for number in range(count)]
    for number, path in enumerate(paths):
        soundfile.write(path, voice_like(rng, number, rate_hz, channels), rate_hz, format="MP3")
    return paths


def voice_like(rng: np.random.Generator, number: int, rate_hz: int, channels: int) -> np.ndarray:
    t = np.arange(SECONDS * rate_hz) / rate_hz
    tones = sum(np.sin(2 * np.pi * (110 + number) * harmonic * t) / harmonic for harmonic in range(1, 20))
    loudness = np.clip(np.sin(2 * np.pi * 0.7 * t), 0, 1)
    mono = 0.1 * tones * loudness + rng.normal(0, 0.002, t.size)
    return np.repeat(mono[:, None], channels, axis=1)


def compare(kind: str, files: list[Path], decoder: Decoder, args: argparse.Namespace) -> dict[str, object]:
    decode_s, ingest_s, wall_s = [], [], []
    for _ in range(args.repetitions):
        decode_s.append(cpu_s(lambda: decode_all(files, decoder)))
        began = time.perf_counter()
        ingest_s.append(ingest_all(files, decoder, profile=args.profile))
        wall_s.append(time.perf_counter() - began)
    ratio = statistics.median(ingest_s) / statistics.median(decode_s)
    return {
        "bench": "ingest",
        "cpu_ratio_to_decoding": round(ratio, 3),
        "ratios": [round(a / b, 3) for a, b in zip(ingest_s, decode_s, strict=True)],
        "bar": BAR,
        "decode_cpu_s": round(statistics.median(decode_s), 3),
        "ingest_cpu_s": round(statistics.median(ingest_s), 3),
        "ingest_wall_s": round(statistics.median(wall_s), 3),
        "repetitions": args.repetitions,
        "load": [round(load, 1) for load in os.getloadavg()],
        "measured_on": f"{len(files)} MP3s of {SECONDS} s, {kind}, synthetic; SQLite and a folder on local "
        f"disk; {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    }


def cpu_s(work: Callable[[], None]) -> float:
    children = psutil.Process().children()
    before = used_s(children)
    work()
    return used_s(children) - before


def used_s(children: list[psutil.Process]) -> float:
    """CPU time so far of this process and of its children."""
    own_s = time.process_time()
    child_times = [child.cpu_times() for child in children]
    return own_s + sum(times.user + times.system for times in child_times)


def decode_all(files: list[Path], decoder: Decoder) -> None:
    for path in files:
        decoder.decode(path)


def ingest_all(files: list[Path], decoder: Decoder, *, profile: bool) -> float:
    """CPU seconds of taking the files into an empty store, one transaction each, and publishing."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        records = SqlRecords(f"sqlite:///{root / 'phonoloop.db'}")
        bus = SqlEventBus(records)
        context = IngestContext(records, LocalBlobStore(root), decoder, EnergyDetector())
        profiler = cProfile.Profile(time.process_time) if profile else None
        if profiler:
            profiler.enable()
        spent = cpu_s(lambda: take_in(files, context, bus))
        if profiler:
            profiler.disable()
            pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(35)
        records.close()
    return spent


def take_in(files: list[Path], context: IngestContext, bus: SqlEventBus) -> None:
    for path in files:
        outcome = ingest_file(context, path, Hints(speaker="bench"))
        if outcome.status != "ingested":
            raise SystemExit(f"{path.name}: {outcome.code} {outcome.message}")
    while context.records.drain_outbox(bus):
        pass


if __name__ == "__main__":
    main()
