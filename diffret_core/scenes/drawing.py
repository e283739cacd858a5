"""Drawing a scene; in the plain style soft backgrounds, shaded objects with a shadow, smooth edges by supersampling."""

import hashlib
import math

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFilter

from diffret_core.scenes.drawing_shifted import draw_shifted_frames
from diffret_core.scenes.outlines import FINENESS, WIDTH, shape_outlines
from diffret_core.scenes.scene import Scene, trajectory
from diffret_core.scenes.vocabulary import BACKGROUNDS, COLOURS

_SHADOW_SHIFT, _SHADOW_BLUR, _SHADOW_STRENGTH = 3, 2, 0.30  # pixels, pixels, 0..1


def draw_frames(scene: Scene) -> UInt8[np.ndarray, "F 128 128 3"]:
    """Draw every frame of a scene in its style.

    Args:
        scene: What to show.

    Returns:
        Every frame, RGB.
    """
    return draw_shifted_frames(scene) if scene.style == "shifted" else _draw_plain_frames(scene)


def frames_sha256(frames: UInt8[np.ndarray, "F H W 3"]) -> str:
    """Fingerprint of frames before encoding: SHA-256 of the shape and the RGB bytes."""
    return hashlib.sha256(f"{frames.shape}".encode() + frames.tobytes()).hexdigest()


def _draw_plain_frames(scene: Scene) -> UInt8[np.ndarray, "F 128 128 3"]:
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
    mask = Image.new("L", (size * FINENESS, size * FINENESS))
    draw = ImageDraw.Draw(mask)
    turn = complex(math.cos(angle), math.sin(angle)) * radius * FINENESS
    middle = complex(*centre) * FINENESS
    for points, value in shape_outlines(shape):
        corners = [middle + turn * complex(*point) for point in points]
        draw.polygon([(round(corner.real), round(corner.imag)) for corner in corners], fill=value)
    return mask.reduce(FINENESS)
