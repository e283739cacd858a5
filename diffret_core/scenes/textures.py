"""Textures as polygons: stripes, hatching, dots and waves over a square around the origin."""

import cmath
import math

import numpy as np
from jaxtyping import Complex

from diffret_core.scenes.outlines import regular_corners

Polygon = Complex[np.ndarray, " _"]
"""Corners as x + iy, so that one product turns and resizes them all."""

_REACH = 1.5  # half the square's side: covers every shape, and a frame from -1 to 1 also when turned


def stripes(spacing: float, width: float, angle: float) -> list[Polygon]:
    """Lay parallel stripes.

    Args:
        spacing: From middle to middle.
        width: Of a stripe.
        angle: Of the stripes with the x axis, in radians, clockwise.

    Returns:
        A polygon for each stripe.
    """
    corners = np.array([-_REACH - 0.5j * width, _REACH - 0.5j * width, _REACH + 0.5j * width, -_REACH + 0.5j * width])
    return [cmath.exp(1j * angle) * (corners + 1j * shift) for shift in _places(spacing)]


def hatching(spacing: float, width: float, angle: float) -> list[Polygon]:
    """Lay stripes that cross at right angles; arguments as of `stripes`."""
    return stripes(spacing, width, angle) + stripes(spacing, width, angle + math.pi / 2)


def dots(spacing: float, width: float, angle: float) -> list[Polygon]:
    """Lay round dots in rows, every second row shifted by half a step.

    Args:
        spacing: Between neighbours of a row.
        width: Of a dot.
        angle: Of the rows with the x axis, in radians, clockwise.

    Returns:
        A polygon for each dot.
    """
    disc = np.array([complex(*corner) for corner in regular_corners(12, width / 2)])
    middles = [
        x + (row % 2) * spacing / 2 + 1j * y
        for row, y in enumerate(_places(spacing * math.sqrt(3) / 2))
        for x in _places(spacing)
    ]
    return [cmath.exp(1j * angle) * (disc + middle) for middle in middles]


def waves(spacing: float, width: float, angle: float) -> list[Polygon]:
    """Lay parallel wavy lines; arguments as of `stripes`."""
    x = np.linspace(-_REACH, _REACH, round(8 * _REACH / spacing))
    line = x + 0.28j * spacing * np.sin(math.pi * x / spacing)
    band = np.concatenate([line - 0.5j * width, line[::-1] + 0.5j * width])
    return [cmath.exp(1j * angle) * (band + 1j * shift) for shift in _places(spacing)]


def _places(spacing: float) -> list[float]:
    """Places `spacing` apart on either side of 0, which lies midway between two."""
    half = math.ceil(_REACH / spacing)
    return [(number + 0.5) * spacing for number in range(-half, half)]
