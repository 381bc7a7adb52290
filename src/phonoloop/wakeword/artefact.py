"""The files of an exported detector, and the checks before anything is loaded from them. No torch here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from phonoloop.core.errors import ConfigError, IntegrityError, NotFoundError
from phonoloop.core.ids import content_id
from phonoloop.training import artefacts
from phonoloop.training.artefacts import METADATA, damaged
from phonoloop.wakeword.trigger import TriggerSettings

MODEL, STREAM_MODEL = "wake_model.onnx", "wake_stream.onnx"
INT8_MODEL, INT8_STREAM_MODEL = "wake_model.int8.onnx", "wake_stream.int8.onnx"
WEIGHTS = "wake_model.pt"
#: names in the graphs: `audio` and `state_*` to `scores` and `next_state_*`
AUDIO, SCORES, STATE, NEXT_STATE = "audio", "scores", "state_", "next_state_"
#: formats of metadata.json that this version reads
FORMAT = 1
_KNOWN_FORMATS = (FORMAT,)
#: under the data folder: the detector that serves, a link
CURRENT = "current"
_INSTALLED = Path("models", "wakeword")


def current_folder(data_dir: Path) -> Path:
    """Where the detector that serves is, or would be."""
    return data_dir / _INSTALLED / CURRENT


def model_folder(given: str | Path, data_dir: Path) -> Path:
    """The folder of an exported detector: `current` or nothing for the one that serves, an id of an
    installed one, an export folder, or a job's folder with an export in it.

    Raises:
        NotFoundError: `model.missing`.
    """
    if str(given) in ("", CURRENT):
        return _existing([current_folder(data_dir)], given, hint="Promote a detector, or name its folder")
    path = Path(given)
    places = [path, path / "export", data_dir / _INSTALLED / path.name]
    return _existing(places, given, hint="Name the folder that a training wrote")


def _existing(places: list[Path], given: str | Path, *, hint: str) -> Path:
    for place in places:
        if (place / METADATA).is_file():
            return place
    raise NotFoundError(
        "there is no exported detector here", code="model.missing", subject=str(given or places[0]), hint=hint
    )


def read_metadata(folder: Path) -> dict[str, Any]:
    """metadata.json, once the files are those it lists and it describes a detector of this front-end.

    Raises:
        NotFoundError: `model.missing`.
        IntegrityError: `model.damaged`, `model.format`, `model.front_end`.
    """
    metadata = artefacts.read_metadata(folder, formats=_KNOWN_FORMATS)
    try:
        trigger_of(metadata)
        complete = metadata["step_samples"] > 0 and str(metadata["model_id"]) and str(metadata["phrase"])
        fits = content_id(metadata["front_end"]) == metadata["front_end_hash"]
    except (KeyError, TypeError, ConfigError) as error:
        raise damaged(folder / METADATA, f"this does not describe a detector ({error!r})") from error
    if not complete:
        raise damaged(folder / METADATA, "this does not describe a detector")
    if not fits:
        raise other_front_end(folder)
    return metadata


def trigger_of(metadata: dict[str, Any]) -> TriggerSettings:
    """When the detector fires."""
    return TriggerSettings(**metadata["trigger"])


def graph_facts(metadata: dict[str, Any]) -> dict[str, str]:
    """What is inside the graphs too, so that a graph and a description cannot be mixed up."""
    return {name: str(metadata[name]) for name in ("front_end_hash", "step_samples")}


def other_front_end(subject: Path) -> IntegrityError:
    return IntegrityError(
        "its front-end is not the one it was trained with",
        code="model.front_end",
        subject=str(subject),
        hint="Export the model again, or fetch it again",
    )
