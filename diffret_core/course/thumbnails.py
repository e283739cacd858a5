"""Videos as small pictures that carry their own data: they need no file, no server, no kernel and no codec.

They are WebP pictures and not mp4 files in a video tag: a picture moves in every page that shows pictures, also in a
notebook that nobody trusts and on GitHub; JupyterLab stops a video that it loads with a notebook.
"""

import base64
import functools
import io
from html import escape
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from diffret_core.frames import read_frames

SIDE = 128
FRAMES_PER_SECOND = 6
MOST_FRAMES = 24
"""A longer video is shown in fast motion: this many of its frames."""

LAST_FRAME_MILLISECONDS = 800
"""The end is held, so that left and right, before and after can be told in a picture that starts over and over."""


def thumbnail_html(path: Path, *, title: str = "") -> str:
    """Show a video as a moving picture, smaller where there is little room.

    Args:
        path: The video file.
        title: What is said of it when the pointer rests on it, and to those who do not see it.

    Returns:
        HTML.
    """
    words = escape(title, quote=True)
    return (
        f'<img src="{moving_picture(path)}" width="{SIDE}" height="{SIDE}" alt="{words}" title="{words}" '
        'style="max-width:100%; height:auto">'
    )


@functools.lru_cache(maxsize=1024)
def moving_picture(path: Path) -> str:
    """Turn a video into a moving picture.

    Returns:
        A data URI with an animated WebP picture, SIDE pixels wide and high.
    """
    pictures = _pictures(path, MOST_FRAMES, FRAMES_PER_SECOND, SIDE)
    durations = [1000 // FRAMES_PER_SECOND] * (len(pictures) - 1) + [LAST_FRAME_MILLISECONDS]
    return picture_uri(pictures[0], save_all=True, append_images=pictures[1:], duration=durations, loop=0, quality=60)


@functools.lru_cache(maxsize=4096)
def still(path: Path, *, side: int) -> str:
    """Take the middle of a video as a small picture.

    Args:
        path: The video file.
        side: Width and height in pixels.

    Returns:
        A data URI with a WebP picture.
    """
    pictures = _pictures(path, 3, 2, side)
    return picture_uri(pictures[len(pictures) // 2], quality=70)


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


def _pictures(path: Path, max_frames: int, frames_per_second: int, side: int) -> list[Image.Image]:
    read = read_frames(path, max_frames=max_frames, frames_per_second=frames_per_second, image_size=side)
    return [_picture(frame) for frame in read.frames]
