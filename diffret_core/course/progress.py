"""Quiet progress: one line while something takes time, nothing when it is done, nothing at all when it is quick."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from IPython.display import HTML, display

Item = TypeVar("Item")
QUIET_SECONDS = 0.5
"""What takes less is not worth a line."""

SECONDS_BETWEEN = 0.25


def counting(doing: str) -> Callable[[int, int], None]:
    """Make a callback that says how much is done, as the core's functions call it.

    The line is a display of its own: what else the cell has shown stays.

    Args:
        doing: What takes time, in words.

    Returns:
        A function of how much is done and of how much there is.
    """
    started, shown_at = time.monotonic(), 0.0
    line: Any = None

    def progress(num_done: int, num_all: int) -> None:
        nonlocal line, shown_at
        now = time.monotonic()
        if num_done >= num_all:
            if line is not None:
                line.update(HTML(""))
        elif now - started >= QUIET_SECONDS and now - shown_at >= SECONDS_BETWEEN:
            shown_at, words = now, HTML(f"{doing}: {num_done:,} of {num_all:,}")
            if line is None:
                line = display(words, display_id=True)
            else:
                line.update(words)

    return progress


def track(items: Sequence[Item], doing: str) -> Iterator[Item]:
    """Go through items and say how far it is.

    Args:
        items: What is worked on, one after the other.
        doing: What is done with them, in words.
    """
    progress = counting(doing)
    for num_done, item in enumerate(items):
        progress(num_done, len(items))
        yield item
    progress(len(items), len(items))
