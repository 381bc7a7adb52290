"""Talk cut at its pauses: boundaries in speech, clips over the maximum, time and memory; beside peers.

    pip install -r requirements/segmentation-peers.txt
    [PHONOLOOP_REAL_DATA=…] python benchmarks/bench_segmentation.py [--minutes 20] [--floor-dbfs -35]
        [--people dev|test]

The talk is synthesised (`talk.py`), so it is known where somebody speaks; it is cut as it is, and with
white noise under it that rises from -70 dBFS to `--floor-dbfs` (speech has -23); and the same again with a
fast talker who hardly pauses, which is harder than what the bars are for. Where PHONOLOOP_REAL_DATA is set,
also talk put together out of recordings of people (`real_talk.py`: what a word is, and how noise gets under
it), each source by itself: as recorded, with a rising floor, with recorded noises at 15 to 20 dB, and
`breathless`, where most phrases are longer than a clip may be. Nothing is tuned on the half `test`.

Peers run with their own defaults, but for the maximum where they know one, and again (`helped`) with settings
that fit talk better. What is not installed is named. A boundary is the begin or the end of a clip, those of
the recording left out. A word is cut where a boundary lies in it. `forced` counts cuts where the segmenter
itself knew no pause, which only ours tells.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import importlib.util
import itertools
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soxr
from real_talk import talks
from talk import CALM, FAST, Talk, talk, with_rising_noise

from phonoloop.audio.wav import WavWriter, to_int16
from phonoloop.voice.data import RATE_HZ
from phonoloop.voice.segment import GLOBAL, ROLLING, SegmentSettings, dropped, segment, segment_wav

MAX_S = 12.0
QUIET_DBFS = -70.0
BARS = {"clean": 0.01, "rising floor": 0.02}
CPU_BAR_S = 2.0
VARIABLE = "PHONOLOOP_REAL_DATA"
PEOPLE_S = 240.0


class Clip(NamedTuple):
    """In samples. `forced`: the segmenter says that there was no pause to cut in."""

    start: int
    end: int
    forced: bool = False


#: what float32 (n,) at 22,050 Hz is cut into
Cutter = Callable[[np.ndarray], list[Clip]]


def ours(method: str) -> Cutter:
    settings = SegmentSettings(max_s=MAX_S, method=method)

    def cut(audio: np.ndarray) -> list[Clip]:
        found = segment([audio], settings)
        kept = sum(one.samples for one in found)
        if kept + sum(gap.samples for gap in dropped(found, audio.size)) != audio.size:
            raise SystemExit("kept and dropped spans are not the input")
        return [Clip(one.start, one.end, one.forced_cut) for one in found]

    return cut


# ---------------------------------------------------------------- peers


def pydub(*, below_mean_db: float | None, keep_ms: int, pause_ms: int) -> Cutter:
    """None: its own threshold, -16 dBFS. A step of 10 ms instead of 1, for it takes minutes otherwise."""
    from pydub import AudioSegment
    from pydub.silence import detect_nonsilent

    def cut(audio: np.ndarray) -> list[Clip]:
        sound = AudioSegment(to_int16(audio).tobytes(), sample_width=2, frame_rate=RATE_HZ, channels=1)
        threshold = -16.0 if below_mean_db is None else sound.dBFS - below_mean_db
        found = detect_nonsilent(sound, min_silence_len=pause_ms, silence_thresh=threshold, seek_step=10)
        return _padded([(a * RATE_HZ // 1000, b * RATE_HZ // 1000) for a, b in found], keep_ms, audio.size)

    return cut


def _padded(spans: list[tuple[int, int]], keep_ms: int, samples: int) -> list[Clip]:
    """As `split_on_silence`: padding, and where two paddings meet, the middle between the two."""
    pad = keep_ms * RATE_HZ // 1000
    wide = [[max(a - pad, 0), min(b + pad, samples)] for a, b in spans]
    for one, other in itertools.pairwise(wide):
        if one[1] > other[0]:
            one[1] = other[0] = (one[1] + other[0]) // 2
    return [Clip(a, b) for a, b in wide]


def librosa(top_db: float) -> Cutter:
    from librosa.effects import split

    return lambda audio: [Clip(int(a), int(b)) for a, b in split(audio, top_db=top_db)]


def auditok(threshold_db: float) -> Cutter:
    import auditok

    def cut(audio: np.ndarray) -> list[Clip]:
        found = auditok.split(
            to_int16(audio).tobytes(),
            sampling_rate=RATE_HZ,
            sample_width=2,
            channels=1,
            max_dur=MAX_S,
            energy_threshold=threshold_db,
        )
        return [Clip(round(one.start * RATE_HZ), round(one.end * RATE_HZ)) for one in found]

    return cut


def silero(pad_ms: int, silence_ms: int) -> Cutter:
    import torch
    from silero_vad import get_speech_timestamps, load_silero_vad

    torch.set_num_threads(1)
    model = load_silero_vad()

    def cut(audio: np.ndarray) -> list[Clip]:
        heard = torch.from_numpy(soxr.resample(audio, RATE_HZ, 16_000))
        found = get_speech_timestamps(
            heard,
            model,
            max_speech_duration_s=MAX_S,
            speech_pad_ms=pad_ms,
            min_silence_duration_ms=silence_ms,
        )
        return [Clip(one["start"] * RATE_HZ // 16_000, one["end"] * RATE_HZ // 16_000) for one in found]

    return cut


PEERS: dict[str, tuple[str, Callable[[], Cutter]]] = {
    "pydub": ("pydub", lambda: pydub(below_mean_db=None, keep_ms=100, pause_ms=1000)),
    "pydub helped": ("pydub", lambda: pydub(below_mean_db=16.0, keep_ms=200, pause_ms=300)),
    "librosa": ("librosa", lambda: librosa(60.0)),
    "librosa helped": ("librosa", lambda: librosa(35.0)),
    "auditok": ("auditok", lambda: auditok(50.0)),
    "auditok helped": ("auditok", lambda: auditok(45.0)),
    "silero-vad": ("silero_vad", lambda: silero(30, 100)),
    "silero-vad helped": ("silero_vad", lambda: silero(100, 300)),
}


def cutters() -> Iterator[tuple[str, Cutter]]:
    yield "phonoloop", ours(ROLLING)
    yield "phonoloop global", ours(GLOBAL)
    for name, (module, make) in PEERS.items():
        if importlib.util.find_spec(module):
            yield name, make()


# ---------------------------------------------------------------- what came out


def counted(heard: Talk, cut: Cutter) -> Counter[str]:
    """What adds up over recordings; `samples` are of speech."""
    audio, spoken = heard.samples, heard.spoken
    began_s = time.process_time()
    spans = cut(audio)
    cpu_s = time.process_time() - began_s
    bounds = np.array(sorted({at for one in spans for at in one[:2] if 0 < at < audio.size}), int)
    words = np.flatnonzero(np.diff(np.concatenate(([False], spoken, [False])))).reshape(-1, 2)
    inside = bounds[spoken[bounds]] if bounds.size else bounds
    held = np.zeros(audio.size, bool)
    for one in spans:
        held[one.start : one.end] = True
    return Counter(
        clips=len(spans),
        boundaries=bounds.size,
        inside=inside.size,
        words=len(words),
        words_cut=np.unique(np.searchsorted(words[:, 0], inside, "right")).size,
        over_max=sum(one.end - one.start > MAX_S * RATE_HZ for one in spans),
        forced=sum(one.forced for one in spans),
        samples=int(spoken.sum()),
        lost=int((spoken & ~held).sum()),
        cpu_ms=round(cpu_s * 1000),
    )


def figures(talks_heard: Iterable[Talk], cut: Cutter) -> dict[str, Any]:
    """Of one or more recordings, each cut by itself."""
    sums = sum((counted(one, cut) for one in talks_heard), Counter())
    return {name: int(sums[name]) for name in ("clips", "boundaries", "over_max", "forced")} | {
        "in_speech": round(sums["inside"] / sums["boundaries"], 4) if sums["boundaries"] else None,
        "words_cut": round(sums["words_cut"] / sums["words"], 4),
        "speech_lost": round(sums["lost"] / sums["samples"], 4),
        "cpu_s": round(sums["cpu_ms"] / 1000, 2),
    }


def verdict(ours: dict[str, Any], other: dict[str, Any]) -> str:
    """By three counts: boundaries in speech, clips over the maximum, speech lost. `better`: fewer of one and
    no more of the others; `worse`: the other way round; `tie`: all alike; else `mixed`. One that never cuts
    has no boundaries, and everything over."""

    def counts(one: dict[str, Any]) -> tuple[float, int, float]:
        in_speech = 1.0 if one["in_speech"] is None else one["in_speech"]
        return in_speech, one["over_max"], one["speech_lost"]

    mine, theirs = counts(ours), counts(other)
    if mine == theirs:
        return "tie"
    if all(a <= b for a, b in zip(mine, theirs, strict=True)):
        return "better"
    return "worse" if all(a >= b for a, b in zip(mine, theirs, strict=True)) else "mixed"


# ---------------------------------------------------------------- an hour, ten hours


def write_hours(path: Path, audio: np.ndarray, hours: float) -> None:
    pcm, left = to_int16(audio), round(hours * 3600 * RATE_HZ)
    with WavWriter(path, RATE_HZ) as file:
        while left:
            file.write(pcm[:left])
            left -= min(left, pcm.size)


def of_hours(audio: np.ndarray, hours: float) -> dict[str, float]:
    """CPU and the most memory of a process that cuts a file of so many hours."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "hours.wav")
        write_hours(path, audio, hours)
        ran = subprocess.run(
            [sys.executable, __file__, "--only", str(path)], check=True, capture_output=True, text=True
        )
    return json.loads(ran.stdout) | {"hours": hours}


