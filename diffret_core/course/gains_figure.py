"""What something gains, in points, with its interval, beside a line at nothing gained."""

from collections.abc import Mapping
from typing import NamedTuple

import plotly.graph_objects as go

from diffret_core.course.intervals_figure import OnRow, intervals_figure
from diffret_core.course.style import COMBINED


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
    ends = [0.0, *(gain.low for gain in gains.values()), *(gain.high for gain in gains.values())]
    room = 0.12 * ((max(ends) - min(ends)) or 1)
    return intervals_figure(
        title,
        {name: OnRow(*gain, label=f"{gain.points:+.1f}", told=str(gain)) for name, gain in gains.items()},
        colour=COMBINED,
        nothing=(0, "nothing gained"),
        axis={"range": [min(ends) - room, max(ends) + room], "title": {"text": across, "standoff": 4}},
    )
