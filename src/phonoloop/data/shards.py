"""Snapshots as files for others: tar shards in WebDataset's layout, and a folder of WAV files."""

from __future__ import annotations

import io
import itertools
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from phonoloop.audio.wav import read_wav, to_int16, wav_bytes
from phonoloop.core.files import require_empty
from phonoloop.core.ids import canonical_json
from phonoloop.core.ports import BlobStore
from phonoloop.core.units import seconds_to_samples
from phonoloop.data.manifest import ManifestRow, write_manifest
from phonoloop.data.model import Snapshot, Split
from phonoloop.data.snapshot import snapshot_rows
from phonoloop.data.stores import Stores

ITEMS_PER_SHARD = 1000


def write_shards(stores: Stores, snapshot: Snapshot, *, items: int = ITEMS_PER_SHARD) -> list[str]:
    """Writes `datasets/shards/{snapshot_id}/{split}-{000000}.tar`; the same snapshot gives the same bytes.

    An item is `{clip_id}.wav`, `.txt` (the training text) and `.json` (the line of the manifest).

    Returns:
        The blob keys.
    """
    keys = []
    for split in Split:
        rows = iter(snapshot_rows(stores, snapshot, split))
        for number in itertools.count():
            if not (chunk := list(itertools.islice(rows, items))):
                break
            key = f"datasets/shards/{snapshot.snapshot_id}/{split}-{number:06d}.tar"
            _put_shard(stores.blobs, key, chunk)
            keys.append(key)
    return keys


def _put_shard(blobs: BlobStore, key: str, rows: Iterable[ManifestRow]) -> None:
    with tempfile.TemporaryDirectory(prefix="phonoloop-shard-") as folder:
        path = Path(folder) / "shard.tar"
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for row in rows:
                for name, content in _members(blobs, row):
                    tar.addfile(_header(name, len(content)), io.BytesIO(content))
        blobs.put(key, path)


def _members(blobs: BlobStore, row: ManifestRow) -> Iterator[tuple[str, bytes]]:
    yield f"{row.clip_id}.json", (canonical_json(row.to_dict()) + "\n").encode()
    yield f"{row.clip_id}.txt", row.text.encode()
    yield f"{row.clip_id}.wav", wav_bytes(_pcm(blobs, row))


def _header(name: str, size: int) -> tarfile.TarInfo:
    """Nobody's, at no time: nothing in it depends on who wrote it when."""
    header = tarfile.TarInfo(name)
    header.size, header.mode, header.mtime = size, 0o644, 0
    return header


def _pcm(blobs: BlobStore, row: ManifestRow) -> np.ndarray:
    start = seconds_to_samples(row.offset)
    end = start + seconds_to_samples(row.duration)
    return to_int16(read_wav(blobs.local_path(row.audio_filepath), start, end))


def export_snapshot(stores: Stores, snapshot: Snapshot, folder: Path) -> dict[Split, Path]:
    """Writes `{split}.jsonl` and `clips/{clip_id}.wav` into a folder that is empty or not there yet.

    The manifests come last: a split's manifest is there only when all of its clips are.

    Returns:
        The manifests.

    Raises:
        ConflictError: `export.not_empty`.
    """
    require_empty(folder)
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    return {split: _export_split(stores, snapshot, split, folder) for split in Split}


def _export_split(stores: Stores, snapshot: Snapshot, split: Split, folder: Path) -> Path:
    exported = []
    for row in snapshot_rows(stores, snapshot, split):
        name = f"clips/{row.clip_id}.wav"
        (folder / name).write_bytes(wav_bytes(_pcm(stores.blobs, row)))
        exported.append(replace(row, audio_filepath=name, offset=0.0))
    path = folder / f"{split}.jsonl"
    path.write_bytes(write_manifest(exported))
    return path
