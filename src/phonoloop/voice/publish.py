"""What people and other programs read in a voice's folder: made equal to what counts now, whatever was there.

A kill in between leaves old beside new; the next run ends with the new alone.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from phonoloop.core.files import disk_error, sync_folder
from phonoloop.voice.datasets import WAVS


def publish_files(folder: Path, wanted: Mapping[str, Path], *, beside: Sequence[str] = ()) -> None:
    """Makes a folder hold these files and no others.

    Args:
        wanted: file name → where its content lies; the bytes are shared where the file system can do that.
        beside: names in it that are somebody else's.

    Raises:
        ResourceError: `resource.disk`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kept = {*wanted, *beside}
        for path in folder.iterdir():
            if path.name not in kept:
                path.unlink()
        for name, source in wanted.items():
            _bring(source, folder / name)
        sync_folder(folder)
    except OSError as error:
        raise disk_error(folder, error) from error


def _bring(source: Path, target: Path) -> None:
    if target.exists() and (target.samefile(source) or filecmp.cmp(source, target, shallow=False)):
        return
    # called as `write_whole` calls its own, so that the next run finds and removes it
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    with contextlib.ExitStack() as stack:
        stack.callback(unfinished.unlink, missing_ok=True)
        _share(source, unfinished)
        os.replace(unfinished, target)


def _share(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # a file system that knows no links: a copy is as good
        shutil.copyfile(source, target)
        sync_folder(target)


def publish_dataset(source: Path, target: Path) -> None:
    """Makes `target` a copy of a dataset's folder: its files and those in `wavs/`."""
    wavs = source / WAVS
    publish_files(target / WAVS, {path.name: path for path in wavs.iterdir()})
    files = {path.name: path for path in source.iterdir() if path.is_file()}
    publish_files(target, files, beside=(WAVS,))
