"""A study's table in memory, of a few queries, in any state of being finished."""

from collections.abc import Mapping

import torch

from diffret_core.config import DIRECTIONS
from diffret_core.scores import METHODS
from diffret_core.studies.table import StudyTable

NUM_QUERIES = 40


def study_table(
    finished: Mapping[str, tuple[int, ...]],
    *,
    lists: tuple[str, ...] = ("test",),
    methods: tuple[str, ...] = METHODS,
    model: str | None = None,
) -> StudyTable:
    """Make a table with random ranks; the similarity of a list is the same in all cells."""
    rows, ranks = [], {}
    for arm, seeds in finished.items():
        for seed in seeds:
            for name in lists:
                for direction in DIRECTIONS:
                    for method in methods:
                        own = () if method == "similarity" else (arm, seed)
                        draw = torch.Generator().manual_seed(hash_of(name, direction, method, *own))
                        ranks[arm, seed, name, direction, method] = torch.randint(1, 4, (NUM_QUERIES,), generator=draw)
                        of = {"arm": arm, "seed": seed, "list": name, "direction": direction, "method": method}
                        rows.append({**of, "R@1": 0.0})
    return StudyTable(rows, ranks, {"model": model} if model else {})


def hash_of(*parts: object) -> int:
    """A number of some words, the same in every process."""
    return sum((place + 1) * ord(letter) for place, letter in enumerate(str(parts)))
