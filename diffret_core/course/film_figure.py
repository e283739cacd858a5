"""Several walks from noise to an answer as one film: the same query and candidates, another noise in each row."""

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.curves_figure import BEHIND_SAMPLE, line_sample
from diffret_core.course.denoising import relative_heights
from diffret_core.course.denoising_layout import play_buttons
from diffret_core.course.layout import AXIS, as_plain_text, base_layout, slider
from diffret_core.course.style import COMBINED, INK, PAPER, PLACES, QUIET

_HEIGHT = 700
_ROWS, _THUMBNAILS, _PATHS = (0.515, 1.0), 0.475, (0.115, 0.34)  # parts of the height, from the bottom
_BETWEEN = 0.015
_REACH = [-0.08, 1.2]
_PATHS_DRAWN = 2
_CLOSE = 0.13
"""Names of paths closer than this part of the height are moved apart."""


class Film(NamedTuple):
    """What is drawn of several walks of one query.

    Attributes:
        levels: Noise levels visited, K first and 0 last.
        states: x_k in each draw at each of them.
        estimates: x_0_hat there; at level 0 the answer itself.
    """

    levels: list[int]
    states: Float[Tensor, "L R N"]
    estimates: Float[Tensor, "L R N"]

    def leaders(self) -> list[int]:
        """Columns that the mean of all answers puts first, best first; one per drawn place."""
        answer = self.states[-1].mean(dim=0)
        return answer.argsort(descending=True, stable=True)[: len(PLACES)].tolist()

    def with_mean(self) -> "Film":
        """Add a row for the mean of all draws below them."""
        rows = (torch.cat([part, part.mean(dim=1, keepdim=True)], dim=1) for part in (self.states, self.estimates))
        return Film(self.levels, *rows)


def film_figure(film: Film, *, pictures: Sequence[str], names: Sequence[str], meant: int | None) -> go.Figure:
    """Draw all candidates in every draw under a slider from noise to answer.

    A row per draw and one for their mean; a bar is a candidate's state, a diamond the network's estimate of its answer,
    both stretched level by level from the lowest candidate to the highest. Pictures stand once, below all rows. At the
    bottom, not stretched, the states of the first two candidates of the mean in every draw, over all levels.

    Args:
        film: The walks.
        pictures: A small picture of each candidate as a data URI.
        names: What is said of each candidate when the pointer rests on its bar.
        meant: Column of the candidate that is meant, if it is among them.
    """
    whole, leaders = film.with_mean(), film.leaders()
    num_rows = whole.states.shape[1]
    heights = torch.stack([relative_heights(whole.states[:, row]) for row in range(num_rows)], dim=1)
    marks = torch.stack([relative_heights(whole.estimates[:, row]) for row in range(num_rows)], dim=1)
    figure = go.Figure(layout=_layout(film, leaders, num_rows))
    labels = [as_plain_text(name) for name in names]
    for row in range(num_rows):
        figure.add_trace(_bars(heights[0, row], leaders, labels, row))
        figure.add_trace(_diamonds(marks[0, row], row))
    changing = list(range(2 * num_rows + 1))
    figure.add_trace(_cursor(film.levels[0], num_rows + 1))
    for path in _paths(film, leaders, num_rows + 1):
        figure.add_trace(path)
    figure.frames = [
        _frame(level, height, mark, changing) for level, height, mark in zip(film.levels, heights, marks, strict=True)
    ]
    for column, picture in enumerate(pictures):
        figure.add_layout_image(_thumbnail(picture, column))
    if meant is not None:
        star = _note("★", x=meant + 1, y=_THUMBNAILS - 0.025, xref="x", yanchor="top")
        figure.add_annotation(star | {"font": {"size": 14, "color": COMBINED}})
    return figure


def _layout(film: Film, leaders: list[int], num_rows: int) -> go.Layout:
    title = "<b>One query, another noise in each row</b><br>bar: state of a candidate   ◇: the network's guess"
    layout = base_layout(f"{title}   ★: meant", height=_HEIGHT)
    num_candidates = film.states.shape[2]
    layout.update(
        margin={"l": 84, "r": 72, "t": 76, "b": 30},
        xaxis=AXIS | {"range": [0.3, num_candidates + 0.7], "showticklabels": False, "anchor": "free", "position": 0.5},
        sliders=[slider([str(k) for k in film.levels], "noise level k = ")],
        updatemenus=[play_buttons()],
        bargap=0.25,
    )
    low, high = _ROWS
    each = (high - low + _BETWEEN) / num_rows
    notes = [
        _note("<b>noise</b>", x=0, y=_PATHS[1] + 0.005, xanchor="left"),
        _note("<b>answer</b>", x=1, y=_PATHS[1] + 0.005, xanchor="right"),
        _note("<i>x<sub>k</sub></i> of the 1st and 2nd in every draw", x=0.5, y=_PATHS[1] + 0.005),
    ]
    for row in range(num_rows):
        top = high - row * each
        domain = [top - each + _BETWEEN, top]
        axis = AXIS | {"range": _REACH, "domain": domain, "showticklabels": False, "zeroline": True}
        layout[f"yaxis{row + 1 if row else ''}"] = axis | {"zerolinecolor": QUIET, "anchor": "x"}
        name = f"draw {row + 1}" if row < num_rows - 1 else "<b>mean</b>"
        notes.append(_note(name, x=0, y=sum(domain) / 2, xanchor="right", yanchor="middle") | {"xshift": -8})
    layout[f"xaxis{num_rows + 1}"] = (
        AXIS
        | {"range": [film.levels[0], 0], "anchor": f"y{num_rows + 1}", "ticks": "outside", "tickcolor": QUIET}
        | {"title": {"text": "noise level <i>k</i>", "standoff": 4}, "tickvals": _ticks(film.levels[0])}
    )
    layout[f"yaxis{num_rows + 1}"] = AXIS | {
        "domain": list(_PATHS),
        "anchor": f"x{num_rows + 1}",
        "nticks": 5,
        "range": [-_reach(film, leaders), _reach(film, leaders)],
    }
    layout.annotations = [*notes, *_bar_labels(leaders), *_path_ends(film, leaders, num_rows + 1)]
    layout.shapes = [
        line_sample(end["y"], colour=place.colour, dash=place.dash, axis=end["yref"])
        for place, end in zip(PLACES, _path_ends(film, leaders, num_rows + 1), strict=False)
    ]
    return layout


