"""Runs worth repeating: a recipe is a function that returns a frozen configuration."""

import inspect
from collections.abc import Callable

from diffret_core.config import Recipe
from diffret_core.recipes.benchmarks import PUBLISHED, activitynet, didemo, lsmdc, msrvtt, msvd
from diffret_core.recipes.rehearsal import first_counts, first_videos, rehearsal
from diffret_core.recipes.settings import with_settings
from diffret_core.recipes.tiny import tiny

RECIPES: dict[str, Callable[..., Recipe]] = {
    "tiny": tiny,
    "msrvtt": msrvtt,
    "lsmdc": lsmdc,
    "msvd": msvd,
    "activitynet": activitynet,
    "didemo": didemo,
}


def recipe(name: str, **choices: str | int | None) -> Recipe:
    """Make the recipe of that name.

    Args:
        name: A key of RECIPES.
        choices: What the recipe's function lets one choose; None leaves its own.

    Raises:
        ValueError: If there is none, or it has no such choice.
    """
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; choose one of: {', '.join(RECIPES)}")
    given = {choice: value for choice, value in choices.items() if value is not None}
    if unknown := set(given) - set(inspect.signature(RECIPES[name]).parameters):
        raise ValueError(f"recipe {name} has no choice of {min(unknown)}")
    return RECIPES[name](**given)


__all__ = ["PUBLISHED", "RECIPES", "first_counts", "first_videos", "recipe", "rehearsal", "with_settings"]
