"""Work that is done in threads and handed on in the order it was asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")


def in_order(
    items: Iterable[Item], work: Callable[[Item], Done], *, workers: int, ahead: int, name: str
) -> Iterator[tuple[Item, Done]]:
    """Each item with what `work` made of it; what `work` raises comes out at its item's turn.

    Args:
        ahead: items a worker that are asked for before the first of them is handed on.
        name: of the threads.
    """
    under_way: deque[tuple[Item, Future[Done]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix=name) as threads:
        try:
            for item in items:
                under_way.append((item, threads.submit(work, item)))
                if len(under_way) >= ahead * workers:
                    first, future = under_way.popleft()
                    yield first, future.result()
            for first, future in under_way:
                yield first, future.result()
        finally:
            threads.shutdown(cancel_futures=True)
