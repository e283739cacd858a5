"""What a study is: arms that differ from a baseline in one factor, seeds, and a function that measures a cell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import Int
from torch import Tensor

from diffret_core.config import Recipe, to_json
from diffret_core.studies.setting import Setting

BASELINE = "baseline"
Level = int | float | str


@dataclass(frozen=True)
class Arm:
    """One way of doing it.

    Attributes:
        name: How the command line and folders call it.
        factor: What differs from the baseline, in words; empty for the baseline itself.
        level: The level of that factor.
        settings: Changes of the baseline's recipe, as `diffret train --set` takes them.
    """

    name: str
    factor: str = ""
    level: Level = ""
    settings: tuple[str, ...] = ()


def levels_of(factor: str, name: str, setting: str, levels: Sequence[Level]) -> tuple[Arm, ...]:
    """Declare an arm for each level of a factor that is a single setting.

    Args:
        factor: What differs, in words.
        name: What the arms' names begin with.
        setting: The setting that takes each level, such as "generation.loss_scale".
        levels: The levels, without the baseline's.
    """
    return tuple(Arm(f"{name}_{level}", factor, level, (f"{setting}={level}",)) for level in levels)


@dataclass(frozen=True)
class Cell:
    """An arm with a seed: what is computed once and kept.

    Attributes:
        arm: The arm.
        seed: The seed.
        recipe: The baseline's recipe with that seed and the arm's changes.
        folder: Where the cell is kept.
    """

    arm: Arm
    seed: int
    recipe: Recipe
    folder: Path

    def description(self) -> dict[str, Any]:
        """Say what decides the cell's numbers, as JSON values, but for the data and stage 1."""
        return {"arm": self.arm.name, "seed": self.seed, "recipe": to_json(self.recipe)}


class Measured(NamedTuple):
    """What came of a cell.

    Attributes:
        rows: One for each list, direction and method; see `studies.measured`.
        ranks: The rank of every query's target, by "list/direction/method".
        seconds: What all of it took, training included.
    """

    rows: list[dict[str, Any]]
    ranks: dict[str, Int[Tensor, " R"]]
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Study:
    """A declared grid.

    Attributes:
        name: How the command line calls it.
        what: The question, in a line.
        baseline: The level of each factor that the baseline has.
        arms: All arms, the baseline first.
        measure: Measures a cell, and computes before that what the cell needs.
        seeds: Seeds of every arm.
    """

    name: str
    what: str
    baseline: Mapping[str, Level]
    arms: tuple[Arm, ...]
    measure: Callable[[Cell, Setting], Measured]
    seeds: tuple[int, ...] = (1, 2, 3)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        names = [arm.name for arm in self.arms]
        if names[0] != BASELINE or len(set(names)) != len(names):
            raise ValueError(f"study {self.name}: arms must begin with {BASELINE} and have names of their own: {names}")
        if unknown := {arm.factor for arm in self.arms[1:]} - set(self.baseline):
            raise ValueError(f"study {self.name}: say which level of {min(unknown)!r} the baseline has")

    def arm(self, name: str) -> Arm:
        """Give the arm of that name.

        Raises:
            ValueError: If there is none.
        """
        found = {arm.name: arm for arm in self.arms}
        if name not in found:
            raise ValueError(f"study {self.name} has no arm {name!r}; choose of: {', '.join(found)}")
        return found[name]
