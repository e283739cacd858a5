"""Videos as small pictures that carry their own data: they need no file, no server, no kernel and no codec.

They are WebP pictures and not mp4 files in a video tag: a picture moves in every page that shows pictures, also in a
notebook that nobody trusts and on GitHub; JupyterLab stops a video that it loads with a notebook.
"""

import base64
import functools
import io
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from diffret_core.frames import read_chosen_frames, sample_part_indices

SIDE = 128
FRAMES_PER_SECOND = 6
MOST_FRAMES = 24
"""A longer video is shown in fast motion: this many of its frames."""

LAST_FRAME_MILLISECONDS = 800
"""The end is held, so that left and right, before and after can be told in a picture that starts over and over."""


class Part(NamedTuple):
    """A part of a video: from its start to its end, in seconds; None for the end of the video."""

    start_seconds: float = 0.0
    end_seconds: float | None = None


WHOLE = Part()


class _Version(NamedTuple):
    """A file as it is now: another size or date, and its pictures are made anew."""

    path: Path
    num_bytes: int
    mtime_ns: int


class _Made(NamedTuple):
    """A picture, or why there is none."""

    picture: str
    complaint: str = ""


def thumbnail_html(path: Path, *, title: str = "", part: Part = WHOLE) -> str:
    """Show a video as a moving picture, smaller where there is little room.

    Args:
        path: The video file.
        title: What is said of it when the pointer rests on it, and to those who do not see it.
        part: What of it is shown.

    Returns:
        HTML.

    Raises:
        OSError: If the file is not there or may not be read.
        ValueError: If it is not a video that can be decoded.
    """
    words = escape(title, quote=True)
    return (
        f'<img src="{moving_picture(path, part)}" width="{SIDE}" height="{SIDE}" alt="{words}" title="{words}" '
        'style="max-width:100%; height:auto">'
    )


def moving_picture(path: Path, part: Part = WHOLE) -> str:
    """Turn a video into a moving picture; it is kept for as long as the file has the same size and date.

    Args:
        path: The video file.
        part: What of it is shown.

    Returns:
        A data URI with an animated WebP picture, SIDE pixels wide and high.

    Raises:
        OSError: If the file is not there or may not be read.
        ValueError: If it is not a video that can be decoded; it is not decoded again until the file changes.
    """
    return _given(_moving_picture(_version(path), part))


def still(path: Path, *, side: int, part: Part = WHOLE) -> str:
    """Take the middle of a video as a small picture; what comes after it is not decoded.

    Args:
        path: The video file.
        side: Width and height in pixels.
        part: What of it has that middle.

    Returns:
        A data URI with a WebP picture.

    Raises:
        OSError: As `moving_picture`.
        ValueError: As `moving_picture`.
    """
    return _given(_still(_version(path), side, part))


def picture_uri(picture: Image.Image, **options: Any) -> str:
    """Turn a picture into a data URI with a WebP picture.

    Args:
        picture: The picture.
        options: What Pillow takes for WebP.
    """
    file = io.BytesIO()
    picture.save(file, "WEBP", **options)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def frame_uri(frame: UInt8[Tensor, "3 H W"], **options: Any) -> str:
    """Turn a frame into a data URI with a WebP picture.

    Args:
        frame: Pixels 0..255.
        options: What Pillow takes for WebP, such as lossless=True.
    """
    return picture_uri(_picture(frame), **options)


def _picture(frame: UInt8[Tensor, "3 H W"]) -> Image.Image:
    return Image.fromarray(frame.permute(1, 2, 0).numpy())


def _version(path: Path) -> _Version:
    try:
        status = path.stat()
    except OSError:  # reading it will say what is wrong
        return _Version(path, 0, 0)
    return _Version(path, status.st_size, status.st_mtime_ns)


def _given(made: _Made) -> str:
    if made.complaint:
        raise ValueError(made.complaint)
    return made.picture


@functools.lru_cache(maxsize=1024)
def _moving_picture(version: _Version, part: Part) -> _Made:
    choose = partial(sample_part_indices, **part._asdict(), max_frames=MOST_FRAMES, frames_per_second=FRAMES_PER_SECOND)
    try:
        read = read_chosen_frames(version.path, choose, image_size=SIDE)
    except ValueError as error:
        return _Made("", str(error))
    first, *others = map(_picture, read.frames)
    durations = [1000 // FRAMES_PER_SECOND] * len(others) + [LAST_FRAME_MILLISECONDS]
    return _Made(picture_uri(first, save_all=True, append_images=others, duration=durations, loop=0, quality=60))


@functools.lru_cache(maxsize=4096)
def _still(version: _Version, side: int, part: Part) -> _Made:
    def middle(num_frames: int, video_rate: float) -> list[int]:
        indices = sample_part_indices(num_frames, video_rate, **part._asdict(), max_frames=3, frames_per_second=2)
        return [indices[len(indices) // 2]]

    try:
        (frame,) = read_chosen_frames(version.path, middle, image_size=side).frames
    except ValueError as error:
        return _Made("", str(error))
    return _Made(frame_uri(frame, quality=70))
