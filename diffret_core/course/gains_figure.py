"""What something gains, in points, with its interval, beside a line at nothing gained."""

from collections.abc import Mapping
from typing import NamedTuple

import plotly.graph_objects as go

from diffret_core.course.layout import AXIS, as_plain_text, base_layout
from diffret_core.course.style import COMBINED, INK, QUIET


class Gain(NamedTuple):
    """A difference in points.

    Attributes:
        points: How large it is.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    points: float
    low: float
    high: float

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"{self.points:+.1f} ({self.low:.1f} to {self.high:.1f})"


def gains_figure(title: str, gains: Mapping[str, Gain], *, across: str) -> go.Figure:
    """Draw a dot and an interval for each row, the first on top.

    Args:
        title: What is gained.
        gains: Name of each row -> its gain.
        across: What the axis counts.
    """
    rows = list(range(len(gains)))
    figure = go.Figure(layout=base_layout(f"<b>{as_plain_text(title)}</b>", height=150 + 34 * len(rows)))
    for row, gain in zip(rows, gains.values(), strict=True):
        figure.add_scatter(x=[gain.low, gain.high], y=[row, row], mode="lines", line={"color": COMBINED, "width": 3})
        note = {"x": gain.high, "y": row, "text": f"<b>{gain.points:+.1f}</b>", "xanchor": "left", "xshift": 10}
        figure.add_annotation(note | {"showarrow": False, "font": {"color": INK}})
    figure.update_traces(hoverinfo="skip")
    figure.add_scatter(
        x=[gain.points for gain in gains.values()],
        y=rows,
        mode="markers",
        marker={"color": COMBINED, "size": 12},
        customdata=[str(gain) for gain in gains.values()],
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
    )
    figure.add_vline(x=0, line={"color": QUIET, "width": 2, "dash": "dash"}, layer="below")
    figure.add_annotation(
        {"text": "nothing gained", "x": 0, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
        | {"font": {"color": INK, "size": 12}}
    )
    names = [as_plain_text(name) for name in gains]
    ends = [0.0, *(gain.low for gain in gains.values()), *(gain.high for gain in gains.values())]
    room = 0.12 * ((max(ends) - min(ends)) or 1)
    figure.update_layout(
        margin={"l": 120, "r": 60, "t": 72, "b": 50},
        xaxis=AXIS | {"range": [min(ends) - room, max(ends) + room], "title": {"text": across, "standoff": 4}},
        yaxis=AXIS | {"tickvals": rows, "ticktext": names, "range": [len(rows) - 0.4, -0.6], "automargin": True},
    )
    return figure
