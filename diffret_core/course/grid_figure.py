"""How a picture becomes a coarser and coarser grid of regions, under a slider over the parts of an image tower."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from jaxtyping import Float, UInt8
from torch import Tensor

from diffret_core.course.layout import AXIS, base_layout, slider
from diffret_core.course.style import FAINT, INK, PAPER, SIMILARITY
from diffret_core.course.thumbnails import frame_uri

_HEIGHT = 530
_MOST_LINES = 16  # a finer grid would hide the picture
_LEFT, _RIGHT = (0.0, 0.42), (0.56, 0.98)  # parts of the width


def contrast(features: Float[Tensor, "C h w"]) -> Float[Tensor, "h w"]:
    """Measure how far each region's vector lies from the mean of all, the farthest being 1; all 0 if none differs."""
    distance = (features - features.mean(dim=(1, 2), keepdim=True)).norm(dim=0)
    return distance / distance.max().clamp(min=1e-12)


def grid_figure(frame: UInt8[Tensor, "3 H W"], parts: Mapping[str, Float[Tensor, "_ _ _"]]) -> go.Figure:
    """Draw a frame under the grid of each part, and beside it how much each region stands out there.

    Args:
        frame: Pixels 0..255.
        parts: Name of each part -> its output `[channels, height, width]`, in order; the grids are square.
    """
    names = list(parts)
    layouts = [_title(name, features) for name, features in parts.items()]
    drawn = [[_map(features), _lines(features.shape[-1])] for features in parts.values()]
    figure = go.Figure(data=drawn[0], layout=base_layout("", height=_HEIGHT).update(layouts[0]))
    picture = frame_uri(frame, lossless=True)
    figure.add_layout_image(
        {"source": picture, "xref": "x", "yref": "y", "x": 0, "y": 1, "sizex": 1, "sizey": 1}
        | {"sizing": "stretch", "layer": "below"}
    )
    hidden = AXIS | {"showticklabels": False, "ticks": ""}
    square = {"range": [0, 1], "scaleratio": 1, "constrain": "domain"}
    figure.update_layout(
        margin={"l": 20, "r": 20, "t": 56, "b": 100},
        xaxis=hidden | square | {"domain": _LEFT, "title": {"text": "the frame, cut into regions", "standoff": 8}},
        yaxis=hidden | square | {"scaleanchor": "x"},
        xaxis2=hidden | square | {"domain": _RIGHT, "title": {"text": "how far a region stands out", "standoff": 8}},
        yaxis2=hidden | square | {"scaleanchor": "x2", "anchor": "x2"},
        sliders=[slider(names, "after ") | {"y": -0.16}],
    )
    figure.frames = [
        go.Frame(name=name, data=traces, layout=layout)
        for name, traces, layout in zip(names, drawn, layouts, strict=True)
    ]
    return figure


def _map(features: Float[Tensor, "C h w"]) -> go.Heatmap:
    num_rows, num_columns = features.shape[1:]
    return go.Heatmap(
        z=[[round(value, 2) for value in row] for row in contrast(features).tolist()[::-1]],
        x=_edges(num_columns),
        y=_edges(num_rows),
        xaxis="x2",
        yaxis="y2",
        zmin=0,
        zmax=1,
        colorscale=[[0, PAPER], [1, SIMILARITY]],
        colorbar={"x": 1.0, "len": 0.9, "thickness": 12, "tickvals": [0, 1], "ticktext": ["mean", "most"]},
        hovertemplate="%{z:.2f}<extra></extra>",
    )


def _edges(count: int) -> Sequence[float]:
    return [place / count for place in range(count + 1)]


def _lines(count: int) -> go.Scatter:
    """Lines between the regions; a trace, since plotly keeps the shapes of the frame before where a frame has fewer."""
    x, y = [], []
    for at in _edges(count)[1:-1] if count <= _MOST_LINES else []:
        x += [at, at, None, 0, 1, None]
        y += [0, 1, None, at, at, None]
    return go.Scatter(x=x, y=y, mode="lines", line={"color": FAINT, "width": 1}, hoverinfo="skip")


def _title(name: str, features: Float[Tensor, "C h w"]) -> dict:
    """What changes in the layout from part to part: the sentence above."""
    num_numbers, num_rows, num_columns = features.shape
    many = num_rows * num_columns
    said = f"After {name}: {num_rows} × {num_columns} = {many:,} regions, {num_numbers} numbers each"
    return {"title": {"text": f"<b>{said}</b>", "x": 0.02, "font": {"size": 14, "color": INK}}}
