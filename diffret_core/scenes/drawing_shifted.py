"""Scenes as if drawn by hand: flat fills with a texture, wobbly ink outlines, patterned paper, another palette.

The words for what is seen are those of the plain style; only the look is another.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageChops, ImageDraw

from diffret_core.randomness import numpy_generator
from diffret_core.scenes.outlines import FINENESS, WIDTH, shape_outlines
from diffret_core.scenes.scene import Actor, Scene, trajectory
from diffret_core.scenes.textures import Polygon, dots, hatching, stripes, waves

_RGB = tuple[int, int, int]

SHIFTED_COLOURS: dict[str, _RGB] = {
    "red": (190, 22, 34),
    "orange": (255, 146, 60),
    "yellow": (250, 230, 84),
    "green": (24, 126, 62),
    "blue": (24, 76, 176),
    "purple": (134, 46, 148),
    "pink": (238, 88, 150),
    "black": (40, 36, 36),
    "white": (248, 245, 234),
}
"""Name of an object's colour and what it is filled with, under its texture."""

SHIFTED_BACKGROUNDS: dict[str, _RGB] = {
    "grey": (146, 146, 142),
    "light blue": (178, 224, 236),
    "light green": (202, 232, 160),
    "pink": (250, 184, 196),
    "beige": (216, 198, 156),
    "dark blue": (18, 50, 108),
}
"""Name of a background and the colour of its paper, under the pattern."""

_DARK_INK, _LIGHT_INK = (38, 32, 36), (250, 244, 226)
_INK_WIDTH = 1.7  # pixels
_WOBBLE, _WOBBLE_STEP = 0.027, 0.12  # shift and spacing of an outline's points, as fractions of the radius
_OBJECT_CONTRAST, _PAPER_CONTRAST = 0.24, 0.12  # of a texture with what lies under it, 0..1
_BRIGHT = 120  # mean of R, G and B above which a texture is darker than what lies under it


@dataclass(frozen=True)
class _Sketch:
    """An object ready to be drawn anywhere: polygons for a radius of 1 around the origin, and their colours."""

    outlines: list[tuple[Polygon, int]]
    texture: list[Polygon]
    fill: _RGB
    tone: _RGB
    ink: _RGB


def draw_shifted_frames(scene: Scene) -> UInt8[np.ndarray, "F 128 128 3"]:
    """Draw every frame of a scene in the style "shifted".

    Args:
        scene: What to show. Its glow only decides which pattern the paper has.

    Returns:
        Every frame, RGB.
    """
    paper = _paper(scene)
    paths = [trajectory(actor, scene.num_frames) for actor in scene.actors]
    sketches = [_sketch(actor, scene.background) for actor in scene.actors]
    frames = np.empty((scene.num_frames, WIDTH, WIDTH, 3), dtype=np.uint8)
    for frame in range(scene.num_frames):
        picture = paper.copy()
        for sketch, path in zip(sketches, paths, strict=True):
            _draw_sketch(picture, sketch, path[frame])
        frames[frame] = np.asarray(picture)
    return frames


def _paper(scene: Scene) -> Image.Image:
    rng = numpy_generator(0, "paper of a shifted scene", f"{scene.background} {scene.glow}")
    patterns = (
        hatching(0.22, 0.028, 0.0),
        dots(0.2, 0.075, 0.0),
        stripes(0.2, 0.07, -math.pi / 4),
        waves(0.2, 0.045, 0.0),
    )
    pattern = patterns[int(rng.random() * len(patterns))]
    colour = SHIFTED_BACKGROUNDS[scene.background]
    fine = Image.new("RGB", (WIDTH * FINENESS, WIDTH * FINENESS), colour)
    half = complex(WIDTH * FINENESS / 2)  # patterns reach from -1 to 1 and beyond
    _fill_polygons(ImageDraw.Draw(fine), pattern, half, half * (1 + 1j), _tone(colour, _PAPER_CONTRAST))
    return fine.reduce(FINENESS)


