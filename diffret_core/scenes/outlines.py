"""The outline of every shape, in the shape's own coordinates; shared by both styles of drawing."""

import math

Points = list[tuple[float, float]]

WIDTH = 128
"""Pixels in width and height; decord2 misreads some other small widths."""
FINENESS = 4
"""Drawn this many times larger, then averaged."""


def shape_outlines(shape: str) -> list[tuple[Points, int]]:
    """Give the outlines of a shape of radius about 1 around the origin; y points down.

    Args:
        shape: One of `SHAPES`.

    Returns:
        Outlines in the order of painting, each with the value it is filled with: 255 paints, 0 cuts out.
    """
    if shape == "ring":
        return [(regular_corners(48, 1.0), 255), (regular_corners(48, 0.55), 0)]
    if shape == "moon":
        return [(regular_corners(48, 1.05), 255), (regular_corners(48, 0.86, (0.52, -0.22)), 0)]
    outlines = {
        "circle": regular_corners(48, 0.95),
        "square": regular_corners(4, 1.18, turn=math.pi / 4),
        "triangle": regular_corners(3, 1.2, (0.0, 0.18), turn=-math.pi / 2),
        "star": _star(),
        "heart": _heart(),
        "diamond": [(0.0, -1.2), (0.72, 0.0), (0.0, 1.2), (-0.72, 0.0)],
        "cross": _cross(1.05, 0.36),
    }
    return [(outlines[shape], 255)]


def regular_corners(
    num_corners: int, radius: float, middle: tuple[float, float] = (0.0, 0.0), *, turn: float = 0.0
) -> Points:
    """Place corners evenly on a circle.

    Args:
        num_corners: How many.
        radius: Of the circle.
        middle: Of the circle.
        turn: Angle of the first corner in radians, clockwise from the right.

    Returns:
        The corners, clockwise.
    """
    angles = [turn + 2 * math.pi * corner / num_corners for corner in range(num_corners)]
    return [(middle[0] + radius * math.cos(angle), middle[1] + radius * math.sin(angle)) for angle in angles]


def _star() -> Points:
    outer = regular_corners(5, 1.2, turn=-math.pi / 2)
    inner = regular_corners(5, 0.52, turn=-math.pi / 2 + math.pi / 5)
    return [point for pair in zip(outer, inner, strict=True) for point in pair]


def _heart() -> Points:
    """The classical heart curve, 16 sin^3 across and four cosines upwards."""
    angles = [2 * math.pi * step / 48 for step in range(48)]
    wide = [16 * math.sin(angle) ** 3 for angle in angles]
    high = [13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a) for a in angles]
    return [(x / 15.5, -(y + 2) / 15.5) for x, y in zip(wide, high, strict=True)]


def _cross(reach: float, half_width: float) -> Points:
    r, w = reach, half_width
    return [(-w, -r), (w, -r), (w, -w), (r, -w), (r, w), (w, w), (w, r), (-w, r), (-w, w), (-r, w), (-r, -w), (-w, -w)]
