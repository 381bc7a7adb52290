"""The settings: one typed table, read from a file, the environment and flags, in that order.

Later sources win. The file is `phonoloop.toml` in the data folder, or what
`PHONOLOOP_CONFIG` names; its keys are the field names below.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from phonoloop.core.errors import ConfigError


def _setting(default: Any, env: str, doc: str) -> Any:
    return field(default=default, metadata={"env": env, "doc": doc})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, with its environment variable and its meaning (see `describe`)."""

    data_dir: Path = _setting(Path("data"), "PHONOLOOP_DATA", "folder that holds everything")
    inbox_dir: str = _setting("inbox", "INGEST_INBOX_DIR", "watched folder; relative to the data folder")
    scan_interval_s: float = _setting(30.0, "INGEST_SCAN_INTERVAL_SEC", "seconds between looks at the inbox")
    settle_s: float = _setting(2.0, "INGEST_SETTLE_SEC", "a file younger than this is still being written")
    max_duration_s: float = _setting(4 * 3600.0, "INGEST_MAX_DURATION_SEC", "longest recording taken")
    max_upload_mb: float = _setting(2048.0, "INGEST_MAX_UPLOAD_MB", "largest file taken, also over HTTP")
    language: str = _setting("vi", "PHONOLOOP_LANGUAGE", "language of recordings that do not name theirs")
    records_url: str = _setting("", "RECORDS_URL", "SQLAlchemy URL; SQLite in the data folder if empty")
    host: str = _setting("127.0.0.1", "PHONOLOOP_HOST", "address that the HTTP API listens on")
    port: int = _setting(8080, "PHONOLOOP_PORT", "port that the HTTP API listens on")
    train_hours_threshold: float = _setting(
        5.0, "TRAIN_HOURS_THRESHOLD", "hours of new speech that start a training"
    )
    train_daily_cron: str = _setting("0 2 * * *", "TRAIN_DAILY_CRON", "when to train daily; empty for never")
    timezone: str = _setting("", "TZ", "time zone of the daily training; the machine's if empty")
    asr_recipe: str = _setting("small", "ASR_RECIPE", "recipe name or file that training uses")
    teacher: str = _setting(
        "",
        "ASR_TEACHER",
        "recogniser until a model is promoted: `faster-whisper:DIR` or `sherpa-onnx:DIR`",
    )
    restore_diacritics: str = _setting(
        "on",
        "NLP_RESTORE_DIACRITICS",
        "`on` or `off`: put marks into a machine's Vietnamese, or a sidecar's without any",
    )
    min_snr_db: float = _setting(5.0, "CURATE_MIN_SNR_DB", "clips with a lower SNR are not trained on")
    min_clip_s: float = _setting(0.5, "CURATE_MIN_CLIP_SEC", "shorter clips are not trained on")
    max_clip_s: float = _setting(30.0, "CURATE_MAX_CLIP_SEC", "longer recordings are cut at pauses")
    min_confidence: float = _setting(
        0.9, "CURATE_MIN_CONFIDENCE", "least confidence of a machine's transcript that is trained on"
    )
    max_disagreement: float = _setting(
        0.1,
        "CURATE_MAX_DISAGREEMENT",
        "most word errors between two recognisers on a text to train on",
    )
    decoding: str = _setting(
        "greedy",
        "ASR_DECODING",
        "`greedy`, or `beam`: the champion hears new recordings with the current language model",
    )
    second_opinion: str = _setting(
        "off",
        "ASR_SECOND_OPINION",
        "who else hears what a machine transcribes: `off`, `decoding` (the champion's other decoding) "
        "or `teacher`",
    )
    promotion_rule: str = _setting(
        "paired_bootstrap", "PROMOTION_RULE", "`paired_bootstrap`, or `lower_wer_wins`"
    )
    promotion_confidence: float = _setting(0.95, "PROMOTION_CONFIDENCE", "confidence that `better` needs")
    promotion_max_slice_regression: float = _setting(
        0.02, "PROMOTION_MAX_SLICE_REGRESSION", "most that WER may rise on any slice, 0 to 1"
    )
    promotion_min_speakers: int = _setting(4, "PROMOTION_MIN_SPEAKERS", "fewest speakers to judge on")
    promotion_min_words: int = _setting(500, "PROMOTION_MIN_WORDS", "fewest words to judge on")
    speech_detector: str = _setting(
        "energy",
        "SPEECH_DETECTOR",
        "`energy` (cheap) or `silero`: finds pauses in long recordings",
    )
    wakeword_min_positives: int = _setting(
        50, "WAKEWORD_MIN_POSITIVES", "fewest positive clips of a dataset to train on"
    )
    wakeword_min_negatives: int = _setting(
        50, "WAKEWORD_MIN_NEGATIVES", "fewest negative and noise clips of a dataset to train on"
    )
    wakeword_min_speech_s: float = _setting(
        0.5, "WAKEWORD_MIN_SPEECH_SEC", "least speech in a positive clip of a dataset"
    )
    wakeword_max_speech_s: float = _setting(
        3.0, "WAKEWORD_MAX_SPEECH_SEC", "most speech in a positive clip of a dataset"
    )
    wakeword_max_clip_s: float = _setting(30.0, "WAKEWORD_MAX_CLIP_SEC", "longest clip of a dataset")
    wakeword_max_upload_mb: float = _setting(
        32.0, "WAKEWORD_MAX_UPLOAD_MB", "largest file taken into a dataset"
    )
    wake_model: str = _setting(
        "",
        "STT_WAKE_MODEL_PATH",
        "folder of the detector that `wakeword scan` and `listen` use; the promoted one if empty",
    )
    wakeword_recipe: str = _setting(
        "default", "WAKEWORD_RECIPE", "recipe name or file that wake words are trained by"
    )
    piper_voices: str = _setting(
        "",
        "PIPER_VOICES",
        "Piper voices (.onnx files, folders of them, installed voices) that speak too; `:` between two",
    )
    job_lease_s: float = _setting(
        60.0, "JOB_LEASE_SEC", "after so long without a sign of life, another worker takes a job"
    )
    embedder: str = _setting(
        "",
        "EMBEDDER",
        "folder or name of a sentence-transformers model; the built-in one if empty",
    )
    vector_index: str = _setting(
        "memory", "VECTOR_INDEX", "`memory` (any number of processes), or `qdrant-edge` (one at a time)"
    )
    device: str = _setting("auto", "TRAIN_DEVICE", "`auto`, `cpu` or `cuda:N`: where to train")
    threads: int = _setting(0, "PHONOLOOP_THREADS", "CPU threads of training and recognising; all if 0")

    @property
    def inbox(self) -> Path:
        return self.data_dir / self.inbox_dir


