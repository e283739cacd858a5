"""The demo without a kernel: a menu of queries, a slider from noise to answer, walks of several lengths in panels."""

import textwrap
from collections.abc import Mapping

import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.demo.playable import Playable
from diffret_core.course.layout import AXIS, as_plain_text, base_layout, slider
from diffret_core.course.style import GENERATED, INK
from diffret_core.course.thumbnails import still

_HEIGHT, _NAMES, _PANELS = 560, 0.45, (0.06, 0.86)
_BETWEEN, _SIDE = 0.03, 36
_LINE, _MOST_LINES, _TITLE_LINE = 32, 2, 70


def playable_figure(choices: Mapping[str, Playable]) -> go.Figure:
    """Draw the probabilities of named candidates at every noise level, a panel for each length of the walk.

    Args:
        choices: What is said of each query in the menu -> its answers. All have as many walks and levels.

    Raises:
        ValueError: If there is nothing to choose from, or the answers differ in shape.
    """
    shapes = {(tuple(one.num_steps), tuple(one.levels), len(one.items)) for one in choices.values()}
    if len(shapes) != 1:
        raise ValueError(f"{len(shapes)} kinds of answers; give at least one, all with the same walks and candidates")
    names, first = list(choices), next(iter(choices.values()))
    figure = go.Figure(layout=_layout(choices, first))
    for walk in range(len(first.num_steps)):
        figure.add_trace(_bars(first, walk))
    figure.frames = [
        go.Frame(name=_frame_name(names.index(name), k), data=[go.Bar(x=x) for x in _numbers(one, place)])
        for name, one in choices.items()
        for place, k in enumerate(one.levels)
    ]
    return figure


def _layout(choices: Mapping[str, Playable], first: Playable) -> go.Layout:
    layout = base_layout(_title(first), height=_HEIGHT)
    num_walks = len(first.num_steps)
    width = (1 - _NAMES + _BETWEEN) / num_walks
    layout.update(
        margin={"l": 8, "r": 16, "t": 126, "b": 64},
        images=_pictures(first),
        sliders=[_slider(0, first)],
        updatemenus=[_menu(choices)],
        bargap=0.3,
    )
    notes = []
    for walk, number in enumerate(first.num_steps):
        left = _NAMES + walk * width
        axis = AXIS | {"domain": [left, left + width - _BETWEEN], "range": [0, 1.02], "tickvals": [0, 0.5, 1]}
        layout[_axis("xaxis", walk)] = axis | {"anchor": _axis("y", walk), "showgrid": True}
        names = {"tickvals": list(range(len(first.items))), "showticklabels": walk == 0, "tickfont": {"size": 11}}
        reach = [len(first.items) - 0.5, -0.5]
        layout[_axis("yaxis", walk)] = (
            AXIS | names | {"ticktext": _labels(first), "range": reach, "domain": list(_PANELS)}
        )
        layout[_axis("yaxis", walk)]["anchor"] = _axis("x", walk)
        words = f"<b>{number} step{'s' if number > 1 else ''}</b>"
        place = {"x": left, "y": _PANELS[1], "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
        notes.append(place | {"text": words, "showarrow": False, "font": {"size": 13, "color": INK}})
    layout.annotations = notes
    return layout


def _bars(one: Playable, walk: int) -> go.Bar:
    return go.Bar(
        x=_rounded(one.probability[0, walk]),
        y=list(range(len(one.items))),
        customdata=_words(one),
        orientation="h",
        marker={"color": GENERATED},
        hovertemplate="%{customdata}<br>%{x:.3f}<extra></extra>",
        xaxis=_axis("x", walk),
        yaxis=_axis("y", walk),
    )


def _menu(choices: Mapping[str, Playable]) -> dict:
    """A menu that puts another query's start, names, pictures and slider in place."""
    buttons = []
    for number, (name, one) in enumerate(choices.items()):
        changed = {"sliders": [_slider(number, one)], "images": _pictures(one), "title.text": _title(one)}
        changed["yaxis.ticktext"] = _labels(one)
        args = [{"x": _numbers(one, 0), "customdata": [_words(one)] * len(one.num_steps)}, changed]
        buttons.append({"label": as_plain_text(name), "method": "update", "args": args})
    place = {"x": 0, "y": 1.02, "xanchor": "left", "yanchor": "top"}
    return place | {"buttons": buttons, "type": "dropdown", "direction": "down", "showactive": True}


def _slider(number: int, one: Playable) -> dict:
    made = slider([str(k) for k in one.levels], "noise level k = ")
    for step, k in zip(made["steps"], one.levels, strict=True):
        step["args"][0] = [_frame_name(number, k)]
    return made


def _frame_name(number: int, k: int) -> str:
    return f"{number}: {k}"


def _title(one: Playable) -> str:
    query = "<br>".join(textwrap.wrap(as_plain_text(f"“{one.query}”"), _TITLE_LINE))
    return f"<b>{query}</b><br>probability that the state gives, among {one.num_candidates} candidates"


def _words(one: Playable) -> list[str]:
    return [as_plain_text(item.words) for item in one.items]


def _labels(one: Playable) -> list[str]:
    labels = []
    for item, is_meant in zip(one.items, one.meant, strict=True):
        lines = textwrap.wrap(("★ " if is_meant else "") + item.words, _LINE, max_lines=_MOST_LINES, placeholder=" …")
        labels.append("<br>".join(map(as_plain_text, lines)))
    return labels


def _pictures(one: Playable) -> list[dict]:
    size = {"sizex": 0.06, "sizey": 0.85, "xanchor": "left", "yanchor": "middle", "sizing": "contain"}
    place = {"xref": "paper", "yref": "y", "x": 0.0, "layer": "above"}
    return [place | size | {"source": still(item.path, side=_SIDE), "y": row} for row, item in enumerate(one.items)]


def _numbers(one: Playable, place: int) -> list[list[float]]:
    return [_rounded(values) for values in one.probability[place]]


def _rounded(values: Float[Tensor, " M"]) -> list[float]:
    return [round(value, 3) for value in values.tolist()]


def _axis(name: str, walk: int) -> str:
    return f"{name}{walk + 1}" if walk else name
