"""The walk from noise to a ranking as a plotly figure: all states are in it, so its slider needs no kernel."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.denoising import guesses, leading, relative_heights
from diffret_core.course.denoising_layout import HEIGHTS, denoising_layout, thumbnail_image
from diffret_core.course.layout import as_plain_text
from diffret_core.course.style import FAINT, INK, PAPER, PLACES, QUIET
from diffret_core.search import Search


def denoising_figure(
    found: Search, *, pictures: Mapping[str, str] | None = None, captions: Mapping[str, str] | None = None
) -> go.Figure:
    """Draw the state of every candidate at every visited noise level, under a slider from noise to answer.

    Above, at the level of the slider, a bar per candidate for its state and a diamond for the network's estimate of
    the answer; below, the estimates over all levels. Noise is on the left, the answer on the right, as on the slider.
    Heights are relative to the level: see `relative_heights`.

    Args:
        found: What a search gave.
        pictures: A small picture of each candidate as a data URI, by id.
        captions: What is said of each candidate when the pointer rests on it, by id.

    Returns:
        The figure; a sentence that describes it is `describe_denoising`.
    """
    leaders, heights, marks = leading(found), relative_heights(found.states), relative_heights(guesses(found))
    names = [as_plain_text((captions or {}).get(video, video)) for video in found.candidates]
    paths = _paths(found.levels, marks, leaders, names)
    figure = go.Figure(
        data=[_bars(heights[0], leaders, names), _diamonds(marks[0]), *paths, _cursor(found.levels[0])],
        layout=denoising_layout(found, marks[-1], leaders),
    )
    figure.frames = _frames(found.levels, heights, marks, cursor=len(figure.data) - 1)
    for column, video in enumerate(found.candidates):
        if video in (pictures or {}):
            figure.add_layout_image(thumbnail_image((pictures or {})[video], column))
    return figure


def _bars(heights: Float[Tensor, " N"], leaders: list[int], names: Sequence[str]) -> go.Bar:
    colours = [QUIET] * len(names)
    for place, column in zip(PLACES, leaders, strict=False):
        colours[column] = place.colour
    return go.Bar(
        x=list(range(1, len(names) + 1)),
        y=_numbers(heights),
        marker={"color": colours, "line": {"width": 0}},
        customdata=list(names),
        hovertemplate="candidate %{x}: %{customdata}<br>height %{y:.2f}<extra></extra>",
        showlegend=False,
    )


def _diamonds(marks: Float[Tensor, " N"]) -> go.Scatter:
    return go.Scatter(
        x=list(range(1, len(marks) + 1)),
        y=_numbers(marks),
        mode="markers",
        marker={"symbol": "diamond", "size": 8, "color": PAPER, "line": {"color": INK, "width": 1.3}},
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
    )


def _paths(
    levels: list[int], marks: Float[Tensor, "L N"], leaders: list[int], names: Sequence[str]
) -> list[go.Scatter]:
    """One line per candidate; leaders last, so that they lie on top, and named at their end."""
    styles = dict(zip(leaders, PLACES, strict=False))
    columns = [column for column in range(len(names)) if column not in styles] + leaders[::-1]
    lines = []
    for column in columns:
        place = styles.get(column)
        drawn = {"color": place.colour, "width": 3, "dash": place.dash} if place else {"color": FAINT, "width": 1}
        lines.append(
            go.Scatter(
                x=levels,
                y=_numbers(marks[:, column]),
                mode="lines",
                line=drawn,
                xaxis="x2",
                yaxis="y2",
                hoverinfo="skip" if place is None else None,
                hovertemplate=None if place is None else f"{names[column]}<br>level %{{x}}: %{{y:.2f}}<extra></extra>",
                showlegend=False,
            )
        )
    return lines


def _cursor(k: int) -> go.Scatter:
    return go.Scatter(
        x=[k, k],
        y=list(HEIGHTS),
        mode="lines",
        line={"color": INK, "width": 1.5},
        xaxis="x2",
        yaxis="y2",
        hoverinfo="skip",
        showlegend=False,
    )


def _frames(
    levels: list[int], heights: Float[Tensor, "L N"], marks: Float[Tensor, "L N"], *, cursor: int
) -> list[go.Frame]:
    """One frame per visited level: new heights for bars and diamonds, a new place for the cursor."""
    return [
        go.Frame(
            name=str(k),
            data=[go.Bar(y=_numbers(height)), go.Scatter(y=_numbers(mark)), go.Scatter(x=[k, k])],
            traces=[0, 1, cursor],
        )
        for k, height, mark in zip(levels, heights, marks, strict=True)
    ]


def _numbers(values: Float[Tensor, " n"]) -> list[float]:
    return [round(value, 3) for value in values.tolist()]
