"""Rendering many scenes to files, in several processes, and never half a file."""

import multiprocessing
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from diffret_core.scenes.drawing import draw_frames, frames_sha256
from diffret_core.scenes.encode import require_encoder, write_video
from diffret_core.scenes.scene import Scene

_SCENES_PER_TASK = 8


class Rendering(NamedTuple):
    """A scene and the file it belongs in."""

    path: Path
    scene: Scene


class Rendered(NamedTuple):
    """A finished file and the fingerprint of its frames before encoding."""

    path: Path
    frames_sha256: str


def render_all(renderings: Sequence[Rendering], *, num_workers: int) -> Iterator[Rendered]:
    """Render scenes to video files; each file appears whole or not at all.

    Args:
        renderings: What to render; folders must exist, existing files are replaced.
        num_workers: Processes; 1 renders in this one.

    Yields:
        Every finished file, in no particular order.

    Raises:
        ValueError: If PyAV is not installed or there is no worker.
    """
    require_encoder()
    if num_workers < 1:
        raise ValueError(f"the number of workers is {num_workers}, expected at least 1: give --workers 1 or more")
    if num_workers == 1:
        yield from map(_render, renderings)
        return
    tasks = [renderings[start : start + _SCENES_PER_TASK] for start in range(0, len(renderings), _SCENES_PER_TASK)]
    context = multiprocessing.get_context("spawn")  # a forked process inherits torch's threads in an unknown state
    pool = ProcessPoolExecutor(num_workers, mp_context=context, initializer=_ignore_interrupts)
    try:
        with _interrupts_held_back():
            started = [pool.submit(_render_each, task) for task in tasks]
        for task in as_completed(started):
            yield from task.result()
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let Ctrl-C wait: processes started meanwhile never see it, not even before their first line of Python."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ignore_interrupts() -> None:
    """Leave them to the parent, on systems where they cannot be held back."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _render_each(renderings: Sequence[Rendering]) -> list[Rendered]:
    return [_render(rendering) for rendering in renderings]


def _render(rendering: Rendering) -> Rendered:
    frames = draw_frames(rendering.scene)
    write_video(rendering.path, frames)
    return Rendered(rendering.path, frames_sha256(frames))
