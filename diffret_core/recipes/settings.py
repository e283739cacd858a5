"""Single settings of a recipe, changed by name: `contrastive.clip_learning_rate=3e-6`."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from diffret_core.config import Recipe

Part = TypeVar("Part")


def with_settings(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """Change settings of a recipe.

    Args:
        recipe: The recipe.
        settings: "NAME=VALUE" each: a field of the recipe or, with a dot, of one of its parts, such as
            contrastive.num_steps or pretraining.1.num_steps; the value as in JSON.

    Raises:
        ValueError: If there is no such setting, or it cannot have that value.
    """
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator:
            raise ValueError(f"{setting!r} is no setting; write it as NAME=VALUE, such as contrastive.num_steps=1000")
        recipe = _changed(recipe, name.strip().split("."), _read(value.strip()), setting)
    return recipe


def _read(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:  # a word needs no quotation marks
        return value


def _changed(part: Part, path: Sequence[str], value: Any, setting: str) -> Part:
    fields = {field.name: field for field in dataclasses.fields(part)}  # type: ignore[arg-type]
    if path[0] not in fields:
        raise ValueError(f"{setting}: there is no setting {path[0]!r}; there are {', '.join(fields)}")
    current = getattr(part, path[0])
    if isinstance(current, tuple) and len(path) > 2:
        return dataclasses.replace(part, **{path[0]: _one_changed(current, path[1:], value, setting)})  # type: ignore[type-var]
    if dataclasses.is_dataclass(current):
        if len(path) == 1:
            raise ValueError(f"{setting}: {path[0]} has settings of its own; name one, such as {_example(current)}")
        value = _changed(current, path[1:], value, setting)
    elif len(path) > 1 or not isinstance(current, (bool, int, float, str, type(None))):
        raise ValueError(f"{setting}: only single numbers, words, true, false and null can be set")
    elif not _fits(value, current, optional="None" in str(fields[path[0]].type)):
        raise ValueError(f"{setting}: {value!r} cannot stand for {current!r}")
    if isinstance(current, float):
        value = float(value)
    try:
        return dataclasses.replace(part, **{path[0]: value})  # type: ignore[type-var]
    except TypeError:  # a word where a number may stand
        raise ValueError(f"{setting}: {value!r} is of the wrong kind") from None


def _one_changed(parts: tuple[Part, ...], path: Sequence[str], value: Any, setting: str) -> tuple[Part, ...]:
    """Change one of several parts, which are counted from 1, as in the log."""
    numbers = [str(number) for number in range(1, len(parts) + 1)]
    if path[0] not in numbers:
        raise ValueError(f"{setting}: there is no part {path[0]!r}; there are {', '.join(numbers) or 'none'}")
    place = numbers.index(path[0])
    return (*parts[:place], _changed(parts[place], path[1:], value, setting), *parts[place + 1 :])


def _example(part: Any) -> str:
    return f"{dataclasses.fields(part)[0].name}=..."


def _fits(value: Any, current: Any, *, optional: bool) -> bool:
    """Whether a value is of the kind of the one it replaces."""
    if value is None:
        return optional
    if current is None:
        return isinstance(value, (int, float, str)) and not isinstance(value, bool)
    if isinstance(current, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is type(current)
