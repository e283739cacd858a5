"""Work that several threads do ahead of its use: results in order, never more than a few of them waiting."""

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

Item = TypeVar("Item")


class Done(NamedTuple):
    """One result.

    Attributes:
        value: The result.
        waited_seconds: How long whoever asked for it had to wait.
    """

    value: Any
    waited_seconds: float


def work_ahead(
    work: Callable[[Item], Any], items: Iterable[Item], *, num_workers: int, most_ahead: int
) -> Generator[Done, None, None]:
    """Give the result of every item, in order, while threads work on those that come next.

    Close it (`contextlib.closing`) to stop before the end: work that has not begun is dropped.

    Args:
        work: What is done with an item; threads help as far as it leaves Python's lock to others.
        items: What it is done with.
        num_workers: How many threads work; 0 does each item's work when its result is asked for.
        most_ahead: So many results, finished or begun, may wait to be asked for.

    Yields:
        The results. What `work` raises is raised in an item's turn, when all before it were given.

    Raises:
        ValueError: If a number is too small.
    """
    if num_workers < 0 or most_ahead < 1:
        raise ValueError(
            f"{num_workers} workers, {most_ahead} results ahead: give 0 or more workers, and 1 or more results"
        )
    if num_workers == 0:
        for item in items:
            yield _timed(partial(work, item))
        return
    pool = ThreadPoolExecutor(num_workers)
    begun: deque[Future] = deque()
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            if len(begun) == most_ahead:
                yield _timed(begun.popleft().result)
        while begun:
            yield _timed(begun.popleft().result)
    finally:
        pool.shutdown(cancel_futures=True)


def _timed(result: Callable[[], Any]) -> Done:
    start = time.perf_counter()
    return Done(result(), time.perf_counter() - start)


def num_workers_here() -> int:
    """Say how many threads keep this process's share of the processors busy; torchrun starts several processes."""
    num_processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, num_processors // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
