"""Which passages are trained on, decided once and for ever: `splits.json` in the folder of a voice."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from phonoloop.core.errors import IntegrityError
from phonoloop.core.files import write_whole
from phonoloop.voice.datasets import DatasetSettings, Split, split_passages

SPLITS = "splits.json"


def frozen_splits(out: Path, passages: Iterable[str], settings: DatasetSettings) -> dict[str, Split]:
    """Passage → split, of these passages; what was decided before stays, also of passages that come back.

    Raises:
        IntegrityError: `voice.splits`. ResourceError: `resource.disk`.
    """
    earlier = _read(out / SPLITS)
    found = split_passages(passages, val_pct=settings.val_pct, earlier=earlier)
    if found.items() - earlier.items():
        text = json.dumps(earlier | found, indent=0, sort_keys=True)
        write_whole(out / SPLITS, text.encode() + b"\n")
    return dict(sorted(found.items()))


def _read(path: Path) -> dict[str, Split]:
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise IntegrityError(
            f"what is trained on cannot be read ({error})",
            code="voice.splits",
            subject=str(path),
            hint="Delete it: the splits are decided anew, so do not compare with earlier trainings",
        ) from error
