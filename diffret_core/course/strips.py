"""Frames of a video side by side, as pictures that need no kernel."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from diffret_core.config import ModelConfig
from diffret_core.course.cells import rows_of_cells
from diffret_core.course.style import FAINT, INK, PAPER
from diffret_core.course.thumbnails import frame_uri
from diffret_core.frames import VideoFrames, read_frames

SIDE = 58
"""Most pixels of a side; the frames of a row shrink until they fit on the page."""

IN_A_ROW = 12
"""The usual F."""


def read_for_eyes(path: Path | str, config: ModelConfig, *, image_size: int = SIDE) -> VideoFrames:
    """Read the very frames that a model reads, in a size that people see.

    Args:
        path: The video file.
        config: Says which frames the model reads.
        image_size: Height and width in pixels.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or no video.
    """
    return read_frames(
        path, max_frames=config.max_frames, frames_per_second=config.frames_per_second, image_size=image_size
    )


def strip_html(frames: UInt8[Tensor, "F 3 H W"], seconds: Sequence[float], *, caption: str = "") -> str:
    """Put frames in a row, time from left to right, with the second of each below it.

    Args:
        frames: Pixels 0..255; the real frames first.
        seconds: Time of each real frame; what comes after them is framed with dashes and called padding.
        caption: What is said of the video, above the row.

    Returns:
        HTML that needs nothing else.
    """
    labels = [f"{second:.2f} s" for second in seconds] + ["padding"] * (len(frames) - len(seconds))
    cells = [
        _cell(frame, label, place < len(seconds))
        for place, (frame, label) in enumerate(zip(frames, labels, strict=True))
    ]
    heading = f'<div style="margin:0 0 4px 0"><b>“{escape(caption)}”</b></div>' if caption else ""
    rows = [cells[first : first + IN_A_ROW] for first in range(0, len(cells), IN_A_ROW)]
    table = rows_of_cells(rows, style=f"padding:0 2px 3px 0; color:{INK}", cell_width=SIDE + 8)
    return f'<div style="margin:8px 0; padding:8px; background:{PAPER}; color:{INK}">{heading}{table}</div>'


def _cell(frame: UInt8[Tensor, "3 H W"], label: str, is_real: bool) -> str:
    picture = frame_uri(frame)
    border = f"1px solid {FAINT}" if is_real else f"1px dashed {INK}"
    what = f"frame at {label}" if is_real else "padding, no frame"
    image = f'<img src="{picture}" alt="{what}" style="border:{border}; width:{SIDE}px; max-width:96%; height:auto">'
    return f'{image}<div style="font-size:10px">{label}</div>'
