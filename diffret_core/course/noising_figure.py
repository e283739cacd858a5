"""A distribution over candidates that emerges from noise, by two schedules side by side, under a slider over levels."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout, slider
from diffret_core.course.levels_figure import COSINE, LINEAR
from diffret_core.course.style import COMBINED, FAINT, INK, QUIET

_HEIGHT = 620
_PANELS = ((0.0, 0.475), (0.525, 1.0))
_BARS, _PICTURES, _KEPT = (0.55, 0.90), 0.505, (0.15, 0.39)  # parts of the height, from the bottom
_KEY = "green: the video that is meant   ▬: what is left of its 1   ▼: the highest bar"


class Mixture(NamedTuple):
    """A noised distribution.

    Attributes:
        x_k: State of each candidate.
        signal: Factor of x_0 in it.
        noise: Factor of epsilon in it.
    """

    x_k: Float[Tensor, " N"]
    signal: float
    noise: float


def mix(x_0: Float[Tensor, " N"], epsilon: Float[Tensor, " N"], kept: float) -> Mixture:
    """Noise x_0 so that `kept` of the signal's variance is left: sqrt(kept) x_0 + sqrt(1 - kept) epsilon."""
    signal, noise = kept**0.5, (1 - kept) ** 0.5
    return Mixture(signal * x_0 + noise * epsilon, signal, noise)


def noising_figure(
    x_0: Float[Tensor, " N"],
    epsilon: Float[Tensor, " N"],
    schedules: Mapping[str, Float[Tensor, " K1"]],
    *,
    pictures: Sequence[str] = (),
    captions: Sequence[str] = (),
    title: str = "",
) -> go.Figure:
    """Draw x_k of every candidate as bars, a panel per schedule, and below how much of the signal is left.

    One draw of noise serves all levels and both schedules.

    Args:
        x_0: The clean distribution; its largest entry is the candidate that is meant.
        epsilon: Standard normal noise.
        schedules: alpha_bar of two schedules by their names, both with the same K.
        pictures: A small picture of each candidate as a data URI.
        captions: What is said of each candidate when the pointer rests on it.
        title: Whose candidates they are.

    Raises:
        ValueError: If there are not two schedules of one length.
    """
    if len(schedules) != 2 or len({len(kept) for kept in schedules.values()}) != 1:
        raise ValueError(f"schedules of {[len(kept) for kept in schedules.values()]} entries; give two of one length")
    levels = list(range(len(next(iter(schedules.values()))) - 1, -1, -1))
    mixed = {k: [mix(x_0, epsilon, float(kept[k])) for kept in schedules.values()] for k in levels}
    own, reach = int(x_0.argmax()), round(max(float(epsilon.abs().max()), 1.0) + 0.6, 2)
    still = [_still(one, own, reach, captions, number) for number, one in enumerate(mixed[levels[0]], start=1)]
    lines = [_kept_line(kept, levels, look) for kept, look in zip(schedules.values(), (COSINE, LINEAR), strict=True)]
    figure = go.Figure(data=[*sum(still, []), *lines, _cursor(levels[0])], layout=_layout(schedules, title))
    moving = [*range(2 * len(still[0])), len(figure.data) - 1]
    figure.frames = [
        go.Frame(
            name=str(k), data=[*sum((_moved(one, own) for one in mixed[k]), []), go.Scatter(x=[k, k])], traces=moving
        )
        for k in levels
    ]
    figure.update_xaxes(range=[0.3, len(x_0) + 0.7], selector={"showticklabels": False})
    figure.update_yaxes(range=[-reach, reach], selector={"domain": _BARS})
    for number in (1, 2):
        for column, picture in enumerate(pictures):
            figure.add_layout_image(_picture(picture, column, f"x{number}"))
    return figure


def _still(mixture: Mixture, own: int, reach: float, captions: Sequence[str], number: int) -> list:
    """One panel: bars, what is left of the signal, the mark of the highest bar, and both factors."""
    places = list(range(1, len(mixture.x_k) + 1))
    axes = {"xaxis": f"x{number}", "yaxis": f"y{number}", "cliponaxis": False}
    mark = axes | {"mode": "markers", "hoverinfo": "skip"}
    bars, left, highest, words = _moved(mixture, own)
    return [
        bars.update(
            x=places,
            marker={"color": [COMBINED if place == own + 1 else QUIET for place in places]},
            customdata=[as_plain_text(caption) for caption in captions] or None,
            hovertemplate=("%{customdata}<br>" if captions else "") + "%{y:.2f}<extra></extra>",
            **axes,
        ),
        left.update(x=[own + 1], marker={"symbol": "line-ew", "size": 26, "line": {"width": 3, "color": INK}}, **mark),
        highest.update(marker={"symbol": "triangle-down", "size": 11, "color": INK}, **mark),
        words.update(
            x=[len(places) + 0.7],
            y=[reach],
            mode="text",
            textposition="top left",
            textfont={"size": 14, "color": INK},
            hoverinfo="skip",
            **axes,
        ),
    ]


