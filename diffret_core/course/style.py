"""One look for all figures: colours that colour-blind eyes tell apart, always joined by a dash, a marker or a label."""

from typing import NamedTuple

INK = "#22262b"
QUIET = "#9aa1a9"
FAINT = "#cdd2d7"
PAPER = "#fcfcfa"
"""Figures bring their own paper, so that they read the same on light and on dark pages."""

SIMILARITY = "#0072b2"
GENERATED = "#d55e00"
COMBINED = "#009e73"
"""One colour for each score, the same in every figure and table."""

FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


class Place(NamedTuple):
    """How a candidate that ends among the first is drawn.

    Attributes:
        label: What is written on its bar and its line.
        colour: Colour of both.
        dash: Dash of its line, as plotly calls it.
        linestyle: The same for matplotlib.
    """

    label: str
    colour: str
    dash: str
    linestyle: str


PLACES: tuple[Place, ...] = (
    Place("1st", GENERATED, "solid", "-"),
    Place("2nd", "#e69f00", "dash", "--"),
    Place("3rd", "#b4558f", "dot", ":"),
)
