"""Who is using a data folder, so that what nobody uses any more can be told from what somebody does."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from phonoloop.core.errors import ResourceError, UnavailableError

FILE_NAME = ".in-use"


class Presence:
    """Says, for as long as it is open, that this process uses the folder.

    A lock of the kernel's on a file in it: it goes when the process does, however that ends.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """True where no other process uses the folder; others that come wait until the block ends."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            alone = False
        try:
            if not alone:
                fcntl.flock(self._file, fcntl.LOCK_SH)  # asking for more gave up what there was
            yield alone
        finally:
            fcntl.flock(self._file, fcntl.LOCK_SH)


@contextmanager
def presence(data_dir: Path) -> Iterator[Presence]:
    """Makes the folder where there is none, and is present in it.

    Raises:
        ResourceError: `disk.full`. UnavailableError: `data.unwritable`.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = (data_dir / FILE_NAME).open("ab")
    except OSError as error:
        raise _no_folder(data_dir, error) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield Presence(file)


def _no_folder(data_dir: Path, error: OSError) -> ResourceError | UnavailableError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(
            "the disk is full", code="disk.full", subject=str(data_dir), hint="Free some space, then go on"
        )
    return UnavailableError(
        f"this cannot be the data folder ({error.strerror})",
        code="data.unwritable",
        subject=str(data_dir),
        hint="Name a folder that can be written to, with --data or PHONOLOOP_DATA",
    )
