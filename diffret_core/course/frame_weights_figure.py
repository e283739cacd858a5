"""Which frames of a few videos a sentence looks at: weights below the frames, under a slider over sentences."""

from collections.abc import Sequence

import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout, slider
from diffret_core.course.setup import Samples
from diffret_core.course.strips import read_for_eyes
from diffret_core.course.style import INK, PAPER, QUIET, SIMILARITY
from diffret_core.course.thumbnails import frame_uri

PICTURE_SIDE = 48
_ROW_HEIGHT = 92
_PICTURE = 0.66
"""Part of a row's height that the frames take; the weights stand below them."""

_LEAST = 0.02
"""A weight below this is drawn, but not written."""


def frame_pictures(samples: Samples, videos: Sequence[int]) -> list[list[str]]:
    """Give the frames that the model looks at, of some test videos, as small pictures.

    Args:
        samples: Gives the files.
        videos: Numbers of test videos.
    """
    paths = [samples.video_path(samples.video_ids[video]) for video in videos]
    read = [read_for_eyes(path, samples.model.config, image_size=PICTURE_SIDE) for path in paths]
    return [[frame_uri(frame, quality=60) for frame in one.frames] for one in read]


def frame_weights_figure(
    weights: Float[Tensor, "S V F"], sentences: Sequence[str], pictures: Sequence[Sequence[str]], names: Sequence[str]
) -> go.Figure:
    """Draw the weight of each frame below it, a video a row, under a slider over sentences.

    Args:
        weights: Weight of each frame of each video for each sentence, 0 to 1; only real frames are drawn.
        sentences: The sentences.
        pictures: Data URIs of the real frames of each video.
        names: What is written beside each video.
    """
    num_videos, num_frames = weights.shape[1:]
    titles = [_title(sentence) for sentence in sentences]
    drawn = [_squares(one, pictures) for one in weights]
    figure = go.Figure(drawn[0], base_layout("", height=150 + _ROW_HEIGHT * num_videos).update(titles[0]))
    figure.update_layout(
        margin={"l": 118, "r": 16, "t": 52, "b": 92},
        xaxis=AXIS | {"title": axis_title("frame"), "dtick": 1, "range": [-0.5, num_frames - 0.5]},
        yaxis=AXIS
        | {"range": [num_videos, 0], "tickvals": [row + 0.5 for row in range(num_videos)], "tickcolor": QUIET}
        | {"ticktext": [as_plain_text(name).replace("\n", "<br>") for name in names]},
        images=[_picture(uri, column, row) for row, own in enumerate(pictures) for column, uri in enumerate(own)],
        sliders=[slider([f"{place} of {len(sentences)}" for place in range(1, len(sentences) + 1)], "sentence ")],
    )
    figure.layout.sliders[0].y = -42 / (_ROW_HEIGHT * num_videos)
    figure.frames = [
        go.Frame(name=step.label, data=[squares], layout=title)
        for step, squares, title in zip(figure.layout.sliders[0].steps, drawn, titles, strict=True)
    ]
    return figure


def _squares(weights: Float[Tensor, "V F"], pictures: Sequence[Sequence[str]]) -> go.Heatmap:
    """Weights in the lower part of each row; the upper part and what is padding stay empty."""
    rows, words, edges = [], [], [0.0]
    for row, (own, seen) in enumerate(zip(weights.tolist(), pictures, strict=True)):
        shown = [round(weight, 3) if place < len(seen) else None for place, weight in enumerate(own)]
        rows += [[None] * len(own), shown]
        words += [[""] * len(own), [f"{weight:.2f}" if weight and weight >= _LEAST else "" for weight in shown]]
        edges += [row + _PICTURE, row + 0.94]
        if row + 1 < len(weights):
            rows.append([None] * len(own))
            words.append([""] * len(own))
            edges.append(row + 1.0)
    return go.Heatmap(
        z=rows,
        x=[place - 0.5 for place in range(weights.shape[1] + 1)],
        y=edges,
        text=words,
        texttemplate="%{text}",
        textfont={"size": 12},
        colorscale=[[0, PAPER], [1, SIMILARITY]],
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=2,
        hovertemplate="weight %{z:.3f}<extra></extra>",
        hoverongaps=False,
    )


def _picture(uri: str, column: int, row: int) -> dict:
    return {
        "source": uri,
        "xref": "x",
        "yref": "y",
        "x": column,
        "y": row + _PICTURE / 2,
        "sizex": 0.94,
        "sizey": _PICTURE - 0.06,
        "xanchor": "center",
        "yanchor": "middle",
        "sizing": "contain",
    }


def _title(sentence: str) -> dict:
    words = f"<b>“{as_plain_text(sentence)}”</b>"
    return {"title": {"text": words, "x": 0.02, "font": {"size": 14, "color": INK}}}
