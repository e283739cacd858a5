"""What a training step keeps in memory, part by part, under a slider over a setting."""

from collections.abc import Mapping

import plotly.graph_objects as go

from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout, slider
from diffret_core.course.style import COMBINED, GENERATED, PLACES, QUIET, SIMILARITY

_COLOURS = (SIMILARITY, COMBINED, PLACES[1].colour, PLACES[2].colour, QUIET)
_LAST = GENERATED


def memory_figure(parts_of: Mapping[str, Mapping[str, int]], setting: str) -> go.Figure:
    """Draw the bytes of each part as bars, under a slider.

    Args:
        parts_of: Bytes by part, by the value of the setting; all have the same parts, the last of them moves most.
        setting: What the slider sets.
    """
    frames = [
        go.Frame(name=value, data=[_bars(parts)], traces=[0], layout={"title.text": _told(parts)})
        for value, parts in parts_of.items()
    ]
    names = list(next(iter(parts_of.values())))
    most = max(max(parts.values()) for parts in parts_of.values()) / 1e9
    figure = go.Figure(frames[0].data, base_layout(frames[0].layout.title.text, height=190 + 34 * len(names)), frames)
    figure.update_layout(
        margin={"l": 150, "r": 60, "t": 56, "b": 96},
        xaxis=AXIS | {"range": [0, 1.1 * most], "title": axis_title("GB"), "nticks": 8},
        yaxis=AXIS
        | {"range": [len(names) - 0.4, -0.6], "automargin": True}
        | {"tickvals": list(range(len(names))), "ticktext": [as_plain_text(name) for name in names]},
        sliders=[slider([frame.name for frame in frames], setting) | {"y": -0.3}],
    )
    return figure


def _told(parts: Mapping[str, int]) -> str:
    return f"<b>A step of stage 1: {sum(parts.values()) / 1e9:.1f} GB</b>, counted"


def _bars(parts: Mapping[str, int]) -> go.Bar:
    sizes = [size / 1e9 for size in parts.values()]
    return go.Bar(
        x=[round(size, 3) for size in sizes],
        y=list(range(len(sizes))),
        orientation="h",
        marker={"color": [*_COLOURS[: len(sizes) - 1], _LAST]},
        text=[f"{size:.1f}" for size in sizes],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
    )
