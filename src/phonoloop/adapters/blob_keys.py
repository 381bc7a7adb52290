"""What a blob key is, and what to say where one is wrong, full or absent."""

from __future__ import annotations

import re
from pathlib import Path

from phonoloop.core.errors import InputError, NotFoundError

#: left-overs of writes that were killed start with this; no key may
TEMPORARY_PREFIX = ".tmp-"

_MAX_PART_BYTES = 255
_MAX_KEY_BYTES = 1024
_NOT_IN_KEYS = re.compile(r"[\x00-\x1f\x7f\\]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def _refuse(key: str, why: str) -> InputError:
    return InputError(
        f"this is not a blob key: {why}",
        code="blob.key",
        subject=repr(key),
        hint="Keys are relative paths with / between their parts, like audio/raw/1f3a.wav",
    )


def _fault_of_part(part: str) -> str:
    if part in ("", ".", ".."):
        return "a part is empty, '.' or '..'"
    if part.startswith(TEMPORARY_PREFIX):
        return f"a part begins with {TEMPORARY_PREFIX!r}, which marks unfinished writes"
    if len(part.encode(errors="replace")) > _MAX_PART_BYTES:
        return f"a part has more than {_MAX_PART_BYTES} bytes"
    return ""


def check_key(key: str) -> str:
    """The key itself.

    Raises:
        InputError: `blob.key`, where it is absolute, has an empty part, `.`, `..`, a backslash or a
            control character, is not UTF-8, or is too long for a file system.
    """
    if _NOT_IN_KEYS.search(key):
        raise _refuse(key, "it holds a control character or a backslash")
    if _SURROGATE.search(key):
        raise _refuse(key, "it is not UTF-8")
    if len(key.encode()) > _MAX_KEY_BYTES:
        raise _refuse(key, f"it has more than {_MAX_KEY_BYTES} bytes")
    for part in key.split("/"):
        if fault := _fault_of_part(part):
            raise _refuse(key, fault)
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself: empty, or a folder's key and a slash.

    Raises:
        InputError: `blob.key`.
    """
    if prefix and not prefix.endswith("/"):
        raise _refuse(prefix, "a prefix is empty or ends with a slash")
    if prefix:
        check_key(prefix[:-1])
    return prefix


def missing(key: str) -> NotFoundError:
    return NotFoundError(
        "there is no such object",
        code="blob.missing",
        subject=key,
        hint="It was never stored here, or was deleted",
    )


def no_source(source: Path) -> InputError:
    return InputError(
        "there is no such file to store", code="blob.source", subject=str(source), hint="Check the path"
    )
