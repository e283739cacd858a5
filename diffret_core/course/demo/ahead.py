"""Pictures of the candidates, made in a thread: a run need not wait for them, nor a slider that ranks anew."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock, Thread, current_thread, main_thread

from diffret_core.course.demo.collection import Item
from diffret_core.course.thumbnails import moving_picture, still

STILL_SIDE = 36
SHOW_EVERY_SECONDS = 1.0

Show = Callable[[Sequence[str]], None]


class PicturesAhead:
    """Makes stills, which are shown as they come, and then moving pictures, which `moving_picture` keeps."""

    def __init__(self) -> None:
        """Make nothing yet."""
        self._thread: Thread | None = None
        self._lock = Lock()

    def make(self, items: Sequence[Item], show: Show | None) -> None:
        """Begin with these; what was begun before ends after its present picture, as all does when Python exits.

        Args:
            items: What pictures are made of.
            show: Takes a still of each as a data URI, empty for one that is not there yet or cannot be made; called at
                once with none, and then from the thread. None: no stills are made.
        """
        thread = Thread(target=self._work, args=(list(items), show))  # waited for at exit: decoding cannot be cut off
        with self._lock:
            self._thread = thread
            if show is not None:
                show([""] * len(items))
        thread.start()

    def wait(self) -> None:
        """Wait until the last ones are made."""
        if self._thread is not None:
            self._thread.join()

    def _work(self, items: list[Item], show: Show | None) -> None:
        if show is not None:
            self._make_stills(items, show)
        for item in items:
            if self._is_over():
                return
            with suppress(OSError, ValueError):  # whoever shows it will say so
                moving_picture(item.path, item.part)

    def _make_stills(self, items: list[Item], show: Show) -> None:
        stills, shown = [""] * len(items), time.monotonic()
        for place, item in enumerate(items, start=1):
            if self._is_over():
                return
            with suppress(OSError, ValueError):
                stills[place - 1] = still(item.path, side=STILL_SIDE, part=item.part)
            if place == len(items) or time.monotonic() - shown > SHOW_EVERY_SECONDS:
                self._show(show, stills)
                shown = time.monotonic()

    def _show(self, show: Show, stills: list[str]) -> None:
        with self._lock:  # a newer run may just be drawing its own
            if self._thread is current_thread():
                show(stills)

    def _is_over(self) -> bool:
        return self._thread is not current_thread() or not main_thread().is_alive()
