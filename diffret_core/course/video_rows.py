"""Rows of playing videos, each with a heading, and with words below every video."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from diffret_core.course.style import COMBINED, FAINT, INK, PAPER
from diffret_core.course.thumbnails import moving_picture

SIDE = 96


class Playing(NamedTuple):
    """A video in a row.

    Attributes:
        path: Its file.
        caption: What is said of it.
        note: A short line below it, such as its similarity.
        own: Whether it is the one that is meant, which is framed.
    """

    path: Path
    caption: str
    note: str
    own: bool = False


def video_rows_html(rows: Mapping[str, Sequence[Playing]]) -> str:
    """Show rows of videos as moving pictures.

    Args:
        rows: Videos by the heading of their row.

    Returns:
        HTML that needs nothing else.
    """
    parts = [
        f'<div style="margin:0 0 4px 0"><b>{escape(heading)}</b></div><div style="margin:0 0 8px 0">'
        f"{''.join(map(_cell, row))}</div>"
        for heading, row in rows.items()
    ]
    return f'<div style="margin:8px 0; padding:8px; background:{PAPER}; color:{INK}">{"".join(parts)}</div>'


def _cell(video: Playing) -> str:
    words = escape(video.caption, quote=True)
    border = f"4px solid {COMBINED}" if video.own else f"1px solid {FAINT}"
    return (
        f'<div style="display:inline-block; width:130px; margin:0 6px 4px 0; vertical-align:top; font-size:11px">'
        f'<img src="{moving_picture(video.path)}" alt="{words}" width="{SIDE}" height="{SIDE}" style="border:{border}">'
        f"<div>{words}</div><div><b>{escape(video.note)}</b></div></div>"
    )
