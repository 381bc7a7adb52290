"""The child process that decodes media: `python -m phonoloop.audio.decode_worker MEMORY_BYTES PARENT_PID`.

It lives as long as its `Decoder` and serves one file at a time, over the pipes that
`core.child_side` describes; the data of an answer are samples (little-endian int16, mono).
It imports numpy and the decoders, nothing else of the product.
"""

from __future__ import annotations

import sys
from typing import Any

from phonoloop.audio import decode_media
from phonoloop.core.child_side import DATA, DONE, FAILED, FAILED_AND_ENDED, Answers, serve
from phonoloop.core.errors import AudioError


def _handle(request: dict[str, Any], answers: Answers) -> None:
    try:
        facts = decode_media.decode_file(
            request["path"],
            rate_hz=request["rate_hz"],
            max_duration_s=request["max_duration_s"],
            emit=lambda pcm: answers.send(DATA, pcm.data),
        )
    except AudioError as error:
        answers.send_json(FAILED, {"code": error.code, "message": error.message, "hint": error.hint})
    except MemoryError:
        # the heap may be in pieces: say so, and let the parent start a fresh process
        answers.send_json(FAILED_AND_ENDED, decode_media.memory_error())
        raise SystemExit(1) from None
    else:
        answers.send_json(DONE, facts)


def main(arguments: list[str]) -> None:
    memory_bytes, parent_pid = (int(argument) for argument in arguments)
    serve(_handle, memory_bytes=memory_bytes, parent_pid=parent_pid)


if __name__ == "__main__":
    main(sys.argv[1:])
