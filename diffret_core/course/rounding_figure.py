"""Many small steps of one weight, in single and in half precision: what is left of them."""

from collections.abc import Sequence

import plotly.graph_objects as go
import torch

from diffret_core.course.layout import AXIS, axis_title, base_layout, slider
from diffret_core.course.style import FAINT, INK, PLACES

Number = float | int
_DRAWN = 41  # points of a curve


def walk(weight: Number, step: Number, num_steps: int, dtype: torch.dtype) -> list[float]:
    """Take a step from a weight again and again, rounding each time to the precision that it is kept in.

    Returns:
        The weight after 0 to `num_steps` steps.
    """
    value = torch.tensor(weight, dtype=dtype)
    values = [value.item()]
    for _ in range(num_steps):
        value = (value.double() + step).to(dtype)
        values.append(value.item())
    return values


def rounding_figure(weight: Number, steps: Sequence[Number], num_steps: int) -> go.Figure:
    """Draw how far a weight has come, as a share of all steps together, under a slider over the size of a step.

    Args:
        weight: Where it starts.
        steps: Sizes of a step.
        num_steps: How many are taken.
    """
    kinds = (
        (torch.float32, "single precision", INK, "solid"),
        (torch.float16, "half precision", PLACES[2].colour, "dash"),
    )
    frames = []
    for step in steps:
        paths = [_share(walk(weight, step, num_steps, kind[0]), step, num_steps) for kind in kinds]
        lines = [_line(path, num_steps, *kind[1:]) for path, kind in zip(paths, kinds, strict=True)]
        title = f"<b>{num_steps} steps of {step:g}</b>: half precision has gone {paths[1][-1]:.0%} of the way"
        frames.append(go.Frame(name=f"{step:g}", data=lines, layout={"title.text": title}))
    figure = go.Figure(frames[0].data, base_layout(frames[0].layout.title.text, height=380), frames)
    figure.update_layout(
        margin={"l": 60, "r": 30, "t": 84, "b": 96},
        xaxis=AXIS | {"title": axis_title("steps taken"), "range": [0, num_steps], "nticks": 6},
        yaxis=AXIS
        | {"range": [-0.06, 2.1], "tickvals": [0, 0.5, 1, 1.5, 2], "tickformat": ".0%"}
        | {"showgrid": True, "gridcolor": FAINT},
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}},
        sliders=[slider([frame.name for frame in frames], "size of a step ") | {"y": -0.24}],
    )
    return figure


def _share(values: Sequence[float], step: Number, num_steps: int) -> list[float]:
    return [(value - values[0]) / (num_steps * step) for value in values]


def _line(shares: Sequence[float], num_steps: int, name: str, colour: str, dash: str) -> go.Scatter:
    places = [round(place * num_steps / (_DRAWN - 1)) for place in range(_DRAWN)]
    return go.Scatter(
        x=places,
        y=[round(shares[place], 4) for place in places],
        name=name,
        mode="lines",
        line={"color": colour, "width": 3, "dash": dash},
        hoverinfo="skip",
    )
