"""Captions: sentence patterns filled in from claims, every sentence true of its scene."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from diffret_core.scenes.claims import Claim, full_claim, shorten
from diffret_core.scenes.exchange import exchange
from diffret_core.scenes.sampling import choose
from diffret_core.scenes.scene import Scene
from diffret_core.scenes.wording import RELATION_PHRASES, ActorWords, choose_words, on_background, with_article

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


@dataclass(frozen=True)
class Caption:
    """A sentence, what it says, and what it was put together from.

    Attributes:
        claim: What it says.
        pattern: One of `PATTERNS`.
        words: Chosen for each object.
        phrases: Chosen for the background ("on") and the relation ("rel"), where they are said.
    """

    claim: Claim
    pattern: str
    words: tuple[ActorWords, ...]
    phrases: Mapping[str, str]

    @property
    def text(self) -> str:
        """The sentence."""
        first, last = self.words[0].noun, self.words[-1].noun
        nouns = {"n": first, "n_2": last, "a": with_article(first), "b": with_article(last)}
        said = [verb for words in self.words for verb in words.motions if verb is not None]
        verbs = {
            form + suffix: verb[place]
            for verb, suffix in zip(said, ("", "_2"), strict=False)
            for place, form in enumerate(("does", "doing"))
        }
        return self.pattern.format(**nouns, **verbs, **self.phrases)


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
    words = tuple(choose_words(said, rng, say_still=scene.kind != "turns") for said in claim.actors)
    phrases = {}
    if claim.background is not None:
        phrases["on"] = on_background(claim.background, rng)
    if claim.relation is not None:
        phrases["rel"] = choose(rng, RELATION_PHRASES[claim.relation])
    return Caption(claim, pattern, words, phrases)


def exchanged_caption(caption: Caption, what: str) -> Caption:
    """Say of a scene's twin what a caption says of the scene: the same words, bound or ordered otherwise.

    Args:
        caption: Of the scene.
        what: How its twin was made, one of `exchange.EXCHANGES`.

    Returns:
        A sentence that is true of the twin.
    """
    claim = replace(caption.claim, actors=exchange(caption.claim.actors, what))
    return replace(caption, claim=claim, words=exchange(caption.words, what))


def _kind_of_sentence(scene: Scene) -> str:
    moves = scene.kind == "relation" and scene.actors[0].motions != ("still",)
    return "relation and motion" if moves else scene.kind