def only(path: str) -> None:
    began_s = time.process_time()
    found = segment_wav(path)
    cpu_s = time.process_time() - began_s
    # not ru_maxrss, which begins at what the parent had
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    most_mb = int(status["VmHWM"].split()[0]) / 1024
    print(json.dumps({"cpu_s": round(cpu_s, 2), "most_memory_mb": round(most_mb, 1), "clips": len(found)}))


def material(duration_s: float, floor_dbfs: float) -> dict[str, list[Talk]]:
    """By kind. Fast talk is half as long, and has no bar."""
    calm, fast = talk(duration_s, CALM), talk(duration_s / 2, FAST)

    def noisy(one: Talk) -> Talk:
        noise = with_rising_noise(one.samples, first_dbfs=QUIET_DBFS, last_dbfs=floor_dbfs, seed=1)
        return Talk(noise, one.spoken)

    return {
        "clean": [calm],
        "rising floor": [noisy(calm)],
        "fast, clean": [fast],
        "fast, rising floor": [noisy(fast)],
    }


def people(half: str) -> dict[str, list[Talk]]:
    """By kind, every source of a half; nothing without recordings."""
    root = os.environ.get(VARIABLE, "")
    found: dict[str, list[Talk]] = defaultdict(list)
    for kind, _, one in talks(Path(root), half, PEOPLE_S) if root else ():
        found[kind].append(one)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0, help="of synthesised talk")
    parser.add_argument("--floor-dbfs", type=float, default=-35.0)
    parser.add_argument("--people", choices=("dev", "test"), default="test", help="which half of them")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        only(arguments.only)
        return
    print("making talk …", file=sys.stderr, flush=True)
    made, real = material(arguments.minutes * 60, arguments.floor_dbfs), people(arguments.people)
    found: dict[str, dict[str, Any]] = {}
    for name, cut in cutters():
        print(f"{name} …", file=sys.stderr, flush=True)
        found[name] = {kind: figures(heard, cut) for kind, heard in (made | real).items()}
    noisy = made["rising floor"][0].samples
    hours = [of_hours(noisy, 1), of_hours(noisy, 10)]
    print(json.dumps(report(found, hours, arguments)))


