"""What a softmax makes of the similarities of several questions, under a slider over the questions."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go
import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout, slider
from diffret_core.course.style import COMBINED, QUIET, SIMILARITY

Number = float | int
_PANELS = ((0.0, 0.46), (0.54, 1.0))


class Question(NamedTuple):
    """A question and its best candidates.

    Attributes:
        similarity: Of its candidates, best first.
        captions: What is said of each candidate when the pointer rests on it.
        own: Which of them is meant; None if none is.
    """

    similarity: Float[Tensor, " N"]
    captions: Sequence[str]
    own: int | None


def softmax_figure(questions: Mapping[str, Question], scale: Number, *, title: str) -> go.Figure:
    """Draw the similarities of a question's candidates, and the softmax of scale times them.

    Args:
        questions: The questions by their names, all with equally many candidates.
        scale: Factor on the similarities before the softmax.
        title: What is drawn.
    """
    states = {name: _both(question, scale) for name, question in questions.items()}
    figure = go.Figure(data=next(iter(states.values())), layout=base_layout(f"<b>{as_plain_text(title)}</b>"))
    for number, (domain, words) in enumerate(zip(_PANELS, ("similarity", "softmax: sums to 1"), strict=True), start=1):
        end = "" if number == 1 else str(number)
        figure.layout[f"xaxis{end}"] = (
            AXIS | {"domain": domain, "anchor": f"y{end}", "dtick": 1} | {"title": axis_title("candidates, best first")}
        )
        figure.layout[f"yaxis{end}"] = AXIS | {"anchor": f"x{end}", "domain": [0.3, 1], "range": [0, 1.1], "dtick": 0.5}
        note = {"text": f"<b>{words}</b>", "x": domain[0], "y": 1.02, "xanchor": "left", "yanchor": "bottom"}
        figure.add_annotation(note | {"xref": "paper", "yref": "paper", "showarrow": False})
    figure.update_layout(
        height=380, margin={"l": 40, "r": 20, "t": 80, "b": 30}, sliders=[slider(list(states), "") | {"y": 0.08}]
    )
    figure.frames = [go.Frame(name=name, data=bars, traces=[0, 1]) for name, bars in states.items()]
    return figure


def _both(question: Question, scale: Number) -> list[go.Bar]:
    probability = torch.softmax(scale * question.similarity, dim=0)
    colours = [COMBINED if place == question.own else QUIET for place in range(len(probability))]
    similarity_colours = [COMBINED if place == question.own else SIMILARITY for place in range(len(probability))]
    return [
        _bars(question, question.similarity, similarity_colours, ""),
        _bars(question, probability, colours, "2"),
    ]


def _bars(question: Question, heights: Float[Tensor, " N"], colours: list[str], end: str) -> go.Bar:
    stars = ["★<br>" if place == question.own else "" for place in range(len(heights))]
    return go.Bar(
        x=list(range(1, len(heights) + 1)),
        y=[round(height, 4) for height in heights.tolist()],
        xaxis=f"x{end}",
        yaxis=f"y{end}",
        marker={"color": colours},
        text=[f"{star}{height:.2f}" for star, height in zip(stars, heights.tolist(), strict=True)],
        textfont={"size": 11},
        textposition="outside",
        textangle=0,
        cliponaxis=False,
        customdata=[as_plain_text(caption) for caption in question.captions],
        hovertemplate="%{customdata}<br>%{y:.3f}<extra></extra>",
    )
