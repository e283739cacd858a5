"""What a caption says, as data, and whether a scene makes it true."""

from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from diffret_core.scenes.sampling import choose
from diffret_core.scenes.scene import Actor, Scene, distance_along

_BESIDE = 0.15  # least distance of centres at which a relation counts as true, as a fraction of the frame
_NAMED_SIZES = ("small", "large")


@dataclass(frozen=True)
class ActorClaim:
    """What is said of one object; None and () say nothing."""

    shape: str | None = None
    colour: str | None = None
    size: str | None = None
    motions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """What is said of a video.

    Attributes:
        actors: What is said of each object.
        background: Said background; None says nothing.
        relation: Said relation of the first object to the second.
        at_once: Whether the motions are said to happen together ("while").
    """

    actors: tuple[ActorClaim, ...]
    background: str | None = None
    relation: str | None = None
    at_once: bool = False


def is_true(claim: Claim, scene: Scene) -> bool:
    """Whether a scene makes a claim true.

    One motion is true of an object that does it in any part of the video ("still": throughout), two motions only of one
    that does both in this order. Every object spoken of must be another one of the scene; there may be more objects. A
    relation must hold in every frame.

    Args:
        claim: What is said.
        scene: What is shown.

    Returns:
        True if everything said is shown.
    """
    if claim.background not in (None, scene.background):
        return False
    pairings = permutations(scene.actors, len(claim.actors))
    return any(_is_true_of(claim, actors, scene.num_frames) for actors in pairings)


def _is_true_of(claim: Claim, actors: tuple[Actor, ...], num_frames: int) -> bool:
    if not all(_describes(said, actor) for said, actor in zip(claim.actors, actors, strict=True)):
        return False
    if claim.at_once and any(len(actor.motions) > 1 for actor in actors):
        return False
    if claim.relation is None:
        return True
    first, second = actors
    return bool(distance_along(first, second, claim.relation, num_frames).min() >= _BESIDE)


def _describes(said: ActorClaim, actor: Actor) -> bool:
    if said.shape not in (None, actor.shape) or said.colour not in (None, actor.colour):
        return False
    if said.size is not None and (said.size != actor.size or actor.resizes):
        return False
    if len(said.motions) != 1:
        return said.motions in ((), actor.motions)
    return said.motions == actor.motions or (said.motions != ("still",) and said.motions[0] in actor.motions)


def full_claim(scene: Scene) -> Claim:
    """Say everything that a caption can say about a scene.

    Args:
        scene: What is shown.

    Returns:
        A claim that is true of the scene and as specific as the vocabulary allows.
    """
    actors = tuple(
        ActorClaim(
            shape=actor.shape,
            colour=actor.colour,
            size=actor.size if actor.size in _NAMED_SIZES else None,
            motions=() if scene.kind == "relation" and actor.motions == ("still",) else actor.motions,
        )
        for actor in scene.actors
    )
    return Claim(actors, scene.background, scene.relation, at_once=scene.kind == "pair")


def shorten(claim: Claim, rng: np.random.Generator, *, keep_background: bool) -> Claim:
    """Leave out some of what a full claim says, as people do; the result stays true.

    Args:
        claim: The full claim.
        rng: Decides what is left out.
        keep_background: Whether the background is still said.

    Returns:
        A claim that says less.
    """
    actors = tuple(_shorten_actor(said, rng, alone=len(claim.actors) == 1) for said in claim.actors)
    return replace(claim, actors=actors, background=claim.background if keep_background else None)


def _shorten_actor(said: ActorClaim, rng: np.random.Generator, *, alone: bool) -> ActorClaim:
    said = replace(said, size=said.size if rng.random() < 0.6 else None)
    left_out = choose(rng, ("shape", "colour") + ("nothing",) * 18)
    if not alone or left_out == "nothing":
        return said
    return replace(said, shape=None) if left_out == "shape" else replace(said, colour=None)
