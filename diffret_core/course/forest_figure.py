"""The forest plot: what every arm of the studies is worth in points, with its interval, and what is not known yet."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from diffret_core.config import Direction
from diffret_core.course.evidence import NOT_YET, Row
from diffret_core.course.intervals_figure import add_line_at, broken_line, rows_axis
from diffret_core.course.layout import AXIS, axis_title, base_layout, slider
from diffret_core.course.style import INK, PLACES, QUIET
from diffret_core.studies.effects import Effect

Effects = Mapping[Direction, Effect]
_ROW, _AROUND = 22, 190  # pixels


class _Look(NamedTuple):
    """How a direction is drawn: told apart by marker and place as well as by colour."""

    words: str
    colour: str
    symbol: str
    shift: float  # rows


_LOOKS: dict[Direction, _Look] = {
    "text_to_video": _Look("text to video", INK, "circle", -0.2),
    "video_to_text": _Look("video to text", PLACES[2].colour, "diamond-open", 0.2),
}


def forest_figure(rows: Sequence[Row], views: Mapping[str, Sequence[Effects]]) -> go.Figure:
    """Draw the effects of all rows under a slider over the views.

    Args:
        rows: Headings and arms, the first on top.
        views: What is said of each view -> both directions' effects of each row; what is not there is not known.
    """
    frames = [go.Frame(name=words, data=_traces(rows, effects)) for words, effects in views.items()]
    figure = go.Figure(list(frames[0].data), base_layout(_title(), height=_AROUND + _ROW * len(rows)), frames)
    add_line_at(figure, 0, "no difference")
    ends = [end for effects in views.values() for one in effects for each in one.values() for end in each[1:3]]
    figure.update_layout(
        margin={"l": 120, "r": 30, "t": 150, "b": 50},
        xaxis=AXIS | {"range": _range(ends), "title": axis_title("points of R@1"), "ticks": "outside"},
        yaxis=rows_axis([row.label for row in rows], are_markup=True),
        sliders=[slider(list(views), "") | {"y": 1, "yanchor": "bottom", "pad": {"b": 34}}],
        title_y=0.985,
        title_yanchor="top",
    )
    figure.update_yaxes(tickfont={"size": 12})
    return figure


def _title() -> str:
    legend = "&nbsp; &nbsp;".join(
        f'<span style="color:{look.colour}">{"●" if look.symbol == "circle" else "◇"} {look.words}</span>'
        for look in _LOOKS.values()
    )
    return f"<b>One thing changed at a time</b><br>{legend}"


def _traces(rows: Sequence[Row], effects: Sequence[Effects]) -> list[go.Scatter]:
    unknown = [place for place, row in enumerate(rows) if row.arm is not None and not effects[place]]
    traces = [
        go.Scatter(
            x=[0] * len(unknown),
            y=unknown,
            mode="text",
            text=[f"&nbsp;<i>{NOT_YET}</i>"] * len(unknown),
            textposition="middle right",
            textfont={"color": QUIET, "size": 11},
            hoverinfo="skip",
        )
    ]
    for direction, look in _LOOKS.items():
        known = [(place + look.shift, one[direction]) for place, one in enumerate(effects) if direction in one]
        places = [place for place, _ in known]
        traces.append(broken_line([one[1:3] for _, one in known], places, color=look.colour, width=2))
        traces.append(_seeds(known, look))
        traces.append(_dots(known, look))
    return traces


def _seeds(known: Sequence[tuple[float, Effect]], look: _Look) -> go.Scatter:
    """Mark each seed by a thin stroke."""
    strokes = [(round(points, 2), place) for place, one in known for points in one.of_seeds.values()]
    marker = {"symbol": "line-ns-open", "size": 7, "color": look.colour, "line": {"width": 1}}
    x, y = ([stroke[axis] for stroke in strokes] for axis in (0, 1))
    return go.Scatter(x=x, y=y, mode="markers", marker=marker, hoverinfo="skip")


def _dots(known: Sequence[tuple[float, Effect]], look: _Look) -> go.Scatter:
    return go.Scatter(
        x=[round(one.points, 2) for _, one in known],
        y=[place for place, _ in known],
        mode="markers",
        marker={"color": look.colour, "size": 8, "symbol": look.symbol, "line": {"width": 2}},
        customdata=[f"{look.words}: {one}, {_told_seeds(one)}: {one.verdict}" for _, one in known],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _told_seeds(one: Effect) -> str:
    return "1 seed" if len(one.of_seeds) == 1 else f"{len(one.of_seeds)} seeds"


def _range(ends: Sequence[float]) -> list[float]:
    low, high = min([-1.0, *ends]), max([1.0, *ends])
    room = 0.05 * (high - low)
    return [low - room, high + room]
