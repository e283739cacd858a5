"""Claimed probabilities beside how often the answers are right: on the diagonal a claim can be believed."""

from collections.abc import Mapping

import plotly.graph_objects as go
from jaxtyping import Float
from torch import Tensor

from diffret_core.confidence import calibration_error
from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout
from diffret_core.course.style import FAINT, QUIET

LARGEST = 26
"""Width in pixels of the dot of the fullest bin."""


def calibration_figure(
    bins: Mapping[str, Float[Tensor, "bins 3"]], colours: Mapping[str, str], *, title: str
) -> go.Figure:
    """Draw a panel for each claim: a dot for each bin, as large as it is full.

    Args:
        bins: From `confidence.calibration`, by what is claimed.
        colours: Of each claim.
        title: What is drawn.
    """
    figure = go.Figure(layout=base_layout(f"<b>{as_plain_text(title)}</b>", height=380))
    width = 1 / len(bins)
    for panel, (name, own) in enumerate(bins.items()):
        end = "" if panel == 0 else str(panel + 1)
        domain = [panel * width + (0.05 if panel else 0), (panel + 1) * width - 0.01]
        scale = {"range": [0, 104], "showgrid": True, "gridcolor": FAINT, "dtick": 20}
        across, up = axis_title("claimed, in percent"), axis_title("right, in percent")
        figure.layout[f"xaxis{end}"] = AXIS | scale | {"domain": domain, "anchor": f"y{end}", "title": across}
        figure.layout[f"yaxis{end}"] = AXIS | scale | {"anchor": f"x{end}", "title": up if panel == 0 else {}}
        line = {"color": QUIET, "dash": "dash", "width": 2}
        axes = {"xaxis": f"x{end}", "yaxis": f"y{end}"}
        figure.add_scatter(x=[0, 100], y=[0, 100], mode="lines", line=line, hoverinfo="skip", **axes)
        figure.add_trace(_dots(own, colours[name]).update(axes))
        told = f"<b>{as_plain_text(name)}</b>: off by {100 * calibration_error(own):.1f} points"
        note = {"text": told, "x": domain[0], "y": 1.02, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
        figure.add_annotation(note | {"xref": "paper", "yref": "paper", "font": {"color": colours[name]}})
    return figure


def _dots(bins: Float[Tensor, "bins 3"], colour: str) -> go.Scatter:
    full = bins[bins[:, 2] > 0]
    claimed, right, number = (100 * full[:, 0]).tolist(), (100 * full[:, 1]).tolist(), full[:, 2].tolist()
    return go.Scatter(
        x=[round(one, 1) for one in claimed],
        y=[round(one, 1) for one in right],
        mode="lines+markers",
        line={"color": colour, "width": 2},
        marker={"color": colour, "size": [6 + (LARGEST - 6) * (one / max(number)) ** 0.5 for one in number]},
        customdata=[f"{one:.0f} answers" for one in number],
        hovertemplate="claimed %{x} %, right %{y} %<br>%{customdata}<extra></extra>",
        cliponaxis=False,
    )
