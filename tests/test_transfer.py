"""Gains of two lists compared: against a direct computation, and only where both lists are there."""

import numpy as np
import pytest
import torch
from tiny_study import study_table

from diffret_core.config import DIRECTIONS
from diffret_core.studies.table import StudyTable
from diffret_core.studies.transfer import gain_beyond

TWO = {"baseline": (1, 2)}


def gains(table: StudyTable, name: str) -> np.ndarray:
    """Of each seed and pair, hits of the combined score minus hits of the similarity, a direction at a time."""
    found = np.zeros((2, 40))
    for seed in (1, 2):
        for place in range(40):
            for direction in DIRECTIONS:
                both, alone = (
                    table.ranks["baseline", seed, name, direction, one][place] for one in ("combined", "similarity")
                )
                found[seed - 1, place] += 50 * (int(both == 1) - int(alone == 1))
    return found


def test_gain_beyond_is_the_difference_of_gains_and_its_interval_that_of_separate_resamples():
    table = study_table(TWO, lists=("test", "shifted"))
    there, here = gains(table, "shifted"), gains(table, "test")
    found = gain_beyond(table, "shifted")
    assert found.points == pytest.approx(there.mean() - here.mean())
    assert list(found.of_seeds.values()) == pytest.approx(list(there.mean(axis=1) - here.mean(axis=1)))
    rng = np.random.default_rng(5)
    drawn = [rng.choice(own.mean(axis=0), size=(5000, 40)).mean(axis=1) for own in (there, here)]
    assert (found.low, found.high) == pytest.approx(np.percentile(drawn[0] - drawn[1], [2.5, 97.5]), abs=1.5)
    back = gain_beyond(table, "test", other="shifted")
    assert (back.points, back.low, back.high) == pytest.approx((-found.points, -found.high, -found.low))


def test_gain_that_is_the_same_for_all_pairs_is_decided():
    table = study_table(TWO, lists=("test", "shifted"))
    ranks = {
        of: torch.ones(40) if of[2] == "test" or of[4] == "combined" else torch.full((40,), 2) for of in table.ranks
    }
    found = gain_beyond(table._replace(ranks={of: own.long() for of, own in ranks.items()}), "shifted")
    assert (found.points, found.low, found.high, found.verdict) == (100, 100, 100, "helps")


def test_table_without_the_list_or_the_baseline_says_nothing():
    assert gain_beyond(study_table(TWO), "shifted") is None
    assert gain_beyond(study_table({"without_noise": (1,)}, lists=("test", "shifted")), "shifted") is None
