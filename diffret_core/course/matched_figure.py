"""Scores of matched and of unmatched queries as histograms: a slider over the scores, a menu over the kinds."""

from collections.abc import Mapping
from typing import NamedTuple

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout, slider
from diffret_core.course.style import COMBINED, FAINT, GENERATED, INK
from diffret_core.detection import auroc, false_positive_rate, threshold_at_recall

NUM_BINS = 30
_HEIGHT = 470


class Scored(NamedTuple):
    """One score of all queries.

    Attributes:
        matched: Of the matched queries.
        unmatched: Of the others, by kind.
    """

    matched: Float[Tensor, " M"]
    unmatched: Mapping[str, Float[Tensor, " U"]]


def matched_figure(scores: Mapping[str, Scored], *, title: str) -> go.Figure:
    """Draw shares of matched queries upwards and of unmatched ones downwards, with the threshold at 95 % recall.

    Args:
        scores: By their names, all with the same kinds.
        title: What is drawn.
    """
    states = {name: _state(name, scored) for name, scored in scores.items()}
    first = next(iter(states.values()))
    figure = go.Figure(data=first.data, layout=base_layout(f"<b>{as_plain_text(title)}</b>"), frames=[*states.values()])
    kinds = list(next(iter(scores.values())).unmatched)
    for trace in figure.data[2:]:
        trace.visible = trace.name == kinds[0]
    shown = {kind: [True, True, *(trace.name == kind for trace in figure.data[2:])] for kind in kinds}
    buttons = [{"label": kind, "method": "restyle", "args": [{"visible": visible}]} for kind, visible in shown.items()]
    menu = {"buttons": buttons, "direction": "down", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}
    figure.update_layout(
        height=_HEIGHT,
        margin={"l": 64, "r": 20, "t": 104, "b": 30},
        barmode="overlay",
        updatemenus=[menu | {"bgcolor": FAINT, "font": {"size": 13}, "pad": {"b": 6}}],
        sliders=[slider(list(states), "score: ") | {"y": 0.06}],
        xaxis=AXIS | {"title": axis_title("on the map  ←  score  →  off the map"), "autorange": True},
        yaxis=AXIS | {"domain": [0.24, 1], "title": axis_title("share of the queries")},
    )
    figure.update_layout(first.layout)
    return figure


def _state(name: str, scored: Scored) -> go.Frame:
    """Matched bars and the threshold, then bars and words for each kind; and how high the bars go."""
    everything = torch.cat([scored.matched, *scored.unmatched.values()])
    edges = torch.linspace(float(everything.min()), float(everything.max()), NUM_BINS + 1)
    shares = {kind: _shares(values, edges) for kind, values in {"matched": scored.matched, **scored.unmatched}.items()}
    highest = max(float(one.max()) for one in shares.values())
    threshold = threshold_at_recall(scored.matched)
    line = go.Scatter(
        x=[threshold, threshold],
        y=[-1.05 * highest, 1.05 * highest],
        mode="lines",
        line={"color": INK, "dash": "dash", "width": 2},
        hoverinfo="skip",
    )
    traces: list[go.Bar | go.Scatter] = [_bars("matched", shares["matched"], edges, COMBINED), line]
    for kind in scored.unmatched:
        traces.append(_bars(kind, -shares[kind], edges, GENERATED))
        traces.append(_words(kind, scored, left=float(edges[0]), height=1.18 * highest))
    tick = round(highest, 2)
    ticks = {"tickvals": [-tick, 0, tick], "ticktext": [f"{100 * tick:.0f} %", "0", f"{100 * tick:.0f} %"]}
    return go.Frame(name=name, data=traces, layout={"yaxis": {"range": [-1.3 * highest, 1.3 * highest], **ticks}})


def _words(kind: str, scored: Scored, *, left: float, height: float) -> go.Scatter:
    """Say above and below how many there are, and how well they are told apart."""
    values = scored.unmatched[kind]
    area, passing = auroc(scored.matched, values), 100 * false_positive_rate(scored.matched, values)
    told = f"<b>{as_plain_text(kind)}</b> ({len(values)}): <b>AUROC {area:.2f}</b>; {passing:.0f} of 100 pass"
    return go.Scatter(
        x=[left, left],
        y=[height, -height],
        mode="text",
        name=kind,
        text=[f"<b>matched</b> ({len(scored.matched)})", told],
        textposition="middle right",
        textfont={"size": 13, "color": [COMBINED, GENERATED]},
        hoverinfo="skip",
    )


def _shares(values: Float[Tensor, " Q"], edges: Float[Tensor, " E"]) -> Float[Tensor, " bins"]:
    return torch.bucketize(values.contiguous(), edges[1:-1]).bincount(minlength=NUM_BINS) / len(values)


def _bars(name: str, heights: Float[Tensor, " bins"], edges: Float[Tensor, " E"], colour: str) -> go.Bar:
    width = float(edges[1] - edges[0])
    return go.Bar(
        x0=float(edges[0]) + width / 2,  # where they begin and how far they go takes less room than a place for each
        dx=width,
        y=[round(height, 4) for height in heights.tolist()],
        width=width,
        name=name,
        marker={"color": colour, "pattern": {"shape": "" if name == "matched" else "/", "solidity": 0.4}},
        hoverinfo="skip",
    )
