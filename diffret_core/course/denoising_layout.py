"""Layout of the interactive figure of a walk from noise to a ranking: axes, words, slider and buttons."""

import math
import textwrap

import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.denoising import KEY, headline
from diffret_core.course.layout import AXIS, as_plain_text, at_once, base_layout, slider
from diffret_core.course.style import INK, PAPER, PLACES, QUIET
from diffret_core.search import Search

HEIGHT = 630
HEIGHTS = (-0.06, 1.24)
"""What the vertical axes reach: 0 to 1, with room for a label above the highest bar."""

_BARS, _THUMBNAILS, _PATHS = (0.60, 1.0), 0.545, (0.13, 0.43)  # parts of the height, from the bottom
_CLOSE_COLUMNS = 3  # names of bars that are nearer than that would touch on a narrow page
_MARGIN = {"l": 64, "r": 60, "t": 94, "b": 30}
_LINE = 60
"""Most characters of a line of the title; more are cut off on a narrow page."""

_LEFT_OF_LEVEL = {"x": 0, "xanchor": "left", "y": 0.05, "yanchor": "top"}
"""Beside the words above the slider: above the figure, buttons lie over the title where a page is narrow."""


def denoising_layout(found: Search, last: Float[Tensor, " N"], leaders: list[int]) -> go.Layout:
    """Lay out bars, paths, words and controls.

    Args:
        found: What a search gave.
        last: Height of each candidate at the last level, where the paths are named.
        leaders: Columns of the leading candidates, best first.
    """
    num_candidates, largest = len(found.candidates), found.levels[0]
    axis = AXIS
    value_axis = axis | {"range": list(HEIGHTS), "zeroline": True, "zerolinecolor": QUIET}
    value_axis |= {"tickvals": [0, 1], "ticktext": ["lowest", "highest"]}
    level = slider([str(k) for k in found.levels], "noise level k = ")
    title = "<br>".join(map(as_plain_text, textwrap.wrap(headline(found), _LINE)))
    return base_layout(f"<b>{title}</b><br>{KEY}", height=HEIGHT).update(
        margin=_MARGIN,
        xaxis=axis | {"range": [0.3, num_candidates + 0.7], "showticklabels": False, "anchor": "y"},
        yaxis=value_axis | {"domain": _BARS},
        xaxis2=axis
        | {"range": [largest, 0], "anchor": "y2", "title": {"text": "noise level <i>k</i>", "standoff": 6}}
        | {"tickvals": _ticks(largest), "ticks": "outside", "tickcolor": QUIET},
        yaxis2=value_axis | {"domain": _PATHS},
        annotations=[*_notes(num_candidates), *_bar_labels(leaders), *_line_ends(last, leaders)],
        sliders=[level | {"currentvalue": level["currentvalue"] | {"xanchor": "right"}}],
        updatemenus=[play_buttons() | _LEFT_OF_LEVEL],
        bargap=0.25,
        hovermode="closest",
    )


def _notes(num_candidates: int) -> list[dict]:
    """The words between the two parts, and the two ends of the walk."""
    common = {"showarrow": False, "xref": "paper", "yref": "paper", "font": {"size": 12, "color": INK}}
    between = f"{num_candidates} candidates, the most similar to the sentence on the left"
    below = "◇ over all levels"
    return [
        common | {"text": between, "x": 0.5, "y": 0.475, "xanchor": "center", "yanchor": "bottom"},
        common | {"text": below, "x": 0.5, "y": 0.435, "xanchor": "center", "yanchor": "bottom"},
        common | {"text": "<b>noise</b>", "x": 0, "y": 0.435, "xanchor": "left", "yanchor": "bottom"},
        common | {"text": "<b>answer</b>", "x": 1, "y": 0.435, "xanchor": "right", "yanchor": "bottom"},
    ]


def _bar_labels(leaders: list[int]) -> list[dict]:
    """Names of the leading bars, above the highest that a bar or a diamond can get; close ones in two rows."""
    common = {"y": 1.07, "yanchor": "bottom", "xref": "x", "yref": "y", "showarrow": False}
    named = dict(zip(leaders, PLACES, strict=False))
    notes, row, before = [], 0, -math.inf
    for column in sorted(named):
        row = 1 - row if column - before < _CLOSE_COLUMNS else 0
        before = column
        text = {"text": f"<b>{named[column].label}</b>", "font": {"size": 12, "color": INK}}
        notes.append(common | text | {"x": column + 1, "yshift": 13 * row})
    return notes


def _line_ends(last: Float[Tensor, " N"], leaders: list[int]) -> list[dict]:
    """Names of the leading lines at their right end, moved apart where they would touch."""
    notes, lowest = [], float("inf")
    for place, column in zip(PLACES, leaders, strict=False):
        lowest = min(float(last[column]), lowest - 0.15)
        notes.append(
            {"text": f"<b>{place.label}</b>", "x": 0, "y": lowest, "xref": "x2", "yref": "y2", "showarrow": False}
            | {"xanchor": "left", "xshift": 6, "font": {"size": 13, "color": INK}}
        )
    return notes


def play_buttons() -> dict:
    """Buttons that let the frames of a figure pass by themselves, above its upper right corner."""
    play = {"label": "▶ play", "method": "animate", "args": [None, at_once(70) | {"fromcurrent": True}]}
    pause = {"label": "❚❚ pause", "method": "animate", "args": [[None], at_once(0)]}
    return {
        "type": "buttons",
        "direction": "left",
        "buttons": [play, pause],
        "showactive": False,
        "x": 1,
        "xanchor": "right",
        "y": 1.02,
        "yanchor": "bottom",
        "pad": {"t": 0, "r": 0},
        "bgcolor": PAPER,
        "font": {"size": 12},
    }


def thumbnail_image(picture: str, column: int) -> dict:
    """Place a candidate's picture, a data URI, below its bar."""
    return {
        "source": picture,
        "xref": "x",
        "yref": "paper",
        "x": column + 1,
        "y": _THUMBNAILS,
        "sizex": 0.9,
        "sizey": 0.06,
        "xanchor": "center",
        "yanchor": "middle",
        "sizing": "contain",
        "layer": "above",
    }


def _ticks(largest: int) -> list[int]:
    return sorted({round(largest * part / 5) for part in range(6)})
