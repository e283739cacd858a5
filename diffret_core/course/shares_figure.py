"""How often something is right, in percent, with its interval, beside a coin toss."""

from collections.abc import Mapping
from typing import NamedTuple

import plotly.graph_objects as go
from jaxtyping import Bool
from torch import Tensor

from diffret_core.course.intervals_figure import OnRow, intervals_figure
from diffret_core.course.style import SIMILARITY
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
    return intervals_figure(
        title,
        {name: OnRow(*share, label=in_short(share.percent), told=str(share)) for name, share in shares.items()},
        colour=SIMILARITY,
        nothing=(COIN, "coin toss"),
        axis={"range": [0, 104], "title": {"text": "right, in percent", "standoff": 4}, "dtick": 25},
    )
