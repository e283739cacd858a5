"""What runs need of disk and memory, part by part, one run at a time under a slider."""

from collections.abc import Mapping

import plotly.graph_objects as go

from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout, slider
from diffret_core.course.style import PLACES, QUIET

_DISK, _MEMORY = QUIET, PLACES[1].colour


def needs_figure(disk: Mapping[str, Mapping[str, int]], memory: Mapping[str, Mapping[str, int]]) -> go.Figure:
    """Draw the bytes of each part as bars; runs are under a slider.

    Args:
        disk: Bytes written, by part, by run; all runs have the same parts.
        memory: Bytes in memory at once, in the same way.
    """
    frames = [
        go.Frame(
            name=run,
            data=[_bars([*disk[run].values(), *memory[run].values()], len(disk[run]))],
            traces=[0],
            layout={"title.text": _told(run, sum(disk[run].values()), sum(memory[run].values()))},
        )
        for run in disk
    ]
    first = next(iter(disk))
    names = [*(f"disk: {part}" for part in disk[first]), *(f"memory: {part}" for part in memory[first])]
    most = max(size for parts in (*disk.values(), *memory.values()) for size in parts.values()) / 1e9
    figure = go.Figure(frames[0].data, base_layout(frames[0].layout.title.text, height=190 + 34 * len(names)), frames)
    figure.update_layout(
        margin={"l": 150, "r": 60, "t": 56, "b": 96},
        xaxis=AXIS | {"range": [0, 1.1 * most], "title": axis_title("GB"), "nticks": 8},
        yaxis=AXIS
        | {"range": [len(names) - 0.4, -0.6], "automargin": True}
        | {"tickvals": list(range(len(names))), "ticktext": [as_plain_text(name) for name in names]},
        sliders=[slider([frame.name for frame in frames], "recipe ") | {"y": -0.28}],
    )
    return figure


def _told(run: str, disk: int, memory: int) -> str:
    return f"<b>{as_plain_text(run)}</b>: {disk / 1e9:.0f} GB of disk, {memory / 1e9:.0f} GB of memory in stage 2"


def _bars(sizes: list[int], num_disk: int) -> go.Bar:
    return go.Bar(
        x=[round(size / 1e9, 3) for size in sizes],
        y=list(range(len(sizes))),
        orientation="h",
        marker={"color": [_DISK if place < num_disk else _MEMORY for place in range(len(sizes))]},
        text=[f"{size / 1e9:.1f}" for size in sizes],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
    )
