"""N-gram models as one file of arrays, which loads at once where an ARPA file must be read line by line."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from phonoloop.core.errors import IntegrityError, NotFoundError
from phonoloop.text.ngram import RESERVED, Level, NgramModel

_FORMAT = 1
_FIELDS = ("keys", "log10", "backoff", "suffix")
_TYPES = {"keys": np.int64, "log10": np.float32, "backoff": np.float32, "suffix": np.int64}


def save_model(model: NgramModel, path: Path) -> None:
    """Writes it; readers see the old file or the whole new one."""
    arrays: dict[str, np.ndarray] = {
        "words": np.frombuffer("\n".join(model.words).encode(), np.uint8),
        "about": np.frombuffer(
            json.dumps({"format": _FORMAT, "order": model.order, **model.about}).encode(), np.uint8
        ),
    }
    for n, level in enumerate(model.levels):
        arrays |= {f"{name}_{n}": getattr(level, name) for name in _FIELDS}
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as out:
            np.savez(out, **arrays)
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def load_model(path: Path) -> NgramModel:
    """Reads what `save_model` wrote.

    Raises:
        NotFoundError: `lm.missing`.
        IntegrityError: `lm.damaged`.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            words = arrays["words"].tobytes().decode().split("\n")
            levels = [_level(arrays, n) for n in range(int(about["order"]))]
    except FileNotFoundError as error:
        raise NotFoundError(
            "there is no language model here", code="lm.missing", subject=str(path)
        ) from error
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, f"this is no language model ({error!r})") from error
    _check(path, words, levels, about)
    return NgramModel(tuple(words), tuple(levels), about)


def _level(arrays: Any, n: int) -> Level:
    return Level(*(arrays[f"{name}_{n}"].astype(_TYPES[name], copy=False) for name in _FIELDS))


def _check(path: Path, words: list[str], levels: list[Level], about: dict[str, Any]) -> None:
    """Every array has the length of its level, and no number leads out of the model."""
    if about.get("format") != _FORMAT or tuple(words[: len(RESERVED)]) != RESERVED or not levels:
        raise _damaged(path, "it is of another format")
    states = 1 + sum(len(level.keys) for level in levels)
    contexts = 1
    for n, level in enumerate(levels):
        rows = len(level.keys)
        same = all(len(getattr(level, name)) == rows for name in _FIELDS) and (n or rows == len(words))
        fits = not rows or (
            level.keys[0] >= 0
            and level.keys[-1] < contexts * len(words)
            and bool((np.diff(level.keys) > 0).all())
            and level.suffix.min() >= 0
            and level.suffix.max() < states
        )
        if not same or not fits:
            raise _damaged(path, f"its {n + 1}-grams do not fit together")
        contexts = rows


def _damaged(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        why, code="lm.damaged", subject=str(path), hint="Train it again with `phonoloop train lm`"
    )
