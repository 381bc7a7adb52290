"""An iterator that works ahead in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

_END = object()


def prefetch(items: Iterable[A], make: Callable[[A], B], *, depth: int) -> Iterator[B]:
    """Yields `make(item)` in order, up to `depth` of them made ahead in a thread.

    Feature extraction, decoding and torch release the interpreter lock, so a thread is enough and
    nothing is pickled. An error in the thread is raised where its item would have come. Closing the
    iterator ends the thread.
    """
    if depth <= 0:
        yield from map(make, items)
        return
    ready: queue.Queue = queue.Queue(maxsize=depth)
    stopped = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, make, ready, stopped), name="prefetch", daemon=True)
    thread.start()
    try:
        yield from _drain(ready)
    finally:
        stopped.set()
        _empty(ready)
        thread.join()


def _fill(items: Iterable, make: Callable, ready: queue.Queue, stopped: threading.Event) -> None:
    try:
        for item in items:
            if not _put(ready, (make(item), None), stopped):
                return
        _put(ready, (_END, None), stopped)
    except BaseException as error:  # noqa: BLE001 - handed over, raised by the reader
        _put(ready, (_END, error), stopped)


def _put(ready: queue.Queue, entry: tuple, stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            ready.put(entry, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False


def _drain(ready: queue.Queue) -> Iterator:
    while True:
        value, error = ready.get()
        if error is not None:
            raise error
        if value is _END:
            return
        yield value


def _empty(ready: queue.Queue) -> None:
    while not ready.empty():
        ready.get_nowait()