def _sketch(actor: Actor, background: str) -> _Sketch:
    rng = numpy_generator(0, "sketch of a shifted object", f"{actor.shape} {actor.colour} {actor.start}")
    angle = math.pi * rng.random()
    textures = (stripes(0.46, 0.2, angle), hatching(0.5, 0.11, angle), dots(0.5, 0.27, angle), waves(0.46, 0.16, angle))
    colour = SHIFTED_COLOURS[actor.colour]
    return _Sketch(
        outlines=[(_wobbly(np.array(points) @ (1, 1j), rng), value) for points, value in shape_outlines(actor.shape)],
        texture=textures[int(rng.random() * len(textures))],
        fill=colour,
        tone=_tone(colour, _OBJECT_CONTRAST),
        ink=_LIGHT_INK if actor.colour == "black" or background == "dark blue" else _DARK_INK,
    )


def _tone(colour: _RGB, contrast: float) -> _RGB:
    """Darken a bright colour, lighten a dark one."""
    target = 0 if sum(colour) / 3 > _BRIGHT else 255
    red, green, blue = (round(value + contrast * (target - value)) for value in colour)
    return red, green, blue


def _wobbly(corners: Polygon, rng: np.random.Generator) -> Polygon:
    """Split the edges of a polygon into short ones and shift their ends, as an unsteady hand does."""
    pieces = []
    for corner, following in zip(corners, np.roll(corners, -1), strict=True):
        num_steps = math.ceil(abs(following - corner) / _WOBBLE_STEP)
        pieces.append(corner + (following - corner) * np.arange(num_steps) / num_steps)
    points = np.concatenate(pieces)
    around = 2 * math.pi * np.arange(len(points)) / len(points)
    shift = sum(np.sin(num_waves * around + 2 * math.pi * rng.random()) for num_waves in (3, 5, 8))
    drift = sum(np.sin(num_waves * around + 2 * math.pi * rng.random()) for num_waves in (2, 7, 9))
    return points + _WOBBLE / 2 * (shift + 1j * drift)


def _draw_sketch(picture: Image.Image, sketch: _Sketch, place: Float[np.ndarray, " 4"]) -> None:
    x, y, angle, radius = (float(value) for value in place)
    half = math.ceil(radius * WIDTH * 1.25 + _INK_WIDTH) + 1  # room for the points of a star and for the ink
    left, top = math.floor(x * WIDTH) - half, math.floor(y * WIDTH) - half
    middle = complex(x * WIDTH - left, y * WIDTH - top) * FINENESS
    turn = complex(math.cos(angle), math.sin(angle)) * radius * WIDTH * FINENESS
    fine = Image.new("RGB", ((2 * half + 1) * FINENESS,) * 2, sketch.fill)
    _fill_polygons(ImageDraw.Draw(fine), sketch.texture, turn, middle, sketch.tone)
    outlines = [(turn * points + middle, value) for points, value in sketch.outlines]
    picture.paste(sketch.ink, (left, top), _mask(outlines, fine.size, _INK_WIDTH))
    picture.paste(fine.reduce(FINENESS), (left, top), _mask(outlines, fine.size, 0.0))


def _mask(outlines: list[tuple[Polygon, int]], size: tuple[int, int], margin: float) -> Image.Image:
    """Paint a shape with a margin of so many pixels around it and inside what is cut out of it."""
    mask = Image.new("L", size)
    for points, value in outlines:
        layer = Image.new("L", size)
        draw = ImageDraw.Draw(layer)
        draw.polygon(_pixels(points), fill=255)
        if margin > 0:
            closed = np.append(points, points[:2])  # the second point again, so that the last corner is rounded too
            draw.line(_pixels(closed), fill=value, width=round(2 * margin * FINENESS), joint="curve")
        mask = ImageChops.lighter(mask, layer) if value else ImageChops.subtract(mask, layer)
    return mask.reduce(FINENESS)


def _fill_polygons(
    draw: ImageDraw.ImageDraw, polygons: list[Polygon], turn: complex, middle: complex, colour: _RGB
) -> None:
    for polygon in polygons:
        draw.polygon(_pixels(turn * polygon + middle), fill=colour)


def _pixels(points: Polygon) -> list[tuple[int, int]]:
    return [(round(point.real), round(point.imag)) for point in points.tolist()]
