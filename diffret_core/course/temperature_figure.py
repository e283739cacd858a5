"""What the temperature does to one row of similarities: probabilities, and who is pushed how hard."""

from collections.abc import Sequence

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.layout import AXIS, base_layout, slider
from diffret_core.course.style import COMBINED, GENERATED, QUIET, SIMILARITY

Number = float | int
PANELS = ((0.0, 0.28), (0.36, 0.64), (0.72, 1.0))


def temperature_figure(
    row: Float[Tensor, " V"], positive: int, scales: Sequence[Number], names: Sequence[str]
) -> go.Figure:
    """Draw a row of similarities, its probabilities, and the share of the push that each wrong candidate gets.

    Args:
        row: Similarities of one query.
        positive: Which candidate is the right one.
        scales: Values of logit_scale to choose from.
        names: What is written below each candidate.
    """
    hardest = int(row.masked_fill(torch.arange(len(row)) == positive, -torch.inf).argmax())
    colours = [QUIET] * len(row)
    colours[positive], colours[hardest] = COMBINED, GENERATED
    figure = go.Figure(
        data=[_bars(row.tolist(), names, [SIMILARITY] * len(row), 1), *_both(row, positive, scales[0], names, colours)],
        layout=_layout(scales, names),
    )
    figure.frames = [
        go.Frame(name=f"{scale:g}", data=_both(row, positive, scale, names, colours), traces=[1, 2]) for scale in scales
    ]
    return figure


def shares_of_push(row: Float[Tensor, " V"], positive: int, scale: Number) -> Float[Tensor, " V"]:
    """Give the part of the gradient on wrong candidates that each of them gets; the right one is pulled and gets 0."""
    wrong = torch.softmax(scale * row, dim=0).clone()
    wrong[positive] = 0
    return wrong / wrong.sum()


def _both(
    row: Float[Tensor, " V"], positive: int, scale: Number, names: Sequence[str], colours: list[str]
) -> list[go.Bar]:
    heights = (torch.softmax(scale * row, dim=0), shares_of_push(row, positive, scale))
    return [_bars(height.tolist(), names, colours, axis) for axis, height in zip((2, 3), heights, strict=True)]


def _bars(heights: list[float], names: Sequence[str], colours: list[str], axis: int) -> go.Bar:
    number = "" if axis == 1 else str(axis)
    return go.Bar(
        x=list(names),
        y=[round(height, 4) for height in heights],
        xaxis=f"x{number}",
        yaxis=f"y{number}",
        marker={"color": colours},
        text=[f"{height:.2f}" for height in heights],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
    )


def _layout(scales: Sequence[Number], names: Sequence[str]) -> go.Layout:
    layout = base_layout("", height=380)
    titles = ("similarity", "probability", "share of the push away")
    for number, (domain, title) in enumerate(zip(PANELS, titles, strict=True), start=1):
        end = "" if number == 1 else str(number)
        layout[f"xaxis{end}"] = {
            **AXIS,
            "domain": domain,
            "anchor": f"y{end}",
            "tickangle": 0,
            "tickfont": {"size": 11},
        }
        layout[f"yaxis{end}"] = {**AXIS, "domain": [0.2, 1], "anchor": f"x{end}", "range": [0, 1.1], "nticks": 3}
        layout.annotations += (_title(title, domain[0]),)
    return layout.update(
        margin={"l": 40, "r": 20, "t": 56, "b": 60},
        sliders=[slider([f"{scale:g}" for scale in scales], "logit_scale ")],
    )


def _title(words: str, x: float) -> go.layout.Annotation:
    return go.layout.Annotation(
        text=f"<b>{words}</b>", xref="paper", yref="paper", x=x, y=1.14, xanchor="left", showarrow=False
    )
