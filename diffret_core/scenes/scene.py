"""A scene as plain data: who is in it, how each moves; and where everything is at every moment."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from diffret_core.scenes.vocabulary import RADII, RELATIONS, TRAVELS

FRAMES_PER_SECOND = 12
SMALLEST_SCALE, LARGEST_SCALE = 0.6, 1.4
"""An object that grows or shrinks goes from one to the other of these multiples of its radius."""
_TURNS_PER_SECOND = 0.33
_Values = Float[np.ndarray, " F"] | float


@dataclass(frozen=True)
class Actor:
    """One object of a scene.

    Attributes:
        shape: One of `SHAPES`.
        colour: One of `COLOURS`.
        size: One of `RADII`; "medium" for whatever grows or shrinks, so that no size is claimed of it.
        motions: One motion for the whole video, or two, each for one half.
        start: Position x, y at the first frame, as fractions of the frame; y points down.
        reach: Length of a travel along a line, as a fraction of the frame.
        clockwise: Sense of spins and loops.
    """

    shape: str
    colour: str
    size: str
    motions: tuple[str, ...]
    start: tuple[float, float]
    reach: float
    clockwise: bool

    @property
    def resizes(self) -> bool:
        """Whether the object changes its size."""
        return "grow" in self.motions or "shrink" in self.motions


@dataclass(frozen=True)
class Scene:
    """A whole video before it is drawn.

    Attributes:
        kind: "motion" (one object, one motion), "order" (one object, two motions), "relation" (two objects, one beside
            the other throughout), "pair" (two objects moving at once) or "turns" (two objects moving in turn).
        background: One of `BACKGROUNDS`.
        glow: Where the background is brightest, as fractions of the frame.
        actors: One or two objects; captions of "relation" and "turns" take them in this order.
        num_frames: Length at 12 frames a second.
        relation: One of `RELATIONS`, of the first object to the second; None outside the kind "relation".
        style: One of `STYLES`.
        exchanged: One of `exchange.EXCHANGES` if this scene shows what the one before it shows, with that exchanged.
    """

    kind: str
    background: str
    glow: tuple[float, float]
    actors: tuple[Actor, ...]
    num_frames: int
    relation: str | None = None
    style: str = "plain"
    exchanged: str | None = None

    @property
    def seconds(self) -> float:
        """Length of the video."""
        return self.num_frames / FRAMES_PER_SECOND


def trajectory(actor: Actor, num_frames: int) -> Float[np.ndarray, "F 4"]:
    """Follow one object through the video.

    Args:
        actor: The object.
        num_frames: Frames of the video.

    Returns:
        `[num_frames, 4]`: centre x and y, angle in radians, radius; lengths as fractions of the frame.
    """
    progress = np.arange(num_frames) / (num_frames - 1) * len(actor.motions)
    x, y, angle, factor = np.array([actor.start[0], actor.start[1], 0.0, 1.0])[:, None] + np.zeros(num_frames)
    for part, motion in enumerate(actor.motions):
        u = np.clip(progress - part, 0.0, 1.0)
        moved_x, moved_y, turned, resized = _motion(actor, motion, u, num_frames / len(actor.motions))
        x, y, angle, factor = x + moved_x, y + moved_y, angle + turned, factor * resized
    first_resize = next((motion for motion in actor.motions if motion in ("grow", "shrink")), None)
    scale = {None: 1.0, "grow": SMALLEST_SCALE, "shrink": LARGEST_SCALE}[first_resize]
    return np.stack([x, y, angle, RADII[actor.size] * scale * factor], axis=1)


def distance_along(first: Actor, second: Actor, relation: str, num_frames: int) -> Float[np.ndarray, " F"]:
    """Measure how far the first object lies from the second in a relation's direction.

    Args:
        first: The object of which the relation is said.
        second: The object to which it stands in the relation.
        relation: One of `RELATIONS`.
        num_frames: Frames of the video.

    Returns:
        `[num_frames]`: distance of the centres along that direction, negative on the other side.
    """
    path, other = (trajectory(actor, num_frames)[:, :2] for actor in (first, second))
    return (path - other) @ np.array(RELATIONS[relation])


def _motion(
    actor: Actor, motion: str, u: Float[np.ndarray, " F"], num_frames: float
) -> tuple[_Values, _Values, _Values, _Values]:
    """Return shift x, y, angle and factor of size at progress u of one motion, 0..1, over its share of the frames."""
    seconds = num_frames / FRAMES_PER_SECOND
    sense = 1 if actor.clockwise else -1
    if motion in TRAVELS:
        x, y = TRAVELS[motion]
        return x * actor.reach * _ease(u), y * actor.reach * _ease(u), 0.0, 1.0
    if motion == "bounce":
        num_bounces, height = max(2, round(seconds / 0.75)), 0.5 * actor.reach
        return 0.0, -height * np.abs(np.sin(np.pi * num_bounces * u)), 0.0, 1.0
    if motion == "spin":
        return 0.0, 0.0, sense * 2 * np.pi * _TURNS_PER_SECOND * seconds * u, 1.0
    if motion == "loop":
        radius, angle = 0.36 * actor.reach, 2 * np.pi * u
        return sense * radius * np.sin(angle), radius * (1 - np.cos(angle)), 0.0, 1.0
    if motion in ("grow", "shrink"):
        factor = LARGEST_SCALE / SMALLEST_SCALE
        return 0.0, 0.0, 0.0, factor ** (_ease(u) if motion == "grow" else -_ease(u))
    return 0.0, 0.0, 0.0, 1.0


def _ease(u: Float[np.ndarray, " F"]) -> Float[np.ndarray, " F"]:
    return 0.5 * u + 0.5 * u * u * (3 - 2 * u)  # soft start and end, yet in motion at every frame
