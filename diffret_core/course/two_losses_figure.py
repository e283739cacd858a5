"""The divergence and the squared error on the same estimates: which way each pulls every candidate, and how hard."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.layout import AXIS, axis_title, base_layout, slider
from diffret_core.course.style import COMBINED, FAINT, GENERATED, INK, QUIET

Number = float | int
PANELS = ((0.0, 0.26), (0.37, 0.63), (0.74, 1.0))
LEADS = [place / 20 for place in range(-20, 21)]
"""How far the right candidate is ahead of the others, at the points of the curves."""


class Pulls(NamedTuple):
    """What two losses do to an estimate: minus their gradients, so that positive means up.

    Attributes:
        kl: Of the divergence.
        mse: Of the mean squared error.
    """

    kl: Float[Tensor, " N"]
    mse: Float[Tensor, " N"]


def pulls_of(x_0_hat: Float[Tensor, " N"], loss_scale: Number) -> Pulls:
    """Pull on each candidate of one query, of which candidate 0 is right; SPEC section 9.

    Args:
        x_0_hat: Estimate.
        loss_scale: Factor on it before the softmax of the divergence.
    """
    x_0 = torch.zeros_like(x_0_hat)
    x_0[0] = 1
    return Pulls(loss_scale * (x_0 - torch.softmax(loss_scale * x_0_hat, dim=0)), 2 * (x_0 - x_0_hat) / len(x_0))


def cases_figure(cases: Mapping[str, Float[Tensor, " N"]], loss_scale: Number) -> go.Figure:
    """Draw estimates and both pulls as bars, a case at a time under a slider.

    Args:
        cases: Estimate by the name of the case; candidate 0 is the right one.
        loss_scale: Of the divergence.
    """
    bars = {name: _case(x_0_hat, loss_scale) for name, x_0_hat in cases.items()}
    layout = base_layout("", height=370)
    titles = ("estimate", f"pull of the divergence (scale {loss_scale:g})", "pull of the squared error")
    shown = [(x_0_hat, *pulls_of(x_0_hat, loss_scale)) for x_0_hat in cases.values()]
    tops = [max(float(values.abs().max()) for values in column) for column in zip(*shown, strict=True)]
    for number, (domain, title, top) in enumerate(zip(PANELS, titles, tops, strict=True), start=1):
        end = "" if number == 1 else str(number)
        layout[f"xaxis{end}"] = {**AXIS, "domain": domain, "anchor": f"y{end}", "tickangle": 0}
        layout[f"yaxis{end}"] = {
            **AXIS,
            **{"domain": [0.22, 0.94], "anchor": f"x{end}", "range": [-1.25 * top, 1.25 * top], "nticks": 5},
            **{"zeroline": True, "zerolinecolor": QUIET},
        }
        layout.annotations += (_heading(title, domain[0]),)
    layout.update(margin={"l": 44, "r": 20, "t": 40, "b": 62}, sliders=[slider(list(cases), "")])
    figure = go.Figure(data=next(iter(bars.values())), layout=layout)
    figure.frames = [go.Frame(name=name, data=data) for name, data in bars.items()]
    return figure


def saturation_figure(num_candidates: int, scales: Sequence[Number]) -> go.Figure:
    """Draw how hard both losses pull up the right candidate, against its lead, under a slider over the loss scale.

    Each curve is divided by its own largest pull: the optimiser makes up for the size of a gradient, not for its shape.

    Args:
        num_candidates: N; all wrong candidates are equal, and an estimate has the mean of x_0, which is 1/N.
        scales: Values of the loss scale.
    """
    estimates = torch.tensor(
        [[_value(num_candidates, lead, place) for place in range(num_candidates)] for lead in LEADS]
    )
    fixed = _curve([float(pulls_of(one, 1).mse[0]) for one in estimates], INK, "dash")
    moving = {
        f"{scale:g}": _curve([float(pulls_of(one, scale).kl[0]) for one in estimates], GENERATED, "solid")
        for scale in scales
    }
    layout = base_layout("<b>Pull on the right candidate</b>, as a share of the largest", height=380)
    layout.update(
        margin={"l": 56, "r": 30, "t": 60, "b": 92},
        xaxis=AXIS | {"title": axis_title("its lead over the others in the estimate"), "nticks": 9},
        yaxis=AXIS | {"range": [-0.04, 1.1], "nticks": 5, "showgrid": True, "gridcolor": FAINT},
        shapes=[{"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "line": {"color": QUIET, "dash": "dot"}}],
        annotations=[
            _note("divergence", -0.55, 1.05, GENERATED),
            _note("squared error", -0.92, 0.72, INK),
        ],
        sliders=[slider(list(moving), "loss scale ") | {"y": -0.24}],
    )
    figure = go.Figure(data=[next(iter(moving.values())), fixed], layout=layout)
    figure.frames = [go.Frame(name=name, data=[line], traces=[0]) for name, line in moving.items()]
    return figure


def _value(num_candidates: int, lead: Number, place: int) -> float:
    """Estimate of a candidate: the first is ahead of the equal others by `lead`, and the mean is 1/N."""
    others = (1 - lead) / num_candidates
    return others + lead if place == 0 else others


def _curve(pulls: list[float], colour: str, dash: str) -> go.Scatter:
    return go.Scatter(
        x=LEADS,
        y=[round(pull / max(pulls), 4) for pull in pulls],
        mode="lines",
        line={"color": colour, "width": 3, "dash": dash},
        hovertemplate="lead %{x:.2f}: %{y:.2f}<extra></extra>",
    )


def _case(x_0_hat: Float[Tensor, " N"], loss_scale: Number) -> list[go.Bar]:
    names = ["right", *(f"wrong {number}" for number in range(1, len(x_0_hat)))]
    pulls = pulls_of(x_0_hat, loss_scale)
    return [_bars(values.tolist(), names, axis) for axis, values in enumerate((x_0_hat, *pulls), start=1)]


def _bars(values: list[float], names: list[str], axis: int) -> go.Bar:
    end = "" if axis == 1 else str(axis)
    return go.Bar(
        x=names,
        y=[round(value, 3) for value in values],
        xaxis=f"x{end}",
        yaxis=f"y{end}",
        marker={"color": [COMBINED, *[QUIET] * (len(values) - 1)]},  # the right one is green in all notebooks
        text=[_written(value, signed=axis > 1) for value in values],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
    )


def _written(value: float, *, signed: bool) -> str:
    written = f"{value:+.2f}" if signed else f"{value:.2f}"
    return "0" if abs(value) < 0.005 else written


def _heading(words: str, x: float) -> go.layout.Annotation:
    return go.layout.Annotation(
        text=f"<b>{words}</b>", xref="paper", yref="paper", x=x, y=1.06, xanchor="left", showarrow=False
    )


def _note(words: str, x: float, y: float, colour: str) -> dict:
    note = {"text": f"<b>{words}</b>", "x": x, "y": y, "xanchor": "left", "showarrow": False}
    return note | {"font": {"color": colour}}
