"""English for the facts of a scene: the words and turns of phrase that captions are put together from."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class ActorWords:
    """The words chosen for one object and for what it does.

    Attributes:
        shape: Its noun.
        colour: "" says nothing.
        size: "" says nothing.
        motions: A verb for each motion, in the third person and in the -ing form; None for one that goes unsaid.
    """

    shape: str
    colour: str
    size: str
    motions: tuple[tuple[str, str] | None, ...]

    @property
    def noun(self) -> str:
        """The object without an article: "small red circle"."""
        return " ".join(word for word in (self.size, self.colour, self.shape) if word)


def choose_words(said: ActorClaim, rng: np.random.Generator, *, say_still: bool) -> ActorWords:
    """Choose words for what is said of an object.

    Args:
        said: What is said of it.
        rng: Chooses between words of the same meaning.
        say_still: Whether that it stays still gets a verb.

    Returns:
        Its words.
    """
    size = choose(rng, _SIZE_WORDS[said.size]) if said.size else ""
    verbs = tuple(choose(rng, VERBS[motion]) if say_still or motion != "still" else None for motion in said.motions)
    return ActorWords(said.shape or "shape", said.colour or "", size, verbs)


def with_article(words: str) -> str:
    """Put "a" or "an" before a noun phrase."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def on_background(background: str, rng: np.random.Generator) -> str:
    """Say on which background, as in "on a grey background"."""
    return choose(rng, _BACKGROUND_PHRASES).format(background)
