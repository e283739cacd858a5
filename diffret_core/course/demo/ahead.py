"""Moving pictures made before they are asked for: a slider that ranks anew then need not wait for them."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Thread, current_thread, main_thread

from diffret_core.course.thumbnails import moving_picture


class PicturesAhead:
    """Makes moving pictures in a thread of its own; `moving_picture` keeps them."""

    def __init__(self) -> None:
        """Make nothing yet."""
        self._thread: Thread | None = None

    def make(self, paths: Iterable[Path]) -> None:
        """Begin with these; what was begun before ends after its present picture, as all does when Python exits."""
        self._thread = Thread(target=self._work, args=(list(paths),))  # waited for at exit: decoding cannot be cut off
        self._thread.start()

    def wait(self) -> None:
        """Wait until the last ones are made."""
        if self._thread is not None:
            self._thread.join()

    def _work(self, paths: list[Path]) -> None:
        for path in paths:
            if self._thread is not current_thread() or not main_thread().is_alive():
                return
            with suppress(OSError, ValueError):  # whoever shows it will say so
                moving_picture(path)
