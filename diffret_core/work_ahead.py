"""Work that several threads do ahead of its use, never more than a few results waiting: one an item, or many."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Queue
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


class Piece(NamedTuple):
    """One of the results that an item gives, or its end.

    Attributes:
        item: The item.
        value: The result; None at the end.
        ended: Nothing more comes of this item.
        error: What ended it too early; None if nothing did.
        waited_seconds: How long whoever asked for it had to wait.
    """

    item: Any
    value: Any
    ended: bool = False
    error: Exception | None = None
    waited_seconds: float = 0.0


def pieces_ahead(
    work: Callable[[Item], Iterator[Any]], items: Iterable[Item], *, num_workers: int, most_ahead: int
) -> Generator[Piece, None, None]:
    """Give all results of items that have many each, while threads work on the next: one item a thread at a time.

    The results of one item come in their order, followed by its end; those of several items mix. Close it
    (`contextlib.closing`) to stop before the end: each thread then ends with its next result.

    Args:
        work: Gives the results of an item one by one.
        items: What it is done with.
        num_workers: How many threads work; 0 does the work when a result is asked for.
        most_ahead: So many results may wait to be asked for, besides one in the hands of each thread.

    Yields:
        The results. What `work` raises is the error of its item's end, and the other items go on.

    Raises:
        ValueError: If a number is too small.
    """
    if num_workers < 0 or most_ahead < 1:
        raise ValueError(
            f"{num_workers} workers, {most_ahead} results ahead: give 0 or more workers, and 1 or more results"
        )
    if num_workers == 0:
        pieces = (piece for item in items for piece in _pieces(work, item))
        while (found := _timed(partial(next, pieces, None))).value is not None:
            yield found.value._replace(waited_seconds=found.waited_seconds)
        return
    waiting: Queue[Piece | None] = Queue(most_ahead)
    stopped, todo, lock = threading.Event(), iter(items), threading.Lock()

    def serve() -> None:
        for item in _shared(todo, lock):
            for piece in _pieces(work, item):
                waiting.put(piece)
                if stopped.is_set():
                    break
            if stopped.is_set():
                break
        waiting.put(None)

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(num_workers)]
    num_at_work = num_workers
    for thread in threads:
        thread.start()
    try:
        while num_at_work:
            found = _timed(waiting.get)
            if found.value is None:
                num_at_work -= 1
            else:
                yield found.value._replace(waited_seconds=found.waited_seconds)
    finally:
        stopped.set()
        while num_at_work:  # whoever waits to hand over a result gets rid of it, sees that it is over, and ends
            num_at_work -= waiting.get() is None
        for thread in threads:
            thread.join()


def _shared(items: Iterator[Item], lock: threading.Lock) -> Iterator[Item]:
    """Give a thread one item after another that no other has had."""
    while True:
        with lock:
            try:
                item = next(items)
            except StopIteration:
                return
        yield item


def _pieces(work: Callable[[Item], Iterator[Any]], item: Item) -> Iterator[Piece]:
    try:
        for value in work(item):
            yield Piece(item, value)
    except Exception as error:  # it is whoever asks that decides what it means
        yield Piece(item, None, ended=True, error=error)
    else:
        yield Piece(item, None, ended=True)


def num_workers_here() -> int:
    """Say how many threads keep this process's share of the processors busy; torchrun starts several processes."""
    num_processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, num_processors // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