def _bars(heights: Float[Tensor, " N"], leaders: list[int], names: Sequence[str], row: int) -> go.Bar:
    colours = [QUIET] * len(names)
    for place, column in zip(PLACES, leaders, strict=False):
        colours[column] = place.colour
    return go.Bar(
        x=list(range(1, len(names) + 1)),
        y=_numbers(heights),
        marker={"color": colours, "line": {"width": 0}},
        customdata=list(names),
        hovertemplate="candidate %{x}: %{customdata}<extra></extra>",
        yaxis=f"y{row + 1}" if row else "y",
    )


def _diamonds(marks: Float[Tensor, " N"], row: int) -> go.Scatter:
    return go.Scatter(
        x=list(range(1, len(marks) + 1)),
        y=_numbers(marks),
        mode="markers",
        marker={"symbol": "diamond", "size": 6, "color": PAPER, "line": {"color": INK, "width": 1.1}},
        cliponaxis=False,
        hoverinfo="skip",
        yaxis=f"y{row + 1}" if row else "y",
    )


def _paths(film: Film, leaders: list[int], axis: int) -> list[go.Scatter]:
    """One line per draw for each of the first candidates; the first lies on top."""
    return [
        go.Scatter(
            x=film.levels,
            y=_numbers(film.states[:, draw, leaders[rank]]),
            mode="lines",
            line={"color": PLACES[rank].colour, "dash": PLACES[rank].dash, "width": 2},
            hovertemplate=f"{PLACES[rank].label}, draw {draw + 1}<br>level %{{x}}: %{{y:.2f}}<extra></extra>",
            xaxis=f"x{axis}",
            yaxis=f"y{axis}",
        )
        for rank in reversed(range(min(_PATHS_DRAWN, len(leaders))))
        for draw in range(film.states.shape[1])
    ]


def _cursor(k: int, axis: int) -> go.Scatter:
    return go.Scatter(
        x=[k, k],
        y=[-9, 9],
        mode="lines",
        line={"color": INK, "width": 1.5},
        hoverinfo="skip",
        xaxis=f"x{axis}",
        yaxis=f"y{axis}",
    )


def _frame(level: int, heights: Float[Tensor, "R N"], marks: Float[Tensor, "R N"], changing: list[int]) -> go.Frame:
    drawn: list[go.Bar | go.Scatter] = []
    for height, mark in zip(heights, marks, strict=True):
        drawn += [go.Bar(y=_numbers(height)), go.Scatter(y=_numbers(mark))]
    return go.Frame(name=str(level), data=[*drawn, go.Scatter(x=[level, level])], traces=changing)


def _bar_labels(leaders: list[int]) -> list[dict]:
    """Places of the first candidates, below their pictures; a star may stand in the row above."""
    return [
        _note(f"<b>{place.label}</b>", x=column + 1, y=_THUMBNAILS - 0.045, xref="x", yanchor="top")
        for place, column in zip(PLACES, leaders, strict=False)
    ]


def _path_ends(film: Film, leaders: list[int], axis: int) -> list[dict]:
    spread = 2 * _reach(film, leaders)
    notes, lowest = [], float("inf")
    for place, column in list(zip(PLACES, leaders, strict=False))[:_PATHS_DRAWN]:
        lowest = min(float(film.states[-1, :, column].mean()), lowest - _CLOSE * spread)
        end = _note(f"<b>{place.label}</b>", x=0, y=lowest, xref=f"x{axis}", xanchor="left", yanchor="middle")
        notes.append(end | {"yref": f"y{axis}", "xshift": BEHIND_SAMPLE})
    return notes


def _note(
    text: str, *, x: float | int, y: float | int, xref: str = "paper", xanchor: str = "center", yanchor: str = "bottom"
) -> dict:
    place = {"text": text, "x": x, "y": y, "xref": xref, "yref": "paper", "xanchor": xanchor, "yanchor": yanchor}
    return place | {"showarrow": False, "font": {"size": 12, "color": INK}}


def _thumbnail(picture: str, column: int) -> dict:
    place = {"source": picture, "xref": "x", "yref": "paper", "x": column + 1, "y": _THUMBNAILS}
    size = {"sizex": 0.9, "sizey": 0.06, "xanchor": "center", "yanchor": "middle", "sizing": "contain"}
    return place | size | {"layer": "above"}


def _reach(film: Film, leaders: list[int]) -> float:
    """How far from 0 the axis of the paths goes, up and down."""
    return 1.1 * float(film.states[:, :, leaders[:_PATHS_DRAWN]].abs().max())


def _ticks(largest: int) -> list[int]:
    return sorted({round(largest * part / 5) for part in range(6)})


def _numbers(values: Float[Tensor, " n"]) -> list[float]:
    return [round(value, 2) for value in values.tolist()]