def report(
    found: dict[str, Any], hours: list[dict[str, float]], arguments: argparse.Namespace
) -> dict[str, Any]:
    mine = found["phonoloop"]
    peers = [name for name in found if not name.startswith("phonoloop")]
    return {
        "bench": "segmentation",
        "cut": found,
        "bars": {"in_speech": BARS, "over_max": 0, "cpu_s_an_hour": CPU_BAR_S},
        "within_bars": all(mine[kind]["in_speech"] <= bar for kind, bar in BARS.items())
        and not any(one["over_max"] for one in mine.values())
        and hours[0]["cpu_s"] <= CPU_BAR_S,
        "against": {name: {kind: verdict(mine[kind], found[name][kind]) for kind in mine} for name in peers},
        "people": f"half {arguments.people}, {PEOPLE_S / 60:g} min a source and kind"
        if os.environ.get(VARIABLE)
        else f"skipped: {VARIABLE} is not set",
        "files": hours,
        "not_installed": sorted(
            {module for module, _ in PEERS.values() if not importlib.util.find_spec(module)}
        ),
        "on": f"{arguments.minutes:g} min of espeak-ng and half as much of fast talk, one Vietnamese voice, "
        f"at most {MAX_S:g} s a clip; "
        f"white noise rising from {QUIET_DBFS:g} to {arguments.floor_dbfs:g} dBFS; files read from disk",
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "numpy": np.__version__,
    }


if __name__ == "__main__":
    main()
