"""A few curves over one axis, each named at its end."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout
from diffret_core.course.style import FAINT, QUIET

Number = float | int
_HEIGHT = 360
_APART = 0.08
"""Names closer than this part of the height are moved apart."""
_SAMPLE = (6, 33)
"""From where to where a piece of its line stands before a name, in pixels right of the plot."""
BEHIND_SAMPLE = 39
"""Where the name begins then."""


class Curve(NamedTuple):
    """How a curve runs and what it looks like.

    Attributes:
        heights: Its height at each place.
        colour: Its colour.
        dash: Its dash, as plotly calls it.
    """

    heights: Sequence[Number]
    colour: str
    dash: str = "solid"


def curves_figure(
    places: Sequence[Number], curves: Mapping[str, Curve], *, title: str, across: str, up: str
) -> go.Figure:
    """Draw curves over places that are many times as far apart as small ones: the axis is logarithmic.

    Args:
        places: Where the points lie, positive.
        curves: The curves by their names.
        title: What is drawn.
        across: What the places are.
        up: What the heights are.
    """
    figure = go.Figure(layout=base_layout(f"<b>{as_plain_text(title)}</b>", height=_HEIGHT))
    for name, curve in curves.items():
        figure.add_scatter(
            x=list(places),
            y=[round(float(height), 3) for height in curve.heights],
            mode="lines+markers",
            line={"color": curve.colour, "dash": curve.dash, "width": 3},
            marker={"size": 6},
            hovertemplate=f"{as_plain_text(name)}<br>%{{x}}: %{{y:.1f}}<extra></extra>",
        )
    figure.update_layout(
        margin={"r": 210},
        xaxis=AXIS
        | {"type": "log", "tickvals": list(places), "ticktext": [f"{place:g}" for place in places]}
        | {"title": axis_title(across), "ticks": "outside", "tickcolor": QUIET},
        yaxis=AXIS | {"title": axis_title(up), "showgrid": True, "gridcolor": FAINT},
        annotations=_names(curves),
    )
    for note, curve in zip(figure.layout.annotations, _from_the_top(curves).values(), strict=True):
        figure.add_shape(line_sample(note.y, colour=curve.colour, dash=curve.dash))
    return figure


def line_sample(height: Number, *, colour: str, dash: str, axis: str = "y") -> dict:
    """A short piece of a line right of the plot, which shows colour and dash beside a name.

    Args:
        height: Where it lies, on the axis.
        colour: Its colour.
        dash: Its dash, as plotly calls it.
        axis: The vertical axis, as plotly calls it.
    """
    across = {"xref": "paper", "xsizemode": "pixel", "xanchor": 1, "x0": _SAMPLE[0], "x1": _SAMPLE[1]}
    line = {"color": colour, "dash": dash, "width": 3}
    return across | {"type": "line", "yref": axis, "y0": height, "y1": height, "line": line}


def _from_the_top(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    return dict(sorted(curves.items(), key=lambda one: -one[1].heights[-1]))


def _names(curves: Mapping[str, Curve]) -> list[dict]:
    """Names at the right ends, from the top, moved apart where they would touch."""
    heights = [float(height) for curve in curves.values() for height in curve.heights]
    least = _APART * ((max(heights) - min(heights)) or 1)
    notes, lowest = [], float("inf")
    for name, curve in _from_the_top(curves).items():
        lowest = min(float(curve.heights[-1]), lowest - least)
        notes.append(
            {"text": f"<b>{as_plain_text(name)}</b>", "x": 1, "y": lowest, "xref": "paper", "yref": "y"}
            | {"showarrow": False, "xanchor": "left", "xshift": BEHIND_SAMPLE}
            | {"font": {"size": 13, "color": curve.colour}}
        )
    return notes
