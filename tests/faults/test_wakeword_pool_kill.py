"""A process that fills a pool of spoken utterances is killed; the next one goes on with whole utterances."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from phonoloop.wakeword.pool import AUDIO, INDEX, read_pool

WORKER = """
import sys, zlib
from pathlib import Path
import numpy as np
from phonoloop.wakeword.pool import fill_pool
from phonoloop.wakeword.synthesis import Utterance

class Noise:
    name = "noise"
    def voices(self, language):
        return ["one"]
    def synthesize(self, text, *, voice, speed=1.0, pitch=1.0):
        rng = np.random.default_rng(zlib.crc32(text.encode()))
        return (0.1 * rng.standard_normal(3000)).astype(np.float32)

plan = [Utterance(f"text {n}", "noise:one", "xx", 1.0, 1.0, -20.0) for n in range(1500)]
fill_pool(Path(sys.argv[1]), plan, [Noise()])
print("done")
"""


def start(folder):
    command = [sys.executable, "-c", WORKER, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def finish(folder):
    assert start(folder).communicate()[0] == b"done\n"
    return read_pool(folder)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_killed_synthesis_loses_and_doubles_nothing(tmp_path, seed):
    rng = random.Random(seed)
    ended = []
    for number in range(1, 4):
        worker = start(tmp_path / "pool")
        wanted = number * rng.randint(20, 200)
        while worker.poll() is None and len(read_index(tmp_path / "pool")) < wanted:
            time.sleep(0.002)
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        ended.append(worker.returncode)
    assert -signal.SIGKILL in ended
    pool, whole = finish(tmp_path / "pool"), finish(tmp_path / "whole")
    assert pool.rows == whole.rows
    assert np.array_equal(pool.audio, whole.audio)
    assert (tmp_path / "pool" / AUDIO).stat().st_size == 2 * sum(row.samples for row in pool.rows)


def read_index(folder):
    path = folder / INDEX
    return path.read_bytes().splitlines() if path.exists() else []
