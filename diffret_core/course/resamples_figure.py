"""What R@1 might have been with other queries: resampled values as a histogram, for few and for many queries."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from diffret_core.course.layout import AXIS, axis_title, base_layout, slider
from diffret_core.course.style import FAINT, INK, SIMILARITY

Number = float | int
_HEIGHT = 340
_TAILS = (2.5, 97.5)


def resamples_figure(resampled: Mapping[int, Float[np.ndarray, " R"]], measured: Mapping[int, Number]) -> go.Figure:
    """Draw the spread of resampled R@1 under a slider over the number of queries.

    Args:
        resampled: R@1 of each resample, in percent, by number of queries.
        measured: R@1 of the queries themselves.
    """
    edges = np.arange(-1.0, 102, 2)  # two points wide, around even numbers: fifty queries give only those
    spread = np.concatenate(list(resampled.values()))
    seen = [float(spread.min()) - 3, float(spread.max()) + 3]
    names = [f"{number:,} queries" for number in resampled]
    frames = [
        go.Frame(
            name=name,
            data=[_bars(values, edges), *_interval(values, measured[number])],
            layout={"title": {"text": _told(number, values, measured[number]), "font": {"size": 14, "color": INK}}},
        )
        for name, (number, values) in zip(names, resampled.items(), strict=True)
    ]
    figure = go.Figure(frames[0].data, base_layout(frames[0].layout.title.text, height=_HEIGHT), frames)
    figure.update_layout(
        margin={"b": 100},
        bargap=0.05,
        xaxis=AXIS | {"range": seen, "title": axis_title("R@1 in percent"), "ticks": "outside"},
        yaxis=AXIS | {"range": [-0.1, 1.05], "showticklabels": False, "title": axis_title("how often")},
        sliders=[slider(names, "") | {"y": -0.42}],
    )
    return figure


def interval(values: Float[np.ndarray, " R"]) -> tuple[float, float]:
    """Ends of the middle 95 % of resampled values."""
    low, high = np.percentile(values, _TAILS)
    return float(low), float(high)


def _told(number: int, values: Float[np.ndarray, " R"], measured: Number) -> str:
    low, high = interval(values)
    return f"<b>{number:,} queries: R@1 {measured:.1f} %, 95 % interval {low:.1f} to {high:.1f}</b>"


def _heights(values: Float[np.ndarray, " R"], edges: Float[np.ndarray, " E"]) -> np.ndarray:
    """How often values fall between two edges, 1 for the most frequent."""
    counts = np.histogram(values, edges)[0]
    return counts / counts.max()


def _bars(values: Float[np.ndarray, " R"], edges: Float[np.ndarray, " E"]) -> go.Bar:
    return go.Bar(
        x=(edges[:-1] + 1).tolist(),
        y=_heights(values, edges).round(3).tolist(),
        marker={"color": FAINT},
        hoverinfo="skip",
    )


def _interval(values: Float[np.ndarray, " R"], measured: Number) -> list[go.Scatter]:
    """The interval as a line below the bars, what was measured as a point on it."""
    low, high = interval(values)
    line = {"color": SIMILARITY, "width": 5}
    return [
        go.Scatter(x=[low, high], y=[0, 0], mode="lines", line=line, hoverinfo="skip"),
        go.Scatter(
            x=[measured],
            y=[0],
            mode="markers",
            marker={"size": 11, "color": INK, "symbol": "diamond"},
            hoverinfo="skip",
        ),
    ]
