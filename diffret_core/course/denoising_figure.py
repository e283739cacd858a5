"""The walk from noise to a ranking as a plotly figure: all states are in it, so its slider needs no kernel."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.denoising import KEY, guesses, headline, leading, relative_heights
from diffret_core.course.style import FAINT, FONT, INK, PAPER, PLACES, QUIET
from diffret_core.search import Search

HEIGHT = 600
HEIGHTS = (-0.06, 1.18)  # with room for a label on the highest bar
_BARS, _THUMBNAILS, _PATHS = (0.60, 1.0), 0.545, (0.13, 0.43)  # parts of the height, from the bottom
_MARGIN = {"l": 64, "r": 60, "t": 64, "b": 30}


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
    names = [_plain((captions or {}).get(video, video)) for video in found.candidates]
    paths = _paths(found.levels, marks, leaders, names)
    figure = go.Figure(
        data=[_bars(heights[0], leaders, names), _diamonds(marks[0]), *paths, _cursor(found.levels[0])],
        layout=_layout(found, marks[-1], leaders),
    )
    figure.frames = _frames(found.levels, heights, marks, cursor=len(figure.data) - 1)
    for column, video in enumerate(found.candidates):
        if video in (pictures or {}):
            figure.add_layout_image(_thumbnail((pictures or {})[video], column))
    return figure


def _bars(heights: Float[Tensor, " N"], leaders: list[int], names: Sequence[str]) -> go.Bar:
    num_candidates = len(names)
    colours, labels = [QUIET] * num_candidates, [""] * num_candidates
    for place, column in zip(PLACES, leaders, strict=False):
        colours[column], labels[column] = place.colour, f"<b>{place.label}</b>"
    return go.Bar(
        x=list(range(1, num_candidates + 1)),
        y=_numbers(heights),
        marker={"color": colours, "line": {"width": 0}},
        text=labels,
        textposition="outside",
        textfont={"size": 13, "color": INK},
        constraintext="none",
        cliponaxis=False,
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
            name=str(k), data=[{"y": _numbers(height)}, {"y": _numbers(mark)}, {"x": [k, k]}], traces=[0, 1, cursor]
        )
        for k, height, mark in zip(levels, heights, marks, strict=True)
    ]


def _layout(found: Search, last: Float[Tensor, " N"], leaders: list[int]) -> go.Layout:
    num_candidates, largest = len(found.candidates), found.levels[0]
    axis = {"showgrid": False, "zeroline": False, "color": INK, "fixedrange": True}
    value_axis = axis | {"range": list(HEIGHTS), "zeroline": True, "zerolinecolor": QUIET}
    value_axis |= {"tickvals": [0, 1], "ticktext": ["lowest", "highest"]}
    return go.Layout(
        template="none",
        height=HEIGHT,
        margin=_MARGIN,
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        font={"family": FONT, "size": 13, "color": INK},
        title={"text": f"<b>{_plain(headline(found))}</b><br>{KEY}", "x": 0.02, "font": {"size": 14}},
        xaxis=axis | {"range": [0.3, num_candidates + 0.7], "showticklabels": False, "anchor": "y"},
        yaxis=value_axis | {"domain": _BARS},
        xaxis2=axis
        | {"range": [largest, 0], "anchor": "y2", "title": {"text": "noise level <i>k</i>", "standoff": 6}}
        | {"tickvals": _ticks(largest), "ticks": "outside", "tickcolor": QUIET},
        yaxis2=value_axis | {"domain": _PATHS},
        annotations=[*_notes(num_candidates), *_line_ends(last, leaders)],
        sliders=[_slider(found.levels)],
        updatemenus=[_buttons()],
        bargap=0.25,
        hovermode="closest",
    )


def _notes(num_candidates: int) -> list[dict]:
    """The words between the two parts, and the two ends of the walk."""
    common = {"showarrow": False, "xref": "paper", "yref": "paper", "font": {"size": 12, "color": INK}}
    between = f"{num_candidates} candidates, the most similar to the sentence on the left"
    below = "◇ over all levels"
    return [
        common | {"text": between, "x": 0.5, "y": 0.475, "xanchor": "center", "yanchor": "bottom"},
        common | {"text": below, "x": 0.5, "y": 0.435, "xanchor": "center", "yanchor": "bottom"},
        common | {"text": "<b>noise</b>", "x": 0, "y": 0.435, "xanchor": "left", "yanchor": "bottom"},
        common | {"text": "<b>answer</b>", "x": 1, "y": 0.435, "xanchor": "right", "yanchor": "bottom"},
    ]


def _line_ends(last: Float[Tensor, " N"], leaders: list[int]) -> list[dict]:
    """Names of the leading lines at their right end, moved apart where they would touch."""
    notes, lowest = [], float("inf")
    for place, column in zip(PLACES, leaders, strict=False):
        lowest = min(float(last[column]), lowest - 0.15)
        notes.append(
            {"text": f"<b>{place.label}</b>", "x": 0, "y": lowest, "xref": "x2", "yref": "y2", "showarrow": False}
            | {"xanchor": "left", "xshift": 6, "font": {"size": 13, "color": INK}}
        )
    return notes


def _slider(levels: Sequence[int]) -> dict:
    steps = [
        {"label": str(k), "method": "animate", "args": [[str(k)], _at_once(0)]}  # a label for the value, not drawn
        for k in levels
    ]
    return {
        "steps": steps,
        "active": 0,
        "x": 0,
        "len": 1,
        "y": 0.02,
        "yanchor": "top",
        "pad": {"t": 0, "b": 0, "l": 0, "r": 0},
        "ticklen": 0,
        "minorticklen": 0,
        "font": {"color": "rgba(0,0,0,0)", "size": 1},
        "currentvalue": {"prefix": "noise level k = ", "xanchor": "center", "font": {"size": 15, "color": INK}},
        "bgcolor": FAINT,
        "activebgcolor": PLACES[0].colour,
        "bordercolor": QUIET,
    }


def _buttons() -> dict:
    play = {"label": "▶ play", "method": "animate", "args": [None, _at_once(70) | {"fromcurrent": True}]}
    pause = {"label": "❚❚ pause", "method": "animate", "args": [[None], _at_once(0)]}
    return {
        "type": "buttons",
        "direction": "left",
        "buttons": [play, pause],
        "showactive": False,
        "x": 1,
        "xanchor": "right",
        "y": 1.02,
        "yanchor": "bottom",
        "pad": {"t": 0, "r": 0},
        "bgcolor": PAPER,
        "font": {"size": 12},
    }


def _at_once(milliseconds: int) -> dict:
    return {
        "mode": "immediate",
        "frame": {"duration": milliseconds, "redraw": True},
        "transition": {"duration": 0},
    }


def _thumbnail(picture: str, column: int) -> dict:
    return {
        "source": picture,
        "xref": "x",
        "yref": "paper",
        "x": column + 1,
        "y": _THUMBNAILS,
        "sizex": 0.9,
        "sizey": 0.06,
        "xanchor": "center",
        "yanchor": "middle",
        "sizing": "contain",
        "layer": "above",
    }


def _ticks(largest: int) -> list[int]:
    return sorted({round(largest * part / 5) for part in range(6)})


def _numbers(values: Float[Tensor, " n"]) -> list[float]:
    return [round(value, 3) for value in values.tolist()]


def _plain(text: str) -> str:
    """Text that plotly does not take for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
