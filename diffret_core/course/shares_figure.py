"""How often something is right, in percent, with its interval, beside a coin toss."""

from collections.abc import Mapping
from typing import NamedTuple

import plotly.graph_objects as go
from jaxtyping import Bool
from torch import Tensor

from diffret_core.course.layout import AXIS, as_plain_text, base_layout
from diffret_core.course.style import INK, QUIET, SIMILARITY
from diffret_core.metrics import bootstrap_interval
from diffret_core.randomness import numpy_generator

COIN = 50.0


class Share(NamedTuple):
    """How often something is right, in percent.

    Attributes:
        percent: The share.
        low: Lower end of its 95 % bootstrap interval.
        high: Upper end.
    """

    percent: float
    low: float
    high: float

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"{in_short(self.percent)} % ({in_short(self.low)} to {in_short(self.high)})"


def in_short(percent: float) -> str:
    """Round to whole percent, but with a decimal between 99 and 100: only what is all right reads 100."""
    return f"{percent:.1f}" if 99 < percent < 100 else f"{percent:.0f}"


def share_right(right: Bool[Tensor, " R"]) -> Share:
    """Count how often something is right, with its interval.

    Args:
        right: Whether each of at least one independent trial is right.
    """
    ranks = 2 - right.long()  # of two things the right one is ranked 1st or 2nd
    return Share(100 * float(right.float().mean()), *bootstrap_interval(ranks, generator=numpy_generator(0, "shares")))


def shares_figure(title: str, shares: Mapping[str, Share]) -> go.Figure:
    """Draw a dot and an interval for each row, the first on top.

    Args:
        title: What is right how often.
        shares: Name of each row -> how often it is right.
    """
    rows = list(range(len(shares)))
    figure = go.Figure(layout=base_layout(f"<b>{as_plain_text(title)}</b>", height=150 + 34 * len(rows)))
    for row, share in zip(rows, shares.values(), strict=True):
        figure.add_scatter(
            x=[share.low, share.high], y=[row, row], mode="lines", line={"color": SIMILARITY, "width": 3}
        )
        note = {"x": share.high, "y": row, "text": f"<b>{in_short(share.percent)}</b>", "xanchor": "left", "xshift": 12}
        figure.add_annotation(note | {"showarrow": False, "font": {"color": INK}})
    figure.add_scatter(
        x=[share.percent for share in shares.values()],
        y=rows,
        mode="markers",
        marker={"color": SIMILARITY, "size": 12},
        customdata=[str(share) for share in shares.values()],
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
    )
    figure.update_traces(hoverinfo="skip", selector={"mode": "lines"})
    figure.add_vline(x=COIN, line={"color": QUIET, "width": 2, "dash": "dash"}, layer="below")
    figure.add_annotation(
        {"text": "coin toss", "x": COIN, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
        | {"font": {"color": INK, "size": 12}}
    )
    names = [as_plain_text(name) for name in shares]
    figure.update_layout(
        margin={"l": 120, "r": 60, "t": 72, "b": 50},
        xaxis=AXIS | {"range": [0, 104], "title": {"text": "right, in percent", "standoff": 4}, "dtick": 25},
        yaxis=AXIS | {"tickvals": rows, "ticktext": names, "range": [len(rows) - 0.4, -0.6], "automargin": True},
    )
    return figure
