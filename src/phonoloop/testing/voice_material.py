"""Small recordings, a recogniser that knows no language, and a build of them: for tests of voices."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.audio.decode import Decoder
from phonoloop.core.ids import file_sha256, sha256_hex
from phonoloop.core.speech import Transcription
from phonoloop.testing.sounds import noise, silence, speech_like, write_media
from phonoloop.training.progress import OnProgress, ignore_progress
from phonoloop.voice.build import BuildRequest, BuildResult, Tools, Until, build
from phonoloop.voice.config import recipe_from_dict
from phonoloop.voice.ingest import LIMITS
from phonoloop.voice.separate import NoSeparator
from phonoloop.voice.teller import LOG
from phonoloop.voice.transcribe import Ears

_OF_PERSONS = (
    *("least_voiced_share", "min_snr_db", "min_bandwidth_hz", "min_decay_db_s"),
    *("max_marked_s", "max_loudness_db", "other_speakers"),
)
#: the sounds are no person's, so nothing is judged by what persons sound like
RECIPE = {
    "segment": {"max_s": 6.0},
    "gates": dict.fromkeys(_OF_PERSONS),
    "transcribe": {"min_trust": 0.0},
    "dataset": {"min_clips": 2, "passage_s": 5, "val_pct": 20},
}


class Parrot:
    """A recogniser that always says the same of the same samples."""

    model_version = "parrot"

    def transcribe(self, samples: np.ndarray) -> Transcription:
        number = int(sha256_hex(np.ascontiguousarray(samples).tobytes())[:4], 16)
        return Transcription(f"câu số {number}", confidence=0.9, language="vi", model_version="parrot")


def talk(sentences: int, seed: int) -> np.ndarray:
    """Sentences of two to four seconds with pauses between them."""
    chance = np.random.default_rng(seed)
    parts = []
    for number in range(sentences):
        said_s = float(chance.uniform(2.0, 4.0))
        parts += [speech_like(said_s, seed=100 * seed + number, pause_s=0.05).samples, silence(0.9)]
    samples = np.concatenate(parts)
    return samples + noise(samples.size / 16_000, level_dbfs=-65, seed=seed)[: samples.size]


def write_material(folder: Path) -> Path:
    """Three recordings, one with a text for each sentence; a copy; two that cannot be used."""
    folder.mkdir(parents=True)
    write_media(folder / "a.wav", talk(4, 1))
    write_media(folder / "b.mp3", talk(3, 2))
    write_media(folder / "c.wav", talk(3, 3))
    (folder / "a.json").write_text(json.dumps({"speaker": "Lan", "licence": "CC0-1.0"}), encoding="utf-8")
    (folder / "d.wav").write_bytes((folder / "c.wav").read_bytes())
    (folder / "e.wav").write_text("not a sound")
    write_media(folder / "f.wav", silence(2.0))
    return folder


def request(folder: Path, out: Path, *, until: Until = Until.DATASET, **changes: Any) -> BuildRequest:
    """`changes`: fields of the request; `recipe` is laid over `RECIPE`."""
    recipe = {name: {**RECIPE.get(name, {}), **part} for name, part in changes.pop("recipe", {}).items()}
    return BuildRequest(
        inputs=changes.pop("inputs", (folder,)),
        name="lan",
        language="vi",
        out_dir=out,
        recipe=recipe_from_dict({**RECIPE, **recipe}),
        until=until,
        **changes,
    )


def run(
    wanted: BuildRequest,
    *,
    deaf: bool = False,
    on_progress: OnProgress = ignore_progress,
    should_stop: Callable[[], bool] = lambda: False,
) -> BuildResult:
    """`deaf`: nobody hears, so that only texts that came along count."""
    judge = None if deaf else Parrot()
    ears = Ears(first=() if deaf else (judge,))
    with Decoder(LIMITS) as decoder:
        tools = Tools(decoder=decoder, separator=NoSeparator(), ears=ears, judge=judge)
        return build(wanted, tools, on_progress=on_progress, should_stop=should_stop)


def tree(out: Path) -> dict[str, str]:
    """Every file but the log, by what it holds."""
    return {path.relative_to(out).as_posix(): file_sha256(path) for path in files(out)}


def files(out: Path) -> list[Path]:
    """All but the log."""
    return [path for path in sorted(out.rglob("*")) if path.is_file() and path.name != LOG]
