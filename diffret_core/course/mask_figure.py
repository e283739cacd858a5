"""A mask as a picture: what is real and what is padding, one row a text or a video."""

from collections.abc import Sequence

import plotly.graph_objects as go
from jaxtyping import Bool
from torch import Tensor

from diffret_core.course.layout import AXIS, as_plain_text, axis_title, base_layout
from diffret_core.course.style import FAINT, SIMILARITY


def mask_figure(mask: Bool[Tensor, "R L"], title: str, names: Sequence[str], *, places: str) -> go.Figure:
    """Draw a mask: blue where something is real, grey where there is padding.

    Args:
        mask: True where something is real.
        title: What is drawn.
        names: Name of each row, told when the pointer rests on it.
        places: What the columns are: "token" or "frame".
    """
    num_rows, num_places = mask.shape
    said = [[as_plain_text(name)] * num_places for name in names]
    squares = go.Heatmap(
        z=mask.int().tolist(),
        x=list(range(num_places)),
        customdata=said,
        colorscale=[[0, FAINT], [1, SIMILARITY]],
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=1,
        ygap=1,
        hovertemplate=f"{places} %{{x}} of “%{{customdata}}”: %{{z}}<extra></extra>",
    )
    figure = go.Figure(squares, base_layout(f"<b>{as_plain_text(title)}</b>", height=130 + 11 * num_rows))
    figure.update_layout(
        xaxis=AXIS | {"title": axis_title(f"place of the {places}"), "dtick": 4 if num_places > 16 else 1},
        yaxis=AXIS | {"autorange": "reversed", "showticklabels": False, "ticks": ""},
    )
    for place, words, share in ((0, "real", mask.float().mean()), (num_places - 1, "padding", (~mask).float().mean())):
        figure.add_annotation(
            {"text": f"<b>{words}</b> {share:.0%}", "x": place, "xanchor": "left" if place == 0 else "right"}
            | {"y": 1.0, "yref": "paper", "yanchor": "bottom", "showarrow": False}
        )
    return figure
