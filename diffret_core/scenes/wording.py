"""English for the facts of a scene: the words and turns of phrase that captions are put together from."""

import numpy as np

from diffret_core.scenes.claims import ActorClaim
from diffret_core.scenes.sampling import choose

_LINES = {"left": "to the left", "right": "to the right", "up": "upwards", "down": "downwards"}

VERBS: dict[str, tuple[tuple[str, str], ...]] = {
    motion: (
        (f"moves {motion}", f"moving {motion}"),
        (f"goes {motion}", f"going {motion}"),
        (f"slides {phrase}", f"sliding {phrase}"),
        (f"drifts {phrase}", f"drifting {phrase}"),
    )
    for motion, phrase in _LINES.items()
}
"""Motion -> its verbs, each in the third person and in the -ing form."""

VERBS |= {
    "still": (("stays still", "staying still"), ("does not move", "resting"), ("keeps still", "keeping still")),
    "bounce": (
        ("bounces", "bouncing"),
        ("bounces up and down", "bouncing up and down"),
        ("hops up and down", "hopping up and down"),
    ),
    "spin": (("spins", "spinning"), ("spins around", "spinning around"), ("rotates", "rotating")),
    "grow": (("grows", "growing"), ("gets bigger", "getting bigger"), ("becomes larger", "becoming larger")),
    "shrink": (("shrinks", "shrinking"), ("gets smaller", "getting smaller"), ("becomes smaller", "becoming smaller")),
    "loop": (
        ("moves in a circle", "moving in a circle"),
        ("circles around", "circling around"),
        ("travels in a loop", "travelling in a loop"),
    ),
}

RELATION_PHRASES: dict[str, tuple[str, ...]] = {
    "above": ("above", "over"),
    "below": ("below", "under", "beneath"),
    "left of": ("to the left of", "left of"),
    "right of": ("to the right of", "right of"),
}
_SIZE_WORDS = {"small": ("small", "small", "little", "tiny"), "large": ("large", "large", "big", "huge")}
_BACKGROUND_PHRASES = ("on a {} background", "in front of a {} background", "against a {} background")


def noun(said: ActorClaim, rng: np.random.Generator) -> str:
    """Name an object without an article: "small red circle".

    Args:
        said: What is said of it.
        rng: Chooses between words of the same meaning.

    Returns:
        The words in the usual order: size, colour, shape.
    """
    size = choose(rng, _SIZE_WORDS[said.size]) if said.size else None
    return " ".join(word for word in (size, said.colour, said.shape or "shape") if word)


def with_article(words: str) -> str:
    """Put "a" or "an" before a noun phrase."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def on_background(background: str, rng: np.random.Generator) -> str:
    """Say on which background, as in "on a grey background"."""
    return choose(rng, _BACKGROUND_PHRASES).format(background)
