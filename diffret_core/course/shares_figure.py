"""How often something is right, in percent, with its interval, beside a coin toss."""

from collections.abc import Sequence

import plotly.graph_objects as go

from diffret_core.course.layout import AXIS, as_plain_text, base_layout
from diffret_core.course.style import INK, QUIET, SIMILARITY

Interval = tuple[float, float]


def shares_figure(
    title: str, names: Sequence[str], shares: Sequence[float], intervals: Sequence[Interval], *, chance: float = 50.0
) -> go.Figure:
    """Draw a dot and an interval for each row, the first on top.

    Args:
        title: What is right how often.
        names: Name of each row.
        shares: How often it is right, in percent.
        intervals: Lower and upper end, in percent.
        chance: What guessing gives, in percent.

    Raises:
        ValueError: If the numbers of names, shares and intervals differ.
    """
    if not len(names) == len(shares) == len(intervals):
        raise ValueError(
            f"{len(names)} names, {len(shares)} shares, {len(intervals)} intervals; give one of each a row"
        )
    rows = list(range(len(names)))
    figure = go.Figure(layout=base_layout(f"<b>{as_plain_text(title)}</b>", height=150 + 34 * len(rows)))
    for row, (low, high) in zip(rows, intervals, strict=True):
        figure.add_scatter(
            x=[low, high], y=[row, row], mode="lines", line={"color": SIMILARITY, "width": 3}, hoverinfo="skip"
        )
    figure.add_scatter(
        x=list(shares),
        y=rows,
        mode="markers",
        marker={"color": SIMILARITY, "size": 12},
        customdata=[list(interval) for interval in intervals],
        hovertemplate="%{x:.1f} % (%{customdata[0]:.1f} to %{customdata[1]:.1f})<extra></extra>",
        cliponaxis=False,
    )
    for row, share, (_, high) in zip(rows, shares, intervals, strict=True):
        note = {"x": max(share, high), "y": row, "text": f"<b>{share:.0f}</b>", "xanchor": "left", "xshift": 12}
        figure.add_annotation(note | {"showarrow": False, "font": {"color": INK}})
    figure.add_vline(x=chance, line={"color": QUIET, "width": 2, "dash": "dash"}, layer="below")
    figure.add_annotation(
        {"text": "coin toss" if chance == 50 else "chance", "x": chance, "y": 1, "yref": "paper", "yanchor": "bottom"}
        | {"showarrow": False, "font": {"color": INK, "size": 12}}
    )
    figure.update_layout(
        margin={"l": 120, "r": 60, "t": 72, "b": 50},
        xaxis=AXIS | {"range": [0, 104], "title": {"text": "right, in percent", "standoff": 4}, "dtick": 25},
        yaxis=AXIS
        | {"tickvals": rows, "ticktext": [as_plain_text(name) for name in names], "range": [len(rows) - 0.4, -0.6]}
        | {"automargin": True},
    )
    return figure
