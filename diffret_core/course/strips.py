"""Frames of a video side by side, as pictures that need no kernel."""

from collections.abc import Sequence
from html import escape

from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from diffret_core.course.style import FAINT, INK, PAPER
from diffret_core.course.thumbnails import picture_uri

SIDE = 58
"""Most pixels of a side; twelve frames, the usual F, shrink until they fit into one row of a notebook."""

_CELL = "display:inline-block; text-align:center; margin:0 0.3% 3px 0; vertical-align:top; width:8%; min-width:40px"


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
    return f'<div style="margin:8px 0; padding:8px; background:{PAPER}; color:{INK}">{heading}{"".join(cells)}</div>'


def _cell(frame: UInt8[Tensor, "3 H W"], label: str, is_real: bool) -> str:
    picture = picture_uri(Image.fromarray(frame.permute(1, 2, 0).numpy()))
    border = f"1px solid {FAINT}" if is_real else f"1px dashed {INK}"
    what = f"frame at {label}" if is_real else "padding, no frame"
    image = f'<img src="{picture}" alt="{what}" style="border:{border}; width:{SIDE}px; max-width:96%; height:auto">'
    return f'<div style="{_CELL}">{image}<div style="font-size:10px">{label}</div></div>'
