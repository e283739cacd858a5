"""What all plotly figures have in common: their paper, their words, and a slider that needs no kernel."""

from collections.abc import Sequence

import plotly.graph_objects as go

from diffret_core.course.style import FAINT, FONT, INK, PAPER, PLACES, QUIET

AXIS = {"showgrid": False, "zeroline": False, "color": INK, "fixedrange": True}
"""An axis without a grid, which cannot be dragged away by accident."""


def axis_title(words: str) -> dict:
    """The title of an axis, in the size of its numbers and close to them."""
    return {"text": words, "standoff": 4, "font": {"size": 13}}


def base_layout(title: str, *, height: int = 360) -> go.Layout:
    """Lay out a figure in the style of the course; change what differs with `update`.

    Args:
        title: Title; HTML such as <b> and <br> is kept.
        height: Height in pixels; the width is the page's.
    """
    return go.Layout(
        template="none",
        height=height,
        margin={"l": 64, "r": 40, "t": 64, "b": 56},
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        font={"family": FONT, "size": 13, "color": INK},
        title={"text": title, "x": 0.02, "font": {"size": 14}},
        xaxis=AXIS,
        yaxis=AXIS,
        hovermode="closest",
        showlegend=False,
    )


def slider(names: Sequence[str], prefix: str) -> dict:
    """Make a slider that goes through the frames of a figure.

    Args:
        names: Names of the frames, in order; the name of the present one is shown.
        prefix: What is said before it.
    """
    steps = [{"label": as_plain_text(name), "method": "animate", "args": [[name], at_once(0)]} for name in names]
    return {
        "steps": steps,
        "active": 0,
        "x": 0,
        "len": 1,
        "y": 0.02,
        "yanchor": "top",
        "pad": {"t": 0, "b": 0, "l": 0, "r": 0},
        "ticklen": 0,
        "minorticklen": 0,
        "font": {"color": "rgba(0,0,0,0)", "size": 1},  # the steps' labels serve the present value, they are not drawn
        "currentvalue": {"prefix": prefix, "xanchor": "center", "font": {"size": 15, "color": INK}},
        "bgcolor": FAINT,
        "activebgcolor": PLACES[0].colour,
        "bordercolor": QUIET,
    }


def at_once(milliseconds: int) -> dict:
    """Plotly's options for going to a frame, and staying there for some time, without gliding."""
    return {
        "mode": "immediate",
        "frame": {"duration": milliseconds, "redraw": True},
        "transition": {"duration": 0},
    }


def as_plain_text(text: str) -> str:
    """Text that plotly does not take for markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
