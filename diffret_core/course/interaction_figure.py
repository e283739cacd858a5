"""Words against frames as a heat map, with what each word and each frame finds best, for pairs under a slider."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from diffret_core.course.compared_pair import ComparedPair
from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout, slider
from diffret_core.course.style import INK, PAPER, QUIET, SIMILARITY

HEIGHT = 680
_MAP, _PICTURES, _WEIGHTS = (0.17, 0.89), 0.945, (0.0, 0.13)  # parts of the height, from the bottom
_WIDTHS = (0.0, 0.80), (0.83, 1.0)
NEGATIVE = "#e69f00"


def interaction_figure(pairs: Sequence[ComparedPair]) -> go.Figure:
    """Draw the word-by-frame cosines of each pair, weights beside and below them, under a slider over the pairs.

    Args:
        pairs: At least one; each brings its words, pictures, cosines and weights.
    """
    num_words, num_frames = (max(pair.cosine.shape[axis] for pair in pairs) for axis in (0, 1))
    strongest = max(float(pair.cosine.abs().max()) for pair in pairs)
    layouts = [_pair_layout(pair, num_words, num_frames) for pair in pairs]
    figure = go.Figure(_marks(pairs[0], strongest), base_layout("", height=HEIGHT).update(layouts[0]))
    figure.update_layout(
        margin={"l": 104, "t": 76, "b": 120},
        sliders=[slider([pair.name for pair in pairs], "") | {"y": -0.18}],
        bargap=0.35,
    )
    figure.frames = [
        go.Frame(name=pair.name, data=_marks(pair, strongest), layout=layout)
        for pair, layout in zip(pairs, layouts, strict=True)
    ]
    return figure


def _marks(pair: ComparedPair, strongest: float) -> list[Any]:
    """The map, the two kinds of winners, and the two kinds of weights."""
    num_words, num_frames = pair.cosine.shape
    rows, columns = list(range(num_words)), list(range(num_frames))
    squares = go.Heatmap(
        z=_numbers(pair.cosine),
        x=columns,
        y=rows,
        colorscale=[[0, NEGATIVE], [0.5, PAPER], [1, SIMILARITY]],
        zmin=-strongest,
        zmax=strongest,
        showscale=False,
        xgap=2,
        ygap=2,
        customdata=[[as_plain_text(word)] * num_frames for word in pair.words],
        hovertemplate="“%{customdata}” and frame %{x}: cosine %{z:.2f}<extra></extra>",
    )
    best_frame = {"symbol": "circle", "size": 9, "color": INK, "line": {"color": PAPER, "width": 1.5}}
    best_word = {"symbol": "square-open", "size": 14, "color": INK, "line": {"width": 1.5}}
    halo = best_word | {"color": PAPER, "line": {"width": 4}}
    bars = {"marker": {"color": SIMILARITY}, "showlegend": False}
    return [
        squares,
        go.Scatter(x=pair.cosine.argmax(dim=1).tolist(), y=rows, mode="markers", marker=best_frame, hoverinfo="skip"),
        *(
            go.Scatter(x=columns, y=pair.cosine.argmax(dim=0).tolist(), mode="markers", marker=one, hoverinfo="skip")
            for one in (halo, best_word)
        ),
        go.Bar(
            x=_numbers(pair.word_weight),
            y=rows,
            orientation="h",
            xaxis="x2",
            hovertemplate="weight of the word %{x:.2f}<extra></extra>",
            **bars,
        ),
        go.Bar(
            x=columns,
            y=_numbers(pair.frame_weight),
            yaxis="y2",
            hovertemplate="weight of frame %{x}: %{y:.2f}<extra></extra>",
            **bars,
        ),
    ]


def _pair_layout(pair: ComparedPair, num_words: int, num_frames: int) -> dict:
    """What changes with the pair: title, names of the rows, pictures; all pairs have squares of one size."""
    title = f"<b>“{as_plain_text(pair.caption)}”</b><br>similarity {pair.similarity:.3f}"
    words = AXIS | {
        "domain": list(_MAP),
        "range": [num_words - 0.5, -0.5],
        "tickvals": list(range(len(pair.words))),
        "ticktext": [as_plain_text(word) for word in pair.words],
    }
    weight = AXIS | {"rangemode": "tozero", "nticks": 3, "ticks": "outside", "tickcolor": QUIET}
    frames = AXIS | {"domain": list(_WIDTHS[0]), "range": [-0.5, num_frames - 0.5], "dtick": 1, "anchor": "y2"}
    return {
        "title": {"text": title, "x": 0.02, "font": {"size": 14, "color": INK}},
        "xaxis": frames | {"title": axis_title("frame, and its weight above it")},
        "yaxis": words,
        "xaxis2": weight | {"domain": list(_WIDTHS[1]), "title": axis_title("weight of the word"), "anchor": "y"},
        "yaxis2": weight | {"domain": list(_WEIGHTS), "anchor": "x"},
        "images": [_picture(pair.pictures, place) for place in range(num_frames)],
        "annotations": [_key()],
    }


def _picture(pictures: Sequence[str], place: int) -> dict:
    """A frame above its column; a place without one is said to be empty, or the last pair's picture would stay."""
    return {
        "source": pictures[place] if place < len(pictures) else "",
        "visible": place < len(pictures),
        "xref": "x",
        "yref": "paper",
        "x": place,
        "y": _PICTURES,
        "sizex": 0.9,
        "sizey": 0.09,
        "xanchor": "center",
        "yanchor": "middle",
        "sizing": "contain",
    }


def _key() -> dict:
    words = "● best frame<br>of a word<br><br>□ best word<br>of a frame"
    return {
        "text": words,
        "x": 1.0,
        "y": 1.0,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "right",
        "yanchor": "top",
    } | {
        "showarrow": False,
        "align": "left",
        "font": {"size": 12, "color": INK},
    }


def _numbers(values: Any) -> list:
    return (values * 1000).round().div(1000).tolist()
