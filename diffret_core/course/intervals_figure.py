"""Numbers with their intervals, a row each, beside a line at the number that would say nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from diffret_core.course.layout import AXIS, as_plain_text, base_layout
from diffret_core.course.style import INK, QUIET

Number = float | int
_ROW, _AROUND = 34, 150  # pixels


class OnRow(NamedTuple):
    """What stands on a row.

    Attributes:
        middle: Where the dot is.
        low: Where the interval begins.
        high: Where it ends.
        label: What is written behind it.
        told: What the pointer reads.
    """

    middle: Number
    low: Number
    high: Number
    label: str
    told: str


def intervals_figure(
    title: str, rows: Mapping[str, OnRow], *, colour: str, nothing: tuple[Number, str], axis: Mapping[str, Any]
) -> go.Figure:
    """Draw a dot and an interval for each row, the first on top.

    Args:
        title: What is drawn.
        rows: The rows by their names.
        colour: Of dots and intervals.
        nothing: Where the line stands that says nothing was found, and its name.
        axis: What the axis across is to have, as plotly calls it.
    """
    places = list(range(len(rows)))
    figure = go.Figure(layout=base_layout(f"<b>{as_plain_text(title)}</b>", height=_AROUND + _ROW * len(places)))
    for place, row in zip(places, rows.values(), strict=True):
        line = {"color": colour, "width": 3}
        figure.add_scatter(x=[row.low, row.high], y=[place, place], mode="lines", line=line, hoverinfo="skip")
        note = {"x": row.high, "y": place, "text": f"<b>{row.label}</b>", "xanchor": "left", "xshift": 12}
        figure.add_annotation(note | {"showarrow": False, "font": {"color": INK}})
    figure.add_scatter(
        x=[row.middle for row in rows.values()],
        y=places,
        mode="markers",
        marker={"color": colour, "size": 12},
        customdata=[row.told for row in rows.values()],
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
    )
    add_line_at(figure, *nothing)
    figure.update_layout(
        margin={"l": 120, "r": 60, "t": 72, "b": 50}, xaxis=AXIS | dict(axis), yaxis=rows_axis(list(rows))
    )
    return figure


def add_line_at(figure: go.Figure, place: Number, name: str) -> None:
    """Draw a dashed line from top to bottom, with its name above it."""
    figure.add_vline(x=place, line={"color": QUIET, "width": 2, "dash": "dash"}, layer="below")
    figure.add_annotation(
        {"text": name, "x": place, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
        | {"font": {"color": INK, "size": 12}}
    )


def rows_axis(names: Sequence[str], *, are_markup: bool = False) -> dict[str, Any]:
    """Make the axis of rows, from top to bottom.

    Args:
        names: Their names.
        are_markup: Whether these hold HTML such as <b>.
    """
    texts = list(names) if are_markup else [as_plain_text(name) for name in names]
    places = list(range(len(texts)))
    return AXIS | {"tickvals": places, "ticktext": texts, "range": [len(places) - 0.4, -0.6], "automargin": True}


def broken_line(intervals: Iterable[tuple[Number, Number]], places: Iterable[Number], **line: Any) -> go.Scatter:
    """Draw many intervals as one line with gaps.

    Args:
        intervals: Ends of each.
        places: The row of each.
        **line: What the line looks like, as plotly calls it.
    """
    x: list[Number | None] = []
    y: list[Number | None] = []
    for ends, place in zip(intervals, places, strict=True):
        x += [*(round(end, 2) for end in ends), None]
        y += [place, place, None]
    return go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip")
