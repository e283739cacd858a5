"""Curves over noise levels, side by side, always from noise on the left to data on the right."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout
from diffret_core.course.style import FAINT, INK, PLACES, QUIET

Number = float | int
_HEIGHT, _GAP = 380, 0.12

COSINE, LINEAR = (INK, "solid"), (PLACES[2].colour, "dash")
"""Colour and dash of what belongs to a schedule, in every figure."""


class LevelCurve(NamedTuple):
    """How a curve runs, what it looks like, and where its name stands.

    Attributes:
        heights: Its height at each place; NaN where it has none.
        colour: Its colour.
        dash: Its dash, as plotly calls it.
        name_at: At which of the places its name stands.
        above: Whether the name stands to the left and above, else to the right and below. Curves rise towards data.
    """

    heights: Sequence[Number]
    colour: str
    dash: str
    name_at: int
    above: bool = False


class Panel(NamedTuple):
    """Curves over the same places.

    Attributes:
        title: What is drawn.
        across: What the places are.
        places: Noise first: levels from K down, or ratios of signal to noise from small to large.
        curves: The curves by their names.
        dotted: Height of a dotted line, such as chance, if there is one.
    """

    title: str
    across: str
    places: Sequence[Number]
    curves: Mapping[str, LevelCurve]
    dotted: Number | None = None


def levels_figure(panels: Sequence[Panel]) -> go.Figure:
    """Draw panels side by side.

    Args:
        panels: One or more.
    """
    figure = go.Figure(layout=base_layout("", height=_HEIGHT))
    width = (1 - _GAP * (len(panels) - 1)) / len(panels)
    for number, panel in enumerate(panels, start=1):
        end, left = "" if number == 1 else str(number), (number - 1) * (width + _GAP)
        for name, curve in panel.curves.items():
            figure.add_trace(_line(panel, name, curve, end))
            figure.add_annotation(_name(panel, name, curve, end))
        figure.layout[f"xaxis{end}"] = (
            AXIS
            | {"domain": [left, left + width], "anchor": f"y{end}", "range": [panel.places[0], panel.places[-1]]}
            | {"title": axis_title(panel.across), "ticks": "outside", "tickcolor": QUIET}
        )
        figure.layout[f"yaxis{end}"] = AXIS | {"anchor": f"x{end}", "showgrid": True, "gridcolor": FAINT}
        for note in _words(panel.title, left, left + width):
            figure.add_annotation(note)
        if panel.dotted is not None:
            ends = {
                "x0": left,
                "x1": left + width,
                "y0": panel.dotted,
                "y1": panel.dotted,
                "xref": "paper",
                "yref": f"y{end}",
            }
            figure.add_shape(ends | {"type": "line", "line": {"color": INK, "width": 1.5, "dash": "dot"}})
    figure.update_layout(margin={"l": 48, "r": 30, "t": 48, "b": 64})
    return figure


def _line(panel: Panel, name: str, curve: LevelCurve, end: str) -> go.Scatter:
    return go.Scatter(
        x=list(panel.places),
        y=[None if height != height else round(float(height), 4) for height in curve.heights],  # NaN is a gap
        xaxis=f"x{end}",
        yaxis=f"y{end}",
        mode="lines",
        line={"color": curve.colour, "dash": curve.dash, "width": 3},
        hovertemplate=f"{as_plain_text(name)}<br>%{{x:.3g}}: %{{y:.3g}}<extra></extra>",
    )


def _name(panel: Panel, name: str, curve: LevelCurve, end: str) -> dict:
    place = {"x": panel.places[curve.name_at], "y": float(curve.heights[curve.name_at])}
    side = ("right", "bottom", -4) if curve.above else ("left", "top", 4)
    return (
        {"text": f"<b>{as_plain_text(name)}</b>", "xref": f"x{end}", "yref": f"y{end}", "showarrow": False}
        | place
        | dict(zip(("xanchor", "yanchor", "xshift"), side, strict=True))
        | {"font": {"size": 13, "color": INK}}
    )


def _words(title: str, left: float, right: float) -> list[dict]:
    """What stands above a panel, and the two ends of its axis."""
    common = {"xref": "paper", "yref": "paper", "showarrow": False, "font": {"size": 13, "color": INK}}
    below = common | {"y": 0, "yanchor": "top", "yshift": -26}
    return [
        common
        | {"text": f"<b>{as_plain_text(title)}</b>", "x": left, "y": 1.05, "xanchor": "left", "yanchor": "bottom"},
        below | {"text": "<b>noise</b>", "x": left, "xanchor": "left"},
        below | {"text": "<b>data</b>", "x": right, "xanchor": "right"},
    ]
