"""How a run's loss fell: its log, stage by stage, in a unit that batches of any size share."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import plotly.graph_objects as go

from diffret_core.course.layout import AXIS, axis_title, base_layout
from diffret_core.course.style import GENERATED, INK, PLACES, QUIET, SIMILARITY

DASHES = ("solid", "dash", "dot", "dashdot")
SMOOTHED = 5
"""Logged losses of which a point of a curve is the mean: each is that of one batch, and they jump."""


class LossCurve(NamedTuple):
    """The loss of one stage.

    Attributes:
        name: What it is called.
        num_pairs: Pairs of a text and a video that the stage has seen, at each point.
        loss: The loss there, divided by the loss of a model that knows nothing.
    """

    name: str
    num_pairs: list[int]
    loss: list[float]


def contrastive_curves(folder: Path) -> list[LossCurve]:
    """Read the log of everything that the contrastive loss trained, in the order of training.

    Each loss is divided by the logarithm of its batch size, which is the loss of equal similarities, once for each of
    the matrices that a stage compares. A run that was interrupted has logged some steps twice: the last line counts.

    Args:
        folder: Folder of a trained model.
    """
    recipe = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    phases = [(f"pre-training {n}", phase, 1.0) for n, phase in enumerate(recipe.get("pretraining", ()), start=1)]
    stage_1 = recipe["contrastive"]
    phases.append(("stage 1", stage_1, 1.0 + stage_1.get("sentence_weight", 0.0)))
    curves = []
    for name, phase, num_losses in phases:
        loss_at = {line["step"]: line["loss"] for line in lines if line["stage"] == name}
        losses = _smoothed([loss / (num_losses * math.log(phase["batch_size"])) for loss in loss_at.values()])
        curves.append(LossCurve(name, [step * phase["batch_size"] for step in loss_at], losses))
    return curves


def losses_figure(curves: Sequence[LossCurve], own: LossCurve) -> go.Figure:
    """Draw the curves of a run, all from the left, and another one for comparison.

    Args:
        curves: Of the run.
        own: The learner's.
    """
    colours = [SIMILARITY, *[place.colour for place in PLACES[1:]], INK]
    lines = [
        _line(curve, colour, dash)
        for curve, colour, dash in zip(curves, colours, DASHES, strict=False)
        if curve.num_pairs
    ]
    drawn = [curve for curve in (*curves, own) if curve.num_pairs]
    layout = base_layout("<b>Loss</b>, as a share of what a model costs that knows nothing", height=380)
    layout.update(
        xaxis={
            **AXIS,
            "type": "log",
            "title": axis_title("pairs of a text and a video, seen in this stage"),
            "dtick": 1,
        },
        yaxis={**AXIS, "range": [0, 1.1 * max(max(curve.loss) for curve in drawn)], "nticks": 5},
        shapes=[
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": 1,
                "y1": 1,
                "line": {"color": QUIET, "dash": "dot", "width": 1},
            }
        ],
        margin={"l": 56, "r": 40, "t": 56, "b": 56},
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}},
    )
    first, last = (end(end(curve.num_pairs) for curve in drawn) for end in (min, max))
    layout.xaxis.range = [math.log10(first), math.log10(last) + 0.05]
    return go.Figure(data=[*lines, _line(own, GENERATED, "solid", markers=True)], layout=layout)


def _smoothed(values: list[float]) -> list[float]:
    """Mean of each value and the few before it."""
    windows = [values[max(0, place + 1 - SMOOTHED) : place + 1] for place in range(len(values))]
    return [sum(window) / len(window) for window in windows]


def _line(curve: LossCurve, colour: str, dash: str, *, markers: bool = False) -> go.Scatter:
    return go.Scatter(
        x=curve.num_pairs,
        y=[round(loss, 3) for loss in curve.loss],
        name=curve.name,
        mode="lines+markers" if markers else "lines",
        line={"color": colour, "width": 2.5, "dash": dash},
        hovertemplate=f"{curve.name}, %{{x:,}} pairs: %{{y:.2f}}<extra></extra>",
    )
