"""Drawing scenes at random: every scene belongs to its seed, split and index, and shows clearly what it is about."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from diffret_core.randomness import numpy_generator
from diffret_core.scenes.scene import FRAMES_PER_SECOND, Actor, Scene, distance_along, trajectory
from diffret_core.scenes.vocabulary import BACKGROUNDS, COLOURS, HIDDEN, MOTIONS, RADII, RELATIONS, ROUND, SHAPES

KIND_SHARES: dict[str, float] = {"motion": 0.50, "order": 0.20, "relation": 0.12, "pair": 0.10, "turns": 0.08}
_SECONDS = (2.0, 3.0)
_EDGE = 0.03  # what stays free along the frame's edge and between two objects, as a fraction of the frame
_CLEARLY_BESIDE = 0.26  # distance of centres along a relation's direction, at every moment
_MOVES_BESIDE = {"above": ("left", "right", "spin", "grow", "shrink"), "left of": ("bounce", "spin", "grow", "shrink")}
_MOVES_BESIDE |= {"below": _MOVES_BESIDE["above"], "right of": _MOVES_BESIDE["left of"]}
_Choice = TypeVar("_Choice")


def choose(rng: np.random.Generator, options: Sequence[_Choice]) -> _Choice:
    """Pick one option; built on `rng.random()` alone, whose stream NumPy keeps from version to version."""
    return options[int(rng.random() * len(options))]


def sample_scene(seed: int, split: str, index: int, *, attempt: int = 0) -> Scene:
    """Draw one scene.

    Args:
        seed: The collection's seed.
        split: Name of the split; splits with other names hold independent scenes.
        index: Which scene of the split, from 0.
        attempt: Another number draws another scene for the same place in the collection.

    Returns:
        A scene whose objects stay inside the frame and apart from each other.
    """
    rng = numpy_generator(seed, f"scene of {split}", f"{index}, attempt {attempt}")
    kind = _choose_kind(rng)
    while True:  # a scene in eight fits; the loop ends with probability 1
        scene = _propose(rng, kind)
        if scene is not None and _fits(scene):
            return scene


def _choose_kind(rng: np.random.Generator) -> str:
    draw = rng.random()
    for kind, share in KIND_SHARES.items():
        draw -= share
        if draw < 0:
            return kind
    return kind


def _propose(rng: np.random.Generator, kind: str) -> Scene | None:
    background = choose(rng, tuple(BACKGROUNDS))
    relation = choose(rng, tuple(RELATIONS)) if kind == "relation" else None
    num_frames = round((_SECONDS[0] + rng.random() * (_SECONDS[1] - _SECONDS[0])) * FRAMES_PER_SECOND)
    actors = [_propose_actor(rng, background, motions, num_frames) for motions in _choose_motions(rng, kind, relation)]
    found = tuple(actor for actor in actors if actor is not None)
    if len(found) < len(actors):
        return None
    glow = (0.15 + 0.7 * rng.random(), 0.1 + 0.4 * rng.random())
    return Scene(kind, background, glow, found, num_frames, relation)


def _choose_motions(rng: np.random.Generator, kind: str, relation: str | None) -> list[tuple[str, ...]]:
    first = choose(rng, MOTIONS)
    if kind == "motion":
        return [(first,)]
    if kind == "order":
        return [(first, choose(rng, [motion for motion in MOTIONS if motion != first]))]
    if relation is not None:
        return [(choose(rng, ("still", choose(rng, _MOVES_BESIDE[relation]))),), ("still",)]
    second = choose(rng, MOTIONS)
    if kind == "pair":
        return [(first,), (second,)]
    moving = [motion for motion in MOTIONS if motion != "still"]
    return [(choose(rng, moving), "still"), ("still", choose(rng, moving))]


def _propose_actor(
    rng: np.random.Generator, background: str, motions: tuple[str, ...], num_frames: int
) -> Actor | None:
    shape = choose(rng, [shape for shape in SHAPES if not ("spin" in motions and shape in ROUND)])
    colour = choose(rng, [colour for colour in COLOURS if (colour, background) not in HIDDEN])
    size = "medium" if {"grow", "shrink"} & set(motions) else choose(rng, tuple(RADII))
    reach = (0.44 + 0.12 * rng.random()) if len(motions) == 1 else (0.36 + 0.08 * rng.random())
    still_at_origin = Actor(shape, colour, size, motions, (0.0, 0.0), reach, rng.random() < 0.5)
    path = trajectory(still_at_origin, num_frames)
    low = (_EDGE + path[:, 3:] - path[:, :2]).max(axis=0)
    high = (1 - _EDGE - path[:, 3:] - path[:, :2]).min(axis=0)
    place = low + np.array([rng.random(), rng.random()]) * (high - low)
    if (high < low).any():
        return None
    start = (round(float(place[0]), 4), round(float(place[1]), 4))
    return Actor(shape, colour, size, motions, start, reach, still_at_origin.clockwise)


def _fits(scene: Scene) -> bool:
    if len(scene.actors) == 1:
        return True
    first, second = scene.actors
    if first.colour == second.colour and first.shape == second.shape:
        return False
    path, other = (trajectory(actor, scene.num_frames) for actor in scene.actors)
    shift = path[:, :2] - other[:, :2]
    if (np.hypot(*shift.T) - path[:, 3] - other[:, 3] < _EDGE).any():
        return False
    if scene.relation is None:
        return True
    across = np.abs(shift @ np.array(RELATIONS[scene.relation])[::-1]).mean()
    along = distance_along(first, second, scene.relation, scene.num_frames)
    return bool(along.min() >= _CLEARLY_BESIDE and across <= along.mean())
