"""Risk and coverage: how often an answer is wrong among the queries that are answered at all, surest first."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.curves_figure import BEHIND_SAMPLE, line_sample
from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout, slider
from diffret_core.course.style import FAINT

NUM_POINTS = 60
_NAMES = (0.95, 0.07)
"""Height of the first name, and how far each next one lies below, as parts of the plot's height."""


class Look(NamedTuple):
    """How a curve is drawn: its colour, and its dash as plotly calls it."""

    colour: str
    dash: str


def risk_figure(
    risks: Mapping[str, Mapping[str, Float[Tensor, " Q"]]], looks: Mapping[str, Look], *, title: str
) -> go.Figure:
    """Draw the risk over the coverage, a curve for each score, under a slider over who asks.

    Args:
        risks: Who asks -> score -> the share of wrong answers among the 1, 2, ... Q surest queries.
        looks: How the curve of each score is drawn.
        title: What is drawn.
    """
    states = {name: [_curve(score, risk, looks[score]) for score, risk in own.items()] for name, own in risks.items()}
    figure = go.Figure(data=next(iter(states.values())), layout=base_layout(f"<b>{as_plain_text(title)}</b>"))
    figure.frames = [go.Frame(name=name, data=data) for name, data in states.items()]
    bottom = 0.26
    figure.update_layout(
        height=420,
        margin={"r": 190, "b": 30},
        sliders=[slider(list(states), "asked: ") | {"y": 0.06}],
        xaxis=AXIS | {"range": [0, 101], "title": axis_title("answered, in percent of the queries, surest first")},
        yaxis=AXIS
        | {"domain": [bottom, 1], "range": [0, 100], "title": axis_title("wrong, in percent")}
        | {"showgrid": True, "gridcolor": FAINT},
    )
    for place, score in enumerate(looks):
        height = bottom + (1 - bottom) * (_NAMES[0] - place * _NAMES[1] * 1.4)
        look = looks[score]
        figure.add_shape(line_sample(height, colour=look.colour, dash=look.dash, axis="paper"))
        figure.add_annotation(
            {"text": f"<b>{as_plain_text(score)}</b>", "x": 1, "y": height, "xref": "paper", "yref": "paper"}
            | {"showarrow": False, "xanchor": "left", "yanchor": "middle", "xshift": BEHIND_SAMPLE}
            | {"font": {"size": 13, "color": look.colour}}
        )
    return figure


def _curve(score: str, risk: Float[Tensor, " Q"], look: Look) -> go.Scatter:
    number = len(risk)
    places = _spread(number)
    return go.Scatter(
        x=[round(100 * (place + 1) / number, 1) for place in places],
        y=[round(100 * float(risk[place]), 1) for place in places],
        mode="lines",
        line={"color": look.colour, "dash": look.dash, "width": 3},
        hovertemplate=f"{as_plain_text(score)}<br>%{{x}} % answered: %{{y}} % wrong<extra></extra>",
    )


def _spread(number: int) -> Sequence[int]:
    """At most `NUM_POINTS` places up to the last; of the very first queries the risk is mere chance."""
    count = min(number, NUM_POINTS)
    return [round(number * place / count) - 1 for place in range(1, count + 1)]
