"""What the noised state does inside the denoiser's attention: two kinds of logits and the weights, level by level."""

from collections.abc import Sequence

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.layout import AXIS, axis_title, base_layout, slider
from diffret_core.course.style import COMBINED, FAINT, GENERATED, INK, PAPER, SIMILARITY

_HEIGHT = 620
PANELS = ((0.72, 1.0), (0.36, 0.64), (0.0, 0.28))
_TITLES = (
    "content logit: ⟨q, key⟩ minus its mean",
    "additive logit: x<sub>k</sub>, on the same scale",
    "weight w: softmax of their sum   (◇ without x<sub>k</sub>)",
)


def moved_weight(content: Float[Tensor, "*L N"], x_k: Float[Tensor, "*L N"]) -> Float[Tensor, "*L"]:
    """Say how much of the weight lies on other candidates because of x_k: 0 none, 1 all of it.

    Args:
        content: Products of query and keys.
        x_k: The noised state, which is added to them.
    """
    return (torch.softmax(content + x_k, dim=-1) - torch.softmax(content, dim=-1)).abs().sum(dim=-1) / 2


def additive_logit_figure(
    content: Float[Tensor, "L N"], x_k: Float[Tensor, "L N"], levels: Sequence[int], *, meant: int
) -> go.Figure:
    """Draw content logits, the state that is added to them, and the weights, under a slider over noise levels.

    Args:
        content: Products of the query with each candidate's key at each level.
        x_k: The noised state at each level.
        levels: Noise levels, from noise to data.
        meant: Which candidate is the right one.
    """
    centred = content - content.mean(dim=-1, keepdim=True)
    drawn = [_bars(*rows, meant) for rows in zip(centred, x_k, strict=True)]
    titles = [_title(*rows) for rows in zip(levels, centred, x_k, strict=True)]
    figure = go.Figure(drawn[0], _layout(centred, x_k, levels, meant).update(titles[0]))
    figure.frames = [
        go.Frame(name=str(k), data=bars, layout=title) for k, bars, title in zip(levels, drawn, titles, strict=True)
    ]
    return figure


def _bars(centred: Float[Tensor, " N"], state: Float[Tensor, " N"], meant: int) -> list:
    places = list(range(1, len(centred) + 1))
    weight, without = torch.softmax(centred + state, dim=-1), torch.softmax(centred, dim=-1)
    heights = {SIMILARITY: centred, GENERATED: state, INK: weight}
    bars = [
        go.Bar(
            x=places,
            y=_rounded(values),
            xaxis="x",
            yaxis="y" if number == 1 else f"y{number}",
            marker={"color": [COMBINED if place == meant + 1 else colour for place in places]}
            | {"line": {"width": [0] * len(places)}},
            hovertemplate="candidate %{x}: %{y:.3f}<extra></extra>",
        )
        for number, (colour, values) in enumerate(heights.items(), start=1)
    ]
    diamonds = {"symbol": "diamond", "size": 8, "color": PAPER, "line": {"color": INK, "width": 1.5}}
    alone = go.Scatter(x=places, y=_rounded(without), mode="markers", xaxis="x", yaxis="y3", marker=diamonds)
    alone.update(hovertemplate="without x_k: %{y:.3f}<extra></extra>", cliponaxis=False)
    return [*bars, alone]


def _rounded(values: Float[Tensor, " N"]) -> list[float]:
    return [round(value, 3) for value in values.tolist()]


def _title(k: int, centred: Float[Tensor, " N"], state: Float[Tensor, " N"]) -> dict:
    """What changes above the panels."""
    said = (
        f"Level {k}: spread of the content {centred.std():.2f}, of x<sub>k</sub> {state.std():.2f}; "
        f"x<sub>k</sub> moves {float(moved_weight(centred, state)):.0%} of the weight"
    )
    return {"title": {"text": f"<b>{said}</b>", "x": 0.02, "font": {"size": 14, "color": INK}}}


def _layout(centred: Float[Tensor, "L N"], x_k: Float[Tensor, "L N"], levels: Sequence[int], meant: int) -> go.Layout:
    both = torch.cat([centred, x_k])
    logits = [1.08 * float(both.min()), 1.08 * float(both.max())]
    highest = max(float(torch.softmax(one, dim=-1).max()) for one in (centred, centred + x_k))
    layout = base_layout("", height=_HEIGHT)
    ranges = (logits, logits, [0, 1.1 * highest])
    for number, (domain, words, ends) in enumerate(zip(PANELS, _TITLES, ranges, strict=True), start=1):
        axis = AXIS | {"domain": list(domain), "range": ends, "nticks": 5, "showgrid": True, "gridcolor": FAINT}
        layout[f"yaxis{'' if number == 1 else number}"] = axis | {"zeroline": number < 3, "zerolinecolor": INK}
        layout.annotations += (_note(words, domain[1]),)
    return layout.update(
        margin={"l": 48, "r": 16, "t": 76, "b": 108},
        bargap=0.3,
        xaxis=AXIS
        | {"anchor": "y3", "title": axis_title("candidate, the most similar on the left; ★ the one that is meant")}
        | {"ticks": "outside", "tickcolor": PAPER}  # numbers stay clear of diamonds at 0
        | {"range": [0.4, centred.shape[1] + 0.6], "tickvals": _ticks(centred.shape[1], meant)}
        | {
            "ticktext": [f"★{place}" if place == meant + 1 else str(place) for place in _ticks(centred.shape[1], meant)]
        },
        sliders=[slider([str(k) for k in levels], "noise level k = ") | {"y": -0.14}],
    )


def _ticks(num_candidates: int, meant: int) -> list[int]:
    """Every fourth candidate and the one that is meant, without its neighbours."""
    return sorted({meant + 1, *(place for place in range(1, num_candidates + 1, 4) if abs(place - meant - 1) > 1)})


def _note(words: str, y: float) -> go.layout.Annotation:
    return go.layout.Annotation(
        text=f"<b>{words}</b>", xref="paper", yref="paper", x=0, y=y, xanchor="left", yanchor="bottom", showarrow=False
    )
