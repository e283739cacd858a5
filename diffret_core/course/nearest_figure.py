"""The captions nearest to each frame of a video, under a slider over its frames."""

import textwrap
from collections.abc import Sequence

import plotly.graph_objects as go
from jaxtyping import Float, UInt8
from torch import Tensor

from diffret_core.course.layout import AXIS, as_plain_text, base_layout, slider
from diffret_core.course.style import COMBINED, INK, SIMILARITY
from diffret_core.course.thumbnails import frame_uri

_HEIGHT, _LONGEST = 400, 72
OWN = "★ "
"""Stands before the caption that was written for the video."""


def nearest_figure(
    frames: UInt8[Tensor, "F 3 H W"],
    seconds: Sequence[float],
    captions: Sequence[str],
    cosine: Float[Tensor, "F T"],
    *,
    own: int,
    num_shown: int = 6,
) -> go.Figure:
    """Draw a frame, and beside it the captions whose vectors point most in its direction, best on top.

    Args:
        frames: Pixels 0..255 of the real frames.
        seconds: Time of each.
        captions: All captions that are compared.
        cosine: Of each frame with each caption.
        own: Which caption was written for the video; a star marks it.
        num_shown: How many captions are shown.
    """
    names = [f"{second:.2f} s" for second in seconds]
    pictures = [frame_uri(frame, lossless=True) for frame in frames]
    drawn = [_bars(captions, row, own, num_shown) for row in cosine]
    layouts = [_of_frame(*one, own) for one in zip(names, pictures, cosine, [num_shown] * len(names), strict=True)]
    figure = go.Figure(data=[drawn[0]], layout=base_layout("", height=_HEIGHT).update(layouts[0]))
    figure.update_layout(
        margin={"l": 20, "r": 20, "t": 56, "b": 84},
        xaxis=AXIS | {"domain": [0.32, 1], "range": [0, 1], "title": {"text": "cosine", "standoff": 4}, "dtick": 0.25},
        bargap=0.15,
        sliders=[slider(names, "frame at ") | {"y": -0.24}],
    )
    figure.frames = [
        go.Frame(name=name, data=[bars], layout=layout)
        for name, bars, layout in zip(names, drawn, layouts, strict=True)
    ]
    return figure


def _bars(captions: Sequence[str], cosine: Float[Tensor, " T"], own: int, num_shown: int) -> go.Bar:
    best = cosine.topk(num_shown)
    texts = [
        (OWN if place == own else "") + textwrap.shorten(captions[place], _LONGEST, placeholder=" …")
        for place in best.indices.tolist()
    ]
    return go.Bar(
        x=[round(value, 3) for value in best.values.tolist()],
        y=list(range(num_shown)),
        orientation="h",
        text=[as_plain_text(text) for text in texts],
        textposition="inside",
        insidetextanchor="start",
        constraintext="none",
        textfont={"color": INK, "size": 12},
        marker={"color": [COMBINED if place == own else SIMILARITY for place in best.indices.tolist()], "opacity": 0.3},
        hovertemplate="%{text}: %{x:.3f}<extra></extra>",
    )


def _of_frame(name: str, picture: str, cosine: Float[Tensor, " T"], num_shown: int, own: int) -> dict:
    """What changes with the frame: its picture, the cosines on the axis, and the sentence above."""
    place = int((cosine >= cosine[own]).sum())
    said = f"frame at {name}: the video's own caption is at place {place:,} of {len(cosine):,}"
    values = [f"{value:.3f}" for value in cosine.topk(num_shown).values.tolist()]
    ticks = {"tickvals": list(range(num_shown)), "ticktext": values, "range": [num_shown - 0.4, -0.6]}
    image = {"source": picture, "xref": "paper", "yref": "paper", "x": 0, "y": 1, "sizex": 0.26, "sizey": 1}
    return {
        "title": {"text": f"<b>{said}</b>", "x": 0.02, "font": {"size": 14, "color": INK}},
        "yaxis": AXIS | ticks,
        "images": [image | {"sizing": "contain", "yanchor": "top", "layer": "above"}],
    }
