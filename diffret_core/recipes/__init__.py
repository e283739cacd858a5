"""Runs worth repeating: a recipe is a function that returns a frozen configuration."""

from collections.abc import Callable

from diffret_core.config import Recipe
from diffret_core.recipes.tiny import tiny

RECIPES: dict[str, Callable[[], Recipe]] = {"tiny": tiny}


def recipe(name: str) -> Recipe:
    """Make the recipe of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; choose one of: {', '.join(sorted(RECIPES))}")
    return RECIPES[name]()