def _moved(mixture: Mixture, own: int) -> list:
    """What changes in a panel from level to level."""
    first = int(mixture.x_k.argmax())
    above = max(float(mixture.x_k[first]), mixture.signal if first == own else 0.0) + 0.25  # clear of bar and mark
    return [
        go.Bar(y=[round(value, 3) for value in mixture.x_k.tolist()]),
        go.Scatter(y=[round(mixture.signal, 3)]),
        go.Scatter(x=[first + 1], y=[round(above, 3)]),
        go.Scatter(text=[f"{mixture.signal:.2f} <i>x</i><sub>0</sub> + {mixture.noise:.2f} ε"]),
    ]


def _kept_line(kept: Float[Tensor, " K1"], levels: list[int], look: tuple[str, str]) -> go.Scatter:
    return go.Scatter(
        x=levels,
        y=[round(float(kept[k]), 4) for k in levels],
        xaxis="x3",
        yaxis="y3",
        mode="lines",
        line={"color": look[0], "width": 3, "dash": look[1]},
        hovertemplate="level %{x}: %{y:.3f}<extra></extra>",
    )


def _cursor(k: int) -> go.Scatter:
    line = {"color": INK, "width": 1.5}
    return go.Scatter(x=[k, k], y=[-0.05, 1.05], xaxis="x3", yaxis="y3", mode="lines", line=line, hoverinfo="skip")


def _layout(schedules: Mapping[str, Float[Tensor, " K1"]], title: str) -> go.Layout:
    levels = list(range(len(next(iter(schedules.values()))) - 1, -1, -1))
    grid = {"showgrid": True, "gridcolor": FAINT}
    height = AXIS | grid | {"domain": _BARS, "zeroline": True, "zerolinecolor": QUIET, "tickvals": [-2, -1, 0, 1, 2]}
    ticks = sorted({round(levels[0] * part / 5) for part in range(6)})
    words = [
        *(
            _words(f"<b>{as_plain_text(name)}</b>", at[0], 0.91, "left")
            for name, at in zip(schedules, _PANELS, strict=True)
        ),
        _words("<b>noise</b>", 0.0, 0.405, "left"),
        _words("<b>data</b>", 1.0, 0.405, "right"),
    ]
    names = [_name(name, kept, above=not number) for number, (name, kept) in enumerate(schedules.items())]
    return base_layout(f"<b>{as_plain_text(title)}</b><br>{_KEY}", height=_HEIGHT).update(
        xaxis=AXIS | {"domain": _PANELS[0], "anchor": "y", "showticklabels": False},
        xaxis2=AXIS | {"domain": _PANELS[1], "anchor": "y2", "showticklabels": False},
        xaxis3=AXIS
        | {"range": [levels[0], 0], "anchor": "y3", "title": axis_title("noise level <i>k</i>")}
        | {"tickvals": ticks, "ticks": "outside", "tickcolor": QUIET},
        yaxis=height | {"anchor": "x"},
        yaxis2=height | {"anchor": "x2"},
        yaxis3=AXIS
        | grid
        | {"domain": _KEPT, "anchor": "x3", "range": [-0.05, 1.05], "tickvals": [0, 0.5, 1]}
        | {"title": axis_title("signal kept, ᾱ")},
        margin={"l": 56, "r": 24, "t": 56, "b": 30},
        bargap=0.25,
        annotations=[*words, *names],
        sliders=[slider([str(k) for k in levels], "noise level k = ") | {"y": 0.03}],
    )


def _words(text: str, x: float, y: float, side: str) -> dict:
    common = {"xref": "paper", "yref": "paper", "yanchor": "bottom", "showarrow": False}
    return common | {"text": text, "x": x, "y": y, "xanchor": side}


def _name(name: str, kept: Float[Tensor, " K1"], *, above: bool) -> dict:
    """The name of a schedule at half the height of its curve."""
    half = int((kept - 0.5).abs().argmin())
    side = ("right", "bottom", -6) if above else ("left", "top", 6)
    return (
        {"text": f"<b>{as_plain_text(name)}</b>", "x": half, "y": float(kept[half]), "xref": "x3", "yref": "y3"}
        | {"showarrow": False}
        | dict(zip(("xanchor", "yanchor", "xshift"), side, strict=True))
    )


def _picture(picture: str, column: int, axis: str) -> dict:
    return {
        "source": picture,
        "xref": axis,
        "yref": "paper",
        "x": column + 1,
        "y": _PICTURES,
        "sizex": 0.9,
        "sizey": 0.06,
        "xanchor": "center",
        "yanchor": "middle",
        "sizing": "contain",
        "layer": "above",
    }
