"""Drawing scenes at random: every scene belongs to its seed, split and index, and shows clearly what it is about."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from diffret_core.randomness import numpy_generator
from diffret_core.scenes.exchange import EXCHANGES, exchange
from diffret_core.scenes.scene import FRAMES_PER_SECOND, Actor, Scene, distance_along, trajectory
from diffret_core.scenes.vocabulary import (
    BACKGROUNDS,
    COLOURS,
    HIDDEN,
    MOTIONS,
    RADII,
    RELATIONS,
    ROUND,
    SHAPES,
    UNSEEN_PAIRS,
)

KIND_SHARES: dict[str, float] = {"motion": 0.34, "order": 0.22, "relation": 0.16, "pair": 0.14, "turns": 0.14}
_SECONDS = (2.0, 3.0)
_EDGE = 0.03  # what stays free along the frame's edge and between two objects, as a fraction of the frame
_CLEARLY_BESIDE = 0.26  # distance of centres along a relation's direction, at every moment
_MOVES_BESIDE = {"above": ("left", "right", "spin", "grow", "shrink"), "left of": ("bounce", "spin", "grow", "shrink")}
_MOVES_BESIDE |= {"below": _MOVES_BESIDE["above"], "right of": _MOVES_BESIDE["left of"]}
_TWIN_TRIES = 60  # placements before a twin is given up
_Choice = TypeVar("_Choice")


def choose(rng: np.random.Generator, options: Sequence[_Choice]) -> _Choice:
    """Pick one option; built on `rng.random()` alone, whose stream NumPy keeps from version to version."""
    return options[int(rng.random() * len(options))]


def sample_scene(seed: int, split: str, index: int, *, attempt: int = 0, with_unseen_pair: bool = False) -> Scene:
    """Draw one scene.

    Args:
        seed: The collection's seed.
        split: Name of the split; splits with other names hold independent scenes.
        index: Which scene of the split, from 0.
        attempt: Another number draws another scene for the same place in the collection.
        with_unseen_pair: Whether one object or both have a shape and a colour of `UNSEEN_PAIRS`; otherwise none has.

    Returns:
        A scene whose objects stay inside the frame and apart from each other.
    """
    rng = numpy_generator(seed, f"scene of {split}", f"{index}, attempt {attempt}")
    kind = _choose_kind(rng)
    while True:  # one in two fits, one in fifteen with an unseen pair; the loop ends with probability 1
        scene = _propose(rng, kind)
        if scene is not None and _has_unseen_pair(scene.actors) == with_unseen_pair and _fits(scene):
            return scene


def sample_twin(scene: Scene, seed: int, split: str, index: int) -> Scene | None:
    """Draw a scene of which the same words are true, bound or ordered otherwise.

    Args:
        scene: What the twin is to be confused with.
        seed: The collection's seed.
        split: Name of the split.
        index: Which scene of the split the twin is to be.

    Returns:
        The twin, which may show the same as the scene (two objects that move alike, or of one colour): the caller
        checks. None if the scene has none: a single object with a single motion, or a combination not to be shown.
    """
    rng = numpy_generator(seed, f"twin of {split}", index)
    if scene.kind not in EXCHANGES:
        return None
    what = choose(rng, EXCHANGES[scene.kind])
    wanted = exchange(scene.actors, what)
    if not all(_can_be_shown(actor) for actor in wanted) or _has_unseen_pair(wanted) != _has_unseen_pair(scene.actors):
        return None
    for _ in range(_TWIN_TRIES):
        placed = [_place(rng, actor, scene.num_frames) for actor in wanted]
        actors = tuple(actor for actor in placed if actor is not None)
        twin = replace(scene, glow=_choose_glow(rng), actors=actors, exchanged=what)
        if len(actors) == len(wanted) and _fits(twin):
            return twin
    return None


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
    wanted = [_propose_actor(rng, background, motions) for motions in _choose_motions(rng, kind, relation)]
    placed = [_place(rng, actor, num_frames) for actor in wanted]
    actors = tuple(actor for actor in placed if actor is not None)
    glow = _choose_glow(rng)
    return Scene(kind, background, glow, actors, num_frames, relation) if len(actors) == len(wanted) else None


def _choose_glow(rng: np.random.Generator) -> tuple[float, float]:
    return 0.15 + 0.7 * rng.random(), 0.1 + 0.4 * rng.random()


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


def _propose_actor(rng: np.random.Generator, background: str, motions: tuple[str, ...]) -> Actor:
    shape = choose(rng, [shape for shape in SHAPES if not ("spin" in motions and shape in ROUND)])
    colour = choose(rng, [colour for colour in COLOURS if (colour, background) not in HIDDEN])
    size = "medium" if {"grow", "shrink"} & set(motions) else choose(rng, tuple(RADII))
    reach = (0.44 + 0.12 * rng.random()) if len(motions) == 1 else (0.36 + 0.08 * rng.random())
    return Actor(shape, colour, size, motions, (0.0, 0.0), reach, rng.random() < 0.5)


def _place(rng: np.random.Generator, actor: Actor, num_frames: int) -> Actor | None:
    """Let an object start somewhere such that it never leaves the frame; None if it cannot."""
    path = trajectory(replace(actor, start=(0.0, 0.0)), num_frames)
    low = (_EDGE + path[:, 3:] - path[:, :2]).max(axis=0)
    high = (1 - _EDGE - path[:, 3:] - path[:, :2]).min(axis=0)
    place = low + np.array([rng.random(), rng.random()]) * (high - low)
    if (high < low).any():
        return None
    return replace(actor, start=(round(float(place[0]), 4), round(float(place[1]), 4)))


def _can_be_shown(actor: Actor) -> bool:
    """Whether its motions can be seen and its size can be named or left unsaid."""
    return not ("spin" in actor.motions and actor.shape in ROUND) and not (actor.resizes and actor.size != "medium")


def _has_unseen_pair(actors: Sequence[Actor]) -> bool:
    return any((actor.shape, actor.colour) in UNSEEN_PAIRS for actor in actors)


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
