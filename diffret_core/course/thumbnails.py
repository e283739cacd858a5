"""Videos as pieces of HTML that carry their own data: they need no file, no server and no kernel."""

import base64
import functools
import io
from html import escape
from pathlib import Path

from PIL import Image

from diffret_core.frames import read_frames

PLAYABLE: dict[str, str] = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm"}
"""Endings of files that browsers play -> their media type."""

MOST_BYTES = 150_000
"""Longer files are shown as a picture: a notebook has a size."""


def playing(path: Path, *, side: int = 128, title: str = "") -> str:
    """Show a video that plays by itself, silently, over and over; where it cannot play, a picture of its middle.

    JupyterLab's sanitizer leaves these tags and attributes alone, so it plays in a notebook that nobody trusts.

    Args:
        path: The video file.
        side: Width and height on the page, in pixels.
        title: What is said of it when the pointer rests on it.

    Returns:
        HTML.
    """
    picture = still(path)
    words = escape(title, quote=True)
    image = f'<img src="{picture}" width="{side}" height="{side}" alt="{words}">'
    media_type = PLAYABLE.get(path.suffix.lower())
    if media_type is None or path.stat().st_size > MOST_BYTES:
        return image
    source = _data_uri(media_type, path.read_bytes())
    return (
        f'<video src="{source}" poster="{picture}" width="{side}" height="{side}" title="{words}" '
        f"autoplay loop muted controls>{image}</video>"
    )


@functools.lru_cache(maxsize=4096)
def still(path: Path, *, side: int = 128) -> str:
    """Take the middle of a video as a small picture.

    Args:
        path: The video file.
        side: Width and height in pixels.

    Returns:
        A data URI with a WebP picture.
    """
    frames = read_frames(path, max_frames=3, frames_per_second=2, image_size=side).frames
    picture = Image.fromarray(frames[len(frames) // 2].permute(1, 2, 0).numpy())
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=70)
    return _data_uri("image/webp", file.getvalue())


def _data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
