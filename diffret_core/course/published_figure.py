"""Published figures with the interval that their test allows, and what it would be with more queries."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from diffret_core.course.intervals_figure import broken_line, rows_axis
from diffret_core.course.layout import AXIS, axis_title, base_layout, slider
from diffret_core.course.style import INK, QUIET

Number = float | int
_HALF_WIDTH = 1.96  # standard errors on either side of a 95 % interval


def interval_of(recall: Number, num_queries: int) -> tuple[float, float]:
    """Give the 95 % interval of a recall in percent, by the normal approximation."""
    reach = _HALF_WIDTH * (recall * (100 - recall) / num_queries) ** 0.5
    return recall - reach, recall + reach


def published_figure(recalls: Mapping[str, Number], sizes: Sequence[int]) -> go.Figure:
    """Draw each figure and its interval, a row each, under a slider over the number of queries.

    Args:
        recalls: R@1 in percent, by whose it is; the first on top.
        sizes: Numbers of queries, first that of the test itself.
    """
    frames = [
        go.Frame(name=f"{size:,}", data=[_intervals(recalls, size)], traces=[0], layout={"title.text": _told(size)})
        for size in sizes
    ]
    figure = go.Figure([frames[0].data[0], _dots(recalls)], base_layout(_told(sizes[0]), height=360), frames)
    ends = [end for recall in recalls.values() for end in interval_of(recall, min(sizes))]
    figure.update_layout(
        margin={"l": 120, "r": 30, "t": 60, "b": 96},
        xaxis=AXIS | {"range": [min(ends) - 0.5, max(ends) + 0.5], "title": axis_title("R@1 in percent"), "nticks": 9},
        yaxis=rows_axis(list(recalls)),
        sliders=[slider([frame.name for frame in frames], "queries in the test: ") | {"y": -0.26}],
    )
    return figure


def _told(size: int) -> str:
    return f"<b>Published R@1 with the 95 % interval of {size:,} queries</b>"


def _intervals(recalls: Mapping[str, Number], size: int) -> go.Scatter:
    ends = [interval_of(recall, size) for recall in recalls.values()]
    return broken_line(ends, range(len(ends)), color=QUIET, width=5)


def _dots(recalls: Mapping[str, Number]) -> go.Scatter:
    return go.Scatter(
        x=list(recalls.values()),
        y=list(range(len(recalls))),
        mode="markers+text",
        marker={"color": INK, "size": 11, "symbol": "diamond"},
        text=[f"{recall:.1f}" for recall in recalls.values()],
        textposition="top center",
        cliponaxis=False,
        hoverinfo="skip",
    )
