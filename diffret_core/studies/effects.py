"""What an arm of a study is worth: points of R@1, query by query, over its seeds; and what may be said of them."""

from typing import NamedTuple

from diffret_core.metrics import paired_bootstrap_interval_over_seeds
from diffret_core.randomness import numpy_generator
from diffret_core.studies.declaration import BASELINE
from diffret_core.studies.setting import TEST
from diffret_core.studies.table import StudyTable

HELPS, HURTS, NOT_DECIDED = "helps", "hurts", "not decided"


class Effect(NamedTuple):
    """A difference of R@1 in points.

    Attributes:
        points: The difference, mean over the seeds.
        low: Lower end of its 95 % interval, queries drawn with all their seeds.
        high: Upper end.
        of_seeds: The difference of each seed.
    """

    points: float
    low: float
    high: float
    of_seeds: dict[int, float]

    @property
    def verdict(self) -> str:
        """Say what the interval decides."""
        return HELPS if self.low > 0 else HURTS if self.high < 0 else NOT_DECIDED

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"{self.points:+.1f} ({self.low:.1f} to {self.high:.1f})"


def effect(
    table: StudyTable, mine: tuple[str, str], other: tuple[str, str], direction: str, *, name: str = TEST
) -> Effect | None:
    """Compare a method of an arm with a method of an arm, on the seeds that both have.

    Args:
        table: The study.
        mine: Arm and method.
        other: Arm and method that it is compared with.
        direction: Which side asks.
        name: The list.

    Returns:
        Mine minus the other; None where no seed of both is finished.
    """
    pair = (mine, other)
    keys = {seed: [(arm, seed, name, direction, method) for arm, method in pair] for seed in table.seeds(mine[0])}
    seeds = [seed for seed, both in keys.items() if all(key in table.ranks for key in both)]
    if not seeds:
        return None
    of_mine, of_other = (table.ranks_of(arm, seeds, name, direction, method) for arm, method in pair)
    low, high = paired_bootstrap_interval_over_seeds(of_mine, of_other, numpy_generator(0, "study report"))
    of_seeds = 100 * ((of_mine == 1).double() - (of_other == 1).double()).mean(dim=1)
    return Effect(float(of_seeds.mean()), low, high, dict(zip(seeds, of_seeds.tolist(), strict=True)))


def gain(table: StudyTable, arm: str, direction: str, *, method: str = "combined", name: str = TEST) -> Effect | None:
    """Compare a method of an arm with the similarity of the same seeds; see `effect`."""
    return effect(table, (arm, method), (arm, "similarity"), direction, name=name)


def against_baseline(
    table: StudyTable, arm: str, direction: str, *, method: str = "combined", name: str = TEST
) -> Effect | None:
    """Compare a method of an arm with that of the baseline of the same seeds; see `effect`."""
    return effect(table, (arm, method), (BASELINE, method), direction, name=name)
