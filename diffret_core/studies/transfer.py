"""Whether something is worth more on one list than on another: a difference of two gains, each of its own queries."""

import numpy as np

from diffret_core.config import DIRECTIONS
from diffret_core.randomness import numpy_generator
from diffret_core.studies.declaration import BASELINE
from diffret_core.studies.effects import Effect
from diffret_core.studies.setting import TEST
from diffret_core.studies.table import StudyTable

_METHODS = ("combined", "similarity")


def gain_beyond(table: StudyTable, name: str, *, other: str = TEST, num_resamples: int = 5000) -> Effect | None:
    """Compare what the combined score gains over the similarity on two lists, mean of both directions.

    The lists have different queries, so each is resampled by itself, a pair with both directions and all seeds.

    Args:
        table: The study; its baseline is looked at.
        name: A list.
        other: The list that it is compared with.
        num_resamples: How often the pairs of each list are drawn anew.

    Returns:
        The gain on the first list minus that on the other; None where no seed has both.
    """
    ways = [(direction, method) for direction in DIRECTIONS for method in _METHODS]
    seeds = [
        seed
        for seed in table.seeds(BASELINE)
        if all((BASELINE, seed, one, *way) in table.ranks for one in (name, other) for way in ways)
    ]
    if not seeds:
        return None
    mine, others = (_gains(table, seeds, one) for one in (name, other))  # [S, R]
    resampled = []
    for one, own in ((name, mine), (other, others)):
        rng, number = numpy_generator(0, f"gain on {one}"), own.shape[1]
        drawn = rng.multinomial(number, np.full(number, 1 / number), size=num_resamples)
        resampled.append(drawn @ own.mean(axis=0) / number)
    low, high = np.percentile(resampled[0] - resampled[1], [2.5, 97.5])
    of_seeds = mine.mean(axis=1) - others.mean(axis=1)
    return Effect(float(of_seeds.mean()), float(low), float(high), dict(zip(seeds, of_seeds.tolist(), strict=True)))


def _gains(table: StudyTable, seeds: list[int], name: str) -> np.ndarray:
    """Points of R@1 that each pair gains, with each seed, mean of both directions."""
    each = []
    for direction in DIRECTIONS:
        combined, alone = (table.ranks_of(BASELINE, seeds, name, direction, method) for method in _METHODS)
        each.append(100 * ((combined == 1).double() - (alone == 1).double()).numpy())
    return np.mean(each, axis=0)
