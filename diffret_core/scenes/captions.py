"""Captions: sentence patterns filled in from claims, every sentence true of its scene."""

from typing import NamedTuple

import numpy as np

from diffret_core.scenes.claims import Claim, full_claim, shorten
from diffret_core.scenes.sampling import choose
from diffret_core.scenes.scene import Scene
from diffret_core.scenes.wording import RELATION_PHRASES, VERBS, noun, on_background, with_article

PATTERNS: dict[str, tuple[str, ...]] = {
    "motion": (
        "{a} {does}",
        "{a} {does}",
        "{a} {does} {on}",
        "{on}, {a} {does}",
        "there is {a} that {does}",
        "{a} is {doing}",
        "{a} is {doing} {on}",
        "a video of {a} {doing}",
        "we see {a} {doing}",
        "{a} {doing} {on}",
        "the {n} {does}",
        "here {a} {does}",
        "one {n} {does} {on}",
        "{a} can be seen {doing}",
    ),
    "order": (
        "first the {n} {does}, then it {does_2}",
        "{a} {does}, then {does_2}",
        "{a} {does} and then {does_2}",
        "{a} {does} before it {does_2}",
        "{a} first {does} and later {does_2}",
        "after the {n} {does}, it {does_2}",
        "{a} {does_2} after it {does}",
        "a video of {a} {doing} and then {doing_2}",
        "{on}, {a} {does} and then {does_2}",
        "{a} {does}, after that it {does_2} {on}",
        "first {a} {does} {on}, then it {does_2}",
    ),
    "relation": (
        "{a} is {rel} {b}",
        "{a} stays {rel} {b}",
        "{rel} {b} there is {a}",
        "there is {a} {rel} {b}",
        "{a} {rel} {b} {on}",
        "we see {a} {rel} {b}",
    ),
    "relation and motion": (
        "{a} {does} {rel} {b}",
        "{rel} {b}, {a} {does}",
        "{a} is {doing} {rel} {b}",
        "a video of {a} {doing} {rel} {b}",
        "{a} {does} {rel} {b} {on}",
        "{a} is {rel} {b} and {does}",
    ),
    "pair": (
        "{a} {does} while {b} {does_2}",
        "{a} {does} and {b} {does_2}",
        "as {a} {does}, {b} {does_2}",
        "{a} is {doing} and {b} is {doing_2}",
        "{on}, {a} {does} while {b} {does_2}",
        "two shapes: {a} {doing} and {b} {doing_2}",
        "while {b} {does_2}, {a} {does} {on}",
    ),
    "turns": (
        "first {a} {does}, then {b} {does_2}",
        "{a} {does}, then {b} {does_2}",
        "{a} {does} before {b} {does_2}",
        "{b} {does_2} after {a} {does}",
        "after {a} {does}, {b} {does_2}",
        "first the {n} {does}, then the {n_2} {does_2}",
        "first {a} {does} and then {b} {does_2} {on}",
    ),
}
"""Kind of sentence -> its patterns; one listed twice is chosen twice as often."""


class Caption(NamedTuple):
    """A sentence and what it says."""

    text: str
    claim: Claim


def draw_caption(scene: Scene, rng: np.random.Generator, *, complete: bool = False) -> Caption:
    """Describe a scene in one sentence.

    Args:
        scene: What is shown.
        rng: Chooses the pattern, what is left unsaid, and the words.
        complete: Whether to leave nothing unsaid.

    Returns:
        A sentence that is true of the scene, with its claim.
    """
    patterns = PATTERNS[_kind_of_sentence(scene)]
    pattern = choose(rng, [pattern for pattern in patterns if "{on}" in pattern] if complete else patterns)
    claim = full_claim(scene)
    if not complete:
        claim = shorten(claim, rng, keep_background="{on}" in pattern)
    return Caption(pattern.format(**_fields(claim, scene, rng)), claim)


def _kind_of_sentence(scene: Scene) -> str:
    moves = scene.kind == "relation" and scene.actors[0].motions != ("still",)
    return "relation and motion" if moves else scene.kind


def _fields(claim: Claim, scene: Scene, rng: np.random.Generator) -> dict[str, str]:
    nouns = [noun(said, rng) for said in claim.actors]
    fields = {"n": nouns[0], "n_2": nouns[-1], "a": with_article(nouns[0]), "b": with_article(nouns[-1])}
    motions = [motion for actor in scene.actors for motion in actor.motions]
    if scene.kind == "turns":
        motions = [scene.actors[0].motions[0], scene.actors[1].motions[1]]
    for motion, suffix in zip(motions, ("", "_2"), strict=False):
        fields["does" + suffix], fields["doing" + suffix] = choose(rng, VERBS[motion])
    if claim.background is not None:
        fields["on"] = on_background(claim.background, rng)
    if claim.relation is not None:
        fields["rel"] = choose(rng, RELATION_PHRASES[claim.relation])
    return fields
