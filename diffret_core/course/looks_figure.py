"""What looking often at one test does: the best of many looks, simulated, beside a single one."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout, slider
from diffret_core.course.style import INK, PLACES, QUIET
from diffret_core.randomness import numpy_generator

Number = float | int
NUM_TESTS = 50_000
_BIN = 0.25
_LINES = ((QUIET, "dot"), (PLACES[1].colour, "dash"), (PLACES[2].colour, "solid"))


def best_of_looks(num_looks: Sequence[int], correlation: Number, error: Number) -> dict[int, Float[np.ndarray, " R"]]:
    """Simulate how far the best of some looks at a test lies from the truth, all looks being equally good in truth.

        look_m = error * (sqrt(correlation) * common + sqrt(1 - correlation) * own_m)

    Both parts are standard normal; the common one is what all looks share, since they ask the same queries.

    Args:
        num_looks: How many looks there are, several choices.
        correlation: Of two looks, from 0 to 1.
        error: Standard error of one look.

    Returns:
        Distance of the best look from the truth in each of `NUM_TESTS` simulated tests, by number of looks.
    """
    draw = numpy_generator(0, "looks at a test")
    common = draw.standard_normal(NUM_TESTS)
    own = draw.standard_normal((NUM_TESTS, max(num_looks)))
    best = np.maximum.accumulate(own, axis=1)
    shared, apart = np.sqrt(correlation) * common, np.sqrt(1 - correlation)
    return {number: error * (shared + apart * best[:, number - 1]) for number in num_looks}


def looks_figure(best: Mapping[str, Mapping[int, Float[np.ndarray, " R"]]], error: Number) -> go.Figure:
    """Draw how the best look is spread around the truth, under a slider over the number of looks; it begins with most.

    Args:
        best: From `best_of_looks`, by what is assumed of the looks; at most two assumptions.
        error: Standard error of one look.
    """
    numbers = list(next(iter(best.values())))
    reach = 4.5 * error
    edges = np.arange(-reach, reach + _BIN, _BIN)
    single = _line(next(iter(best.values()))[numbers[0]], edges, "one look", 0)
    frames = []
    for number in numbers:
        lines = [_line(by_number[number], edges, name, row) for row, (name, by_number) in enumerate(best.items(), 1)]
        means = "; ".join(f"{as_plain_text(name)} {by[number].mean():+.1f}" for name, by in best.items())
        title = f"<b>Best of {number}, on average too high by</b>: {means} points"
        frames.append(
            go.Frame(name=f"{number}", data=lines, traces=list(range(1, 1 + len(lines))), layout={"title.text": title})
        )
    last = frames[-1]
    figure = go.Figure([single, *last.data], base_layout(last.layout.title.text, height=380), frames)
    figure.update_layout(
        margin={"l": 40, "r": 30, "t": 84, "b": 96},
        xaxis=AXIS | {"range": [-reach, reach], "title": axis_title("R@1 found, minus the true one, in points")},
        yaxis=AXIS | {"range": [0, 1.15 * _highest(frames)], "showticklabels": False, "title": axis_title("how often")},
        shapes=[{"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": INK}}],
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "font": {"size": 12}},
        sliders=[
            slider([frame.name for frame in frames], "number of looks ") | {"y": -0.24, "active": len(frames) - 1}
        ],
    )
    return figure


def _highest(frames: Sequence[go.Frame]) -> float:
    return max(max(line.y) for frame in frames for line in frame.data)


def _line(values: Float[np.ndarray, " R"], edges: Float[np.ndarray, " E"], name: str, style: int) -> go.Scatter:
    """Histogram of values as a line."""
    colour, dash = _LINES[style]
    heights = np.histogram(values, edges)[0] / len(values)
    return go.Scatter(
        x=((edges[:-1] + edges[1:]) / 2).round(3).tolist(),
        y=heights.round(4).tolist(),
        name=name,
        mode="lines",
        line={"color": colour, "width": 3, "dash": dash, "shape": "spline"},
        hoverinfo="skip",
    )
