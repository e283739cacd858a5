"""The loss of a denoiser by noise level, on its own training queries and on unseen ones: live, then under a slider."""

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple

import plotly.graph_objects as go
from IPython.display import HTML, display

from diffret_core.course.layout import AXIS, axis_title, base_layout, slider
from diffret_core.course.style import FAINT, GENERATED, INK, PAPER, QUIET

PIXELS_PER_UNIT = 50
MOST_PIXELS = 420
TICKS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
BANDS, COURSE = (0.0, 0.52), (0.66, 1.0)
"""Where both parts of the figure lie, as fractions of its width."""


class LevelLoss(NamedTuple):
    """The loss after some steps, a number for each band of noise levels, least noise first.

    Attributes:
        step: How many steps were taken.
        own: On queries that are trained on.
        unseen: On queries that are not.
    """

    step: int
    own: list[float]
    unseen: list[float]


def watch(bands: Sequence[str]) -> Callable[[LevelLoss], None]:
    """Make a function that shows the newest losses in place of those before.

    Args:
        bands: Name of each band, least noise first.
    """
    shown: Any = None

    def update(one: LevelLoss) -> None:
        nonlocal shown
        content = HTML(live_html(one, bands))
        if shown is None:
            shown = display(content, display_id=True)
        else:
            shown.update(content)

    return update


def live_html(one: LevelLoss, bands: Sequence[str]) -> str:
    """Show the loss on unseen queries as bars of HTML, most noise first, which need no script."""
    rows = [
        f'<tr><td style="text-align:right">levels {escape(band)}</td><td style="text-align:left">'
        f'<div style="display:inline-block; height:14px; background:{GENERATED}; width:{_pixels(loss)}px"></div> '
        f"{loss:.2f}</td></tr>"
        for band, loss in reversed(list(zip(bands, one.unseen, strict=True)))
    ]
    means = f"mean loss {_mean(one.unseen):.2f} on validation, {_mean(one.own):.2f} on its own training queries"
    words = f"step {one.step}: {means} (sample collection)"
    return (
        f'<div style="background:{PAPER}; color:{INK}; padding:8px"><table>{"".join(rows)}</table>'
        f'<p style="font-size:13px"><i>{words}</i></p></div>'
    )


def loss_by_level_figure(
    snapshots: Sequence[LevelLoss], bands: Sequence[str], *, nothing: float, reference: Sequence[float]
) -> go.Figure:
    """Draw the loss by band under a slider over the steps, beside it its mean over the whole run.

    Args:
        snapshots: In the order of their steps.
        bands: Name of each band, least noise first; they are drawn from noise to data.
        nothing: What an estimate costs in which all candidates are equal.
        reference: Loss of another model in each band on the unseen queries.
    """
    names = list(reversed(bands))
    steps = [one.step for one in snapshots]
    fixed = [_in_bands(reference, names, "#7b8189", "dashdot", "the course's, validation")]
    course = [
        _over_steps(steps, [_mean(getattr(one, part)) for one in snapshots], colour, dash)
        for part, colour, dash in (("unseen", GENERATED, "solid"), ("own", INK, "dash"))
    ]
    figure = go.Figure(data=[*_moving(snapshots[0], names), *fixed, *course])
    figure.frames = [go.Frame(name=str(one.step), data=_moving(one, names), traces=[0, 1, 2]) for one in snapshots]
    figure.update_layout(_layout(snapshots, names, [nothing, *reference]))
    return figure


def _pixels(loss: float) -> int:
    return round(min(MOST_PIXELS, PIXELS_PER_UNIT * loss))


def _mean(losses: Sequence[float]) -> float:
    return sum(losses) / len(losses)


def _moving(one: LevelLoss, names: list[str]) -> list[go.Scatter]:
    mark = go.Scatter(
        x=[one.step],
        y=[round(_mean(one.unseen), 3)],
        xaxis="x2",
        yaxis="y2",
        mode="markers",
        marker={"size": 11, "color": PAPER, "line": {"color": INK, "width": 2}},
        cliponaxis=False,
        showlegend=False,
        hoverinfo="skip",
    )
    return [
        _in_bands(one.unseen, names, GENERATED, "solid", "validation"),
        _in_bands(one.own, names, INK, "dash", "its own training queries"),
        mark,
    ]


def _in_bands(losses: Sequence[float], names: list[str], colour: str, dash: str, name: str) -> go.Scatter:
    return go.Scatter(
        x=names,
        y=[round(loss, 3) for loss in reversed(losses)],
        name=name,
        mode="lines+markers",
        line={"color": colour, "dash": dash, "width": 3},
        marker={"size": 8},
        cliponaxis=False,
        hovertemplate=f"{name}, levels %{{x}}: %{{y:.2f}}<extra></extra>",
    )


def _over_steps(steps: list[int], losses: list[float], colour: str, dash: str) -> go.Scatter:
    return go.Scatter(
        x=steps,
        y=[round(loss, 3) for loss in losses],
        xaxis="x2",
        yaxis="y2",
        mode="lines",
        showlegend=False,
        line={"color": colour, "dash": dash, "width": 2.5},
        hovertemplate="step %{x}: %{y:.2f}<extra></extra>",
    )


def _layout(snapshots: Sequence[LevelLoss], names: list[str], fixed: list[float]) -> go.Layout:
    nothing = fixed[0]
    heights = [*fixed, *(loss for one in snapshots for loss in (*one.own, *one.unseen))]
    ends = [math.log10(0.7 * min(heights)), math.log10(1.3 * max(heights))]
    last = snapshots[-1].step
    layout = base_layout("", height=430)
    across = AXIS | {"type": "category", "range": [-0.3, len(names) - 0.7], "domain": BANDS}
    up = AXIS | {"type": "log", "range": ends, "tickvals": TICKS, "showgrid": True, "gridcolor": FAINT}
    return layout.update(
        margin={"l": 48, "r": 24, "t": 78, "b": 64},
        xaxis=across | {"title": axis_title("noise level k, from noise to data")},
        yaxis=up | {"domain": [0.22, 1]},
        xaxis2=AXIS
        | {"domain": COURSE, "anchor": "y2", "range": [-0.03 * last, 1.05 * last], "nticks": 4}
        | {"title": axis_title("step")},
        yaxis2=up | {"domain": [0.22, 1], "anchor": "x2"},
        shapes=[_level_line(nothing, "x domain", "y"), _level_line(nothing, "x2 domain", "y2")],
        annotations=[
            _words("<b>loss by noise level</b>", 0.0, 1.2),
            _words("<b>mean over all levels</b>", COURSE[0], 1.2),
            {
                "text": "all equal: ln N",
                "x": 1,
                "xref": "x2 domain",
                "y": math.log10(nothing),
                "yref": "y2",
                "showarrow": False,
            }
            | {"xanchor": "right", "yanchor": "bottom", "font": {"size": 12}},
        ],
        sliders=[slider([str(one.step) for one in snapshots], "step ")],
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
    )


def _level_line(height: float, across: str, up: str) -> dict:
    line = {"color": QUIET, "dash": "dot", "width": 1.5}
    return {"type": "line", "xref": across, "yref": up, "x0": 0, "x1": 1, "y0": height, "y1": height, "line": line}


def _words(text: str, x: float, y: float) -> dict:
    place = {"x": x, "y": y, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "middle"}
    return place | {"text": text, "showarrow": False}
