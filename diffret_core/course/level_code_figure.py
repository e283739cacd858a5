"""The codes of all noise levels as a picture, from noise to data."""

import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.interaction_figure import NEGATIVE
from diffret_core.course.layout import AXIS, axis_title, base_layout
from diffret_core.course.style import PAPER, SIMILARITY

_MARGIN = {"t": 64, "b": 56}
_PLOT_HEIGHT = 384
"""About: a feature takes a whole number of pixels, since others would draw lines that are not there."""


def level_code_figure(table: Float[Tensor, "K D"]) -> go.Figure:
    """Draw the sinusoidal table: a column is the code of a level, level K on the left and 1 on the right.

    Args:
        table: Codes of levels 1 to K, in this order.
    """
    num_levels, dim = table.shape
    squares = go.Heatmap(
        z=[[round(value, 2) for value in feature] for feature in table.T.tolist()],
        x=list(range(1, num_levels + 1)),
        y=list(range(dim)),
        colorscale=[[0, NEGATIVE], [0.5, PAPER], [1, SIMILARITY]],
        zmin=-1,
        zmax=1,
        colorbar={"thickness": 12, "tickvals": [-1, 0, 1]},
        hovertemplate="level %{x}, feature %{y}: %{z:.2f}<extra></extra>",
    )
    figure = go.Figure(squares, base_layout("<b>Sinusoidal code of every noise level</b>"))
    ticks = [1, *range(10, num_levels + 1, 10)]
    figure.update_layout(
        height=sum(_MARGIN.values()) + max(1, _PLOT_HEIGHT // dim) * dim,
        margin=_MARGIN,
        xaxis=AXIS | {"title": axis_title("noise level k"), "autorange": "reversed", "tickvals": ticks},
        yaxis=AXIS | {"title": axis_title("feature"), "autorange": "reversed"},
    )
    return figure
