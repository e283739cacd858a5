"""Drawing a scene: soft backgrounds, shaded objects with a shadow, edges smoothed by supersampling."""

import hashlib
import math

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFilter

from diffret_core.scenes.scene import Scene, trajectory
from diffret_core.scenes.vocabulary import BACKGROUNDS, COLOURS

WIDTH = 128
"""Pixels in width and height; decord2 misreads some other small widths."""
_FINENESS = 4  # drawn this many times larger, then averaged
_SHADOW_SHIFT, _SHADOW_BLUR, _SHADOW_STRENGTH = 3, 2, 0.30  # pixels, pixels, 0..1
_Points = list[tuple[float, float]]


def draw_frames(scene: Scene) -> UInt8[np.ndarray, "F 128 128 3"]:
    """Draw every frame of a scene.

    Args:
        scene: What to show.

    Returns:
        Every frame, RGB.
    """
    background = Image.fromarray(_background(scene))
    paths = [trajectory(actor, scene.num_frames) for actor in scene.actors]
    fills = [_fill(actor.colour) for actor in scene.actors]
    frames = np.empty((scene.num_frames, WIDTH, WIDTH, 3), dtype=np.uint8)
    for frame in range(scene.num_frames):
        picture = background.copy()
        for actor, path, fill in zip(scene.actors, paths, fills, strict=True):
            _draw_actor(picture, actor.shape, path[frame], fill)
        frames[frame] = np.asarray(picture)
    return frames


def frames_sha256(frames: UInt8[np.ndarray, "F H W 3"]) -> str:
    """Fingerprint of frames before encoding: SHA-256 of the shape and the RGB bytes."""
    return hashlib.sha256(f"{frames.shape}".encode() + frames.tobytes()).hexdigest()


def _background(scene: Scene) -> UInt8[np.ndarray, "128 128 3"]:
    y, x = np.mgrid[0:WIDTH, 0:WIDTH] / WIDTH
    distance = np.sqrt((x - scene.glow[0]) ** 2 + (y - scene.glow[1]) ** 2)
    light = 1.12 - 0.30 * np.minimum(distance, 1.0)
    return np.clip(np.array(BACKGROUNDS[scene.background]) * light[..., None], 0, 255).round().astype(np.uint8)


def _fill(colour: str) -> Image.Image:
    """Shade a colour from light at the top to dark at the bottom; resized to each object."""
    light = np.linspace(26, -26, 32)[:, None]
    rows = np.clip(np.array(COLOURS[colour]) + light, 0, 255).round().astype(np.uint8)
    return Image.fromarray(np.repeat(rows[:, None], 2, axis=1))


def _draw_actor(picture: Image.Image, shape: str, place: Float[np.ndarray, " 4"], fill: Image.Image) -> None:
    x, y, angle, radius = (float(value) for value in place)
    half = math.ceil(radius * WIDTH * 1.25) + 3 * _SHADOW_BLUR  # room for the points of a star and for the blur
    left, top = math.floor(x * WIDTH) - half, math.floor(y * WIDTH) - half
    centre = (x * WIDTH - left, y * WIDTH - top)
    mask = _mask(shape, 2 * half + 1, centre, angle, radius * WIDTH)
    shadow = mask.filter(ImageFilter.GaussianBlur(_SHADOW_BLUR)).point(lambda value: round(value * _SHADOW_STRENGTH))
    picture.paste((10, 10, 30), (left, top + _SHADOW_SHIFT), shadow)
    box = (round(centre[0] - radius * WIDTH), round(centre[1] - radius * WIDTH))
    shaded = Image.new("RGB", mask.size, fill.getpixel((0, 16)))
    shaded.paste(fill.resize((mask.size[0], mask.size[1] - 2 * min(box))), (0, min(box)))
    picture.paste(shaded, (left, top), mask)


def _mask(shape: str, size: int, centre: tuple[float, float], angle: float, radius: float) -> Image.Image:
    mask = Image.new("L", (size * _FINENESS, size * _FINENESS))
    draw = ImageDraw.Draw(mask)
    turn = complex(math.cos(angle), math.sin(angle)) * radius * _FINENESS
    middle = complex(*centre) * _FINENESS
    for points, value in _outlines(shape):
        corners = [middle + turn * complex(*point) for point in points]
        draw.polygon([(round(corner.real), round(corner.imag)) for corner in corners], fill=value)
    return mask.reduce(_FINENESS)


def _outlines(shape: str) -> list[tuple[_Points, int]]:
    """Outlines of a shape of radius about 1 with the value each is filled with: 255 paints, 0 cuts out."""
    if shape == "ring":
        return [(_regular(48, 1.0), 255), (_regular(48, 0.55), 0)]
    if shape == "moon":
        return [(_regular(48, 1.05), 255), (_regular(48, 0.86, (0.52, -0.22)), 0)]
    outlines = {
        "circle": _regular(48, 0.95),
        "square": _regular(4, 1.18, turn=math.pi / 4),
        "triangle": _regular(3, 1.2, (0.0, 0.18), turn=-math.pi / 2),
        "star": _star(),
        "heart": _heart(),
        "diamond": [(0.0, -1.2), (0.72, 0.0), (0.0, 1.2), (-0.72, 0.0)],
        "cross": _cross(1.05, 0.36),
    }
    return [(outlines[shape], 255)]


def _regular(
    num_corners: int, radius: float, middle: tuple[float, float] = (0.0, 0.0), *, turn: float = 0.0
) -> _Points:
    angles = [turn + 2 * math.pi * corner / num_corners for corner in range(num_corners)]
    return [(middle[0] + radius * math.cos(angle), middle[1] + radius * math.sin(angle)) for angle in angles]


def _star() -> _Points:
    outer, inner = _regular(5, 1.2, turn=-math.pi / 2), _regular(5, 0.52, turn=-math.pi / 2 + math.pi / 5)
    return [point for pair in zip(outer, inner, strict=True) for point in pair]


def _heart() -> _Points:
    """The classical heart curve, 16 sin^3 across and four cosines upwards."""
    angles = [2 * math.pi * step / 48 for step in range(48)]
    wide = [16 * math.sin(angle) ** 3 for angle in angles]
    high = [13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a) for a in angles]
    return [(x / 15.5, -(y + 2) / 15.5) for x, y in zip(wide, high, strict=True)]


def _cross(reach: float, half_width: float) -> _Points:
    r, w = reach, half_width
    return [(-w, -r), (w, -r), (w, -w), (r, -w), (r, w), (w, w), (w, r), (-w, r), (-w, w), (-r, w), (-r, -w), (-w, -w)]
