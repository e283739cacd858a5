"""Progress on stderr: a bar with the time left, for whatever reports how much is done."""

import io
import os
import sys
from contextlib import ExitStack, redirect_stderr
from types import TracebackType

from tqdm import tqdm

_STDERR = 2


class Bars:
    """One bar after another: a new description closes the last bar and opens its own.

    Used as a context, so that the last bar is closed too. Call it with what is being done, how much is done and of
    how much, and optionally the loss or another note. Meanwhile what Python writes on stderr goes to a copy of it:
    threads that decode videos send stderr itself, on which C libraries write, to nowhere.
    """

    def __init__(self) -> None:
        """Show nothing yet."""
        self._bar: tqdm | None = None
        self._what = ""
        self._open = ExitStack()

    def __call__(self, what: str, done: int, total: int, loss: float | None = None, *, note: str = "") -> None:
        """Show how far it is."""
        if self._bar is None or what != self._what:
            self._close()
            self._what = what
            seconds = 0.2 if sys.stderr.isatty() else 30.0  # between updates: a log file wants few
            before = 0 if loss is None else done - 1  # a resumed stage did not begin now
            self._bar = tqdm(total=total, desc=what, dynamic_ncols=True, initial=before, mininterval=seconds)
        if loss is not None:
            note = f"loss {loss:.3f}"
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> "Bars":
        """Start."""
        if _stderr_is_the_systems():
            copy = self._open.enter_context(os.fdopen(os.dup(_STDERR), "w", buffering=1))
            self._open.enter_context(redirect_stderr(copy))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the last bar."""
        self._close()
        self._open.close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _stderr_is_the_systems() -> bool:
    try:
        return sys.stderr.fileno() == _STDERR
    except (AttributeError, io.UnsupportedOperation, ValueError):  # none, a notebook's or a test's, or a closed one
        return False
