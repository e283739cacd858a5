"""The same words bound or ordered otherwise: what turns a scene, its claims and its captions into their twins."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

EXCHANGES: dict[str, tuple[str, ...]] = {
    "order": ("motions",),
    "relation": ("objects", "colours"),
    "pair": ("objects", "colours"),
    "turns": ("objects", "colours", "turns"),
}
"""Kind of scene -> what can be exchanged in it, so that counting words tells no difference."""

_LOOKS = {"objects": ("shape", "colour", "size"), "colours": ("colour",)}

_Part = TypeVar("_Part")


def exchange(parts: Sequence[_Part], what: str) -> tuple[_Part, ...]:
    """Exchange what two objects are, or the order in which things happen.

    Args:
        parts: The objects of a scene, what is claimed of them, or the words for them; each a dataclass with shape,
            colour, size and motions.
        what: "motions": one object does its two motions in the other order. "objects": two objects take each other's
            place. "colours": they take each other's colour. "turns": the second object moves first.

    Returns:
        The parts after the exchange. Exchanging twice gives the parts back.
    """
    objects: Sequence[Any] = parts
    if what == "motions":
        return tuple(replace(one, motions=one.motions[::-1]) for one in objects)
    if what == "turns":
        return tuple(replace(one, motions=one.motions[::-1]) for one in reversed(objects))
    first, second = objects
    looks = [{name: getattr(one, name) for name in _LOOKS[what]} for one in (second, first)]
    return replace(first, **looks[0]), replace(second, **looks[1])