def load_settings(
    flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Reads the settings.

    Args:
        flags: field name → value; None stands for a flag that was not given.
        environ: the process's own environment if None.

    Raises:
        ConfigError: `config.unknown_key`, `config.bad_value`, `config.unreadable`.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    from_env = dict(_from_environment(environ))
    data_dir = Path(
        given.get("data_dir", from_env.get("data_dir", Settings.__dataclass_fields__["data_dir"].default))
    )
    from_file = _from_file(Path(environ.get("PHONOLOOP_CONFIG", data_dir / "phonoloop.toml")), environ)
    merged = {**from_file, **from_env, **given}
    return Settings(**{name: _typed(_field(name), value) for name, value in merged.items()})


def describe() -> list[tuple[str, str, str, str]]:
    """(field, environment variable, default, meaning) of every setting, for documentation."""
    return [(f.name, f.metadata["env"], str(f.default), f.metadata["doc"]) for f in fields(Settings)]


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for f in fields(Settings):
        if environ.get(f.metadata["env"], "") != "":
            yield f.name, environ[f.metadata["env"]]


def _from_file(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    if not path.exists():
        if "PHONOLOOP_CONFIG" in environ:
            raise ConfigError(
                "there is no such settings file",
                code="config.unreadable",
                subject=str(path),
                hint="Correct PHONOLOOP_CONFIG or unset it",
            )
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the settings file cannot be read ({error})", code="config.unreadable", subject=str(path)
        ) from error
    for name in table:
        _field(name, str(path))
    return table


def _field(name: str, subject: str = "") -> Field:
    known = {f.name: f for f in fields(Settings)}
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise ConfigError(
            f"there is no setting {name!r}",
            code="config.unknown_key",
            subject=subject,
            hint=f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}",
        )
    return known[name]


def _typed(f: Field, value: Any) -> Any:
    kinds = {"Path": Path, "str": str, "float": float, "int": int}
    if isinstance(value, bool):
        value = str(value)
    try:
        return kinds[str(f.type)](value)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{value!r} is not a value for {f.name} ({f.type})",
            code="config.bad_value",
            subject=f.metadata["env"],
            hint=f"Its default is {f.default}: {f.metadata['doc']}",
        ) from error
