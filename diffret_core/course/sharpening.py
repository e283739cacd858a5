"""A matrix of similarities that sharpens: live while a model trains, and afterwards under a slider."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple

import plotly.graph_objects as go
import torch
from IPython.display import HTML, display
from jaxtyping import Float
from PIL import Image, ImageColor
from torch import Tensor

from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout, slider
from diffret_core.course.style import INK, PAPER, QUIET, SIMILARITY
from diffret_core.course.thumbnails import picture_uri

PIXELS_PER_CELL = 22
MATRIX, CURVES = (0.0, 0.60), (0.74, 1.0)
"""Where both parts of the figure lie, as fractions of its width."""


class Snapshot(NamedTuple):
    """What a training looks like after some steps.

    Attributes:
        step: How many steps were taken.
        loss: Loss of the training batch.
        recall: R@1 in percent on videos that are not trained on.
        similarity: Similarities of a few of those, text rows.
    """

    step: int
    loss: float
    recall: float
    similarity: Float[Tensor, "P P"]


def watch() -> Callable[[Snapshot], None]:
    """Make a function that shows the newest snapshot in place of the one before it."""
    shown: Any = None

    def update(snapshot: Snapshot) -> None:
        nonlocal shown
        content = HTML(snapshot_html(snapshot))
        if shown is None:
            shown = display(content, display_id=True)
        else:
            shown.update(content)

    return update


def snapshot_html(snapshot: Snapshot) -> str:
    """Show a matrix as a picture, and its numbers in words."""
    words = (
        f"step {snapshot.step}: loss {snapshot.loss:.2f}; mean similarity of what belongs together "
        f"{_on_diagonal(snapshot.similarity):.2f}, of what does not {_off_diagonal(snapshot.similarity):.2f}"
    )
    picture = _picture(snapshot.similarity)
    return f'<img src="{picture}" alt="{escape(words)}"><p style="font-size:13px"><i>{escape(words)}</i></p>'


def sharpening_figure(
    snapshots: Sequence[Snapshot], captions: Sequence[str], pictures: Sequence[str] | None = None
) -> go.Figure:
    """Draw the matrix under a slider over the steps, beside it the loss and R@1 of the whole run; the end comes first.

    Args:
        snapshots: In the order of their steps.
        captions: The text of each row.
        pictures: A picture of each column's video as a data URI.
    """
    names = [as_plain_text(caption) for caption in captions]
    figure = go.Figure(
        data=[_matrix(snapshots[-1], names), *_curves(snapshots), *_marks(snapshots[-1], snapshots[-1].step)],
        layout=_layout(snapshots, len(captions)),
    )
    figure.frames = [
        go.Frame(
            name=str(one.step),
            data=[go.Heatmap(z=_rows(one.similarity)), *_marks(one, snapshots[-1].step)],
            traces=[0, 3, 4],
        )
        for one in snapshots
    ]
    for column, picture in enumerate(pictures or ()):
        figure.add_layout_image(
            source=picture,
            xref="x",
            yref="y",
            x=column,
            y=len(captions) - 0.42,
            sizex=0.92,
            sizey=0.92,
            xanchor="center",
            yanchor="top",
            sizing="stretch",
        )
    return figure


def _on_diagonal(similarity: Float[Tensor, "P P"]) -> float:
    return float(similarity.diagonal().mean())


def _off_diagonal(similarity: Float[Tensor, "P P"]) -> float:
    return float(similarity[~torch.eye(len(similarity), dtype=torch.bool)].mean())


def _picture(similarity: Float[Tensor, "P P"]) -> str:
    """Colour a matrix from paper (0 and below) to blue (1)."""
    ends = [torch.tensor(ImageColor.getrgb(colour)).float() for colour in (PAPER, SIMILARITY)]
    share = similarity.clamp(0, 1)[..., None]
    pixels = (ends[0] + share * (ends[1] - ends[0])).round().byte()
    side = PIXELS_PER_CELL * len(similarity)
    return picture_uri(Image.fromarray(pixels.numpy()).resize((side, side), Image.Resampling.NEAREST), lossless=True)


def _rows(similarity: Float[Tensor, "P P"]) -> list[list[float]]:
    return [[round(value, 2) for value in row] for row in similarity.tolist()]


def _matrix(snapshot: Snapshot, names: list[str]) -> go.Heatmap:
    return go.Heatmap(
        z=_rows(snapshot.similarity),
        y=names,
        zmin=0,
        zmax=1,
        colorscale=[[0, PAPER], [1, SIMILARITY]],
        colorbar={"x": MATRIX[1], "len": 0.4, "y": 0.8, "thickness": 10, "outlinewidth": 0, "tickvals": [0, 0.5, 1]},
        xgap=1,
        ygap=1,
        hovertemplate="%{y}<br>with video %{x}: %{z:.2f}<extra></extra>",
    )


def _curves(snapshots: Sequence[Snapshot]) -> list[go.Scatter]:
    steps = [one.step for one in snapshots]
    heights = ([one.loss for one in snapshots], [one.recall for one in snapshots])
    return [
        go.Scatter(
            x=steps,
            y=[round(value, 2) for value in height],
            xaxis=f"x{axis}",
            yaxis=f"y{axis}",
            mode="lines",
            line={"color": SIMILARITY, "width": 2.5},
            hovertemplate="step %{x}: %{y:.3g}<extra></extra>",
        )
        for axis, height in zip((2, 3), heights, strict=True)
    ]


def _marks(snapshot: Snapshot, last: int) -> list[go.Scatter]:
    number_right_until = {2: 0.8 * last, 3: 0.15 * last}  # where a falling and a rising curve leave room for it
    return [
        go.Scatter(
            x=[snapshot.step],
            y=[round(height, 2)],
            xaxis=f"x{axis}",
            yaxis=f"y{axis}",
            mode="markers+text",
            text=[f"{height:.{places}f}"],
            textposition="top right" if snapshot.step < number_right_until[axis] else "top left",
            marker={"size": 10, "color": PAPER, "line": {"color": INK, "width": 2}},
            cliponaxis=False,
            hoverinfo="skip",
        )
        for axis, height, places in ((2, snapshot.loss, 2), (3, snapshot.recall, 1))
    ]


def _layout(snapshots: Sequence[Snapshot], num_pairs: int) -> go.Layout:
    last = snapshots[-1].step
    layout = base_layout("<b>Similarity</b> of texts (rows) and videos (columns) that are not trained on", height=530)
    across = {**AXIS, "domain": CURVES, "range": [-0.04 * last, 1.08 * last], "nticks": 4, "linecolor": QUIET}
    top = max(one.loss for one in snapshots)
    best = max(one.recall for one in snapshots)
    return layout.update(
        margin={"l": 300, "r": 30, "t": 56, "b": 62},
        xaxis={**AXIS, "domain": MATRIX, "showticklabels": False, "ticks": "", "range": [-0.5, num_pairs - 0.5]},
        yaxis={**AXIS, "range": [num_pairs + 0.6, -0.5], "tickfont": {"size": 11}, "ticks": ""},
        xaxis2={**across, "anchor": "y2"},
        xaxis3={**across, "anchor": "y3", "title": axis_title("step")},
        yaxis2={**AXIS, "domain": [0.6, 0.95], "range": [0, 1.15 * top], "anchor": "x2", "nticks": 5},
        yaxis3={**AXIS, "domain": [0.1, 0.45], "range": [0, 1.25 * best], "anchor": "x3", "nticks": 5},
        annotations=[_heading("loss of the batch", 1.0), _heading("R@1 in %, validation", 0.5)],
        sliders=[slider([str(one.step) for one in snapshots], "step ") | {"active": len(snapshots) - 1}],
    )


def _heading(words: str, height: float) -> dict:
    return {
        "text": f"<b>{words}</b>",
        "xref": "paper",
        "yref": "paper",
        "x": CURVES[0],
        "y": height,
        "xanchor": "left",
        "yanchor": "middle",
        "showarrow": False,
        "font": {"size": 12},
    }
