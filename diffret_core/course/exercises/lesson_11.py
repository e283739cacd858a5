"""Notebook 11, the demo: who was moved, and how many candidates are enough; see `own_11.py` for the others."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.course.exercises.own_11 import FOUND, SEGMENTS

Scores = Float[Tensor, " V"]


def _ranks(scores: Scores) -> Int[Tensor, " V"]:
    return scores.argsort(descending=True).argsort() + 1


def _won(similarity: Scores, combined: Scores) -> Int[Tensor, " V"]:
    return _ranks(similarity) - _ranks(combined)


def _won_by_counting(similarity: Scores, combined: Scores) -> Int[Tensor, " V"]:
    higher = [(scores[None] > scores[:, None]).sum(dim=1) for scores in (similarity, combined)]
    return higher[0] - higher[1]


def _won_backwards(similarity: Scores, combined: Scores) -> Int[Tensor, " V"]:
    return _ranks(combined) - _ranks(similarity)


def _won_by_order(similarity: Scores, combined: Scores) -> Int[Tensor, " V"]:
    return similarity.argsort(descending=True) - combined.argsort(descending=True)


def _won_in_score(similarity: Scores, combined: Scores) -> Scores:
    return combined - similarity


def _won_as_distance(similarity: Scores, combined: Scores) -> Int[Tensor, " V"]:
    return _won(similarity, combined).abs()


def _new_ranks(similarity: Scores, combined: Scores) -> Int[Tensor, " V"]:
    return _ranks(combined)


WON = Exercise(
    name="places_won",
    reference=_won,
    second=_won_by_counting,
    mistakes=(
        Mistake(_won_backwards, "Who rises wins places: from rank 5 to 2 is +3, so take the old rank minus the new."),
        Mistake(_won_by_order, "argsort says who stands at each rank; the rank of each needs a second argsort."),
        Mistake(_won_in_score, "These are differences of scores; places are counted in ranks."),
        Mistake(_won_as_distance, "Who falls must get a negative number; yours gives only how far."),
        Mistake(_new_ranks, "These are the ranks by the combined score; how do they differ from those by similarity?"),
    ),
    cases=(
        (torch.tensor([0.5, 0.9, 0.3, 0.7]), torch.tensor([0.55, 0.92, 0.8, 0.7])),
        (torch.tensor([0.1, 0.4, 0.2, 0.3, 0.6]), torch.tensor([0.9, 0.45, 0.5, 0.3, 0.6])),
    ),
)

Ranks = Int[Tensor, " Q"]


def _enough(ranks: Ranks, share: float) -> int:
    needed = math.ceil(share * len(ranks) - 1e-9)
    return int(ranks.sort().values[needed - 1])


def _enough_by_trying(ranks: Ranks, share: float) -> int:
    number = 1
    while int((ranks <= number).sum()) < share * len(ranks) - 1e-9:
        number += 1
    return number


def _too_few(ranks: Ranks, share: float) -> int:
    return int(ranks.sort().values[max(0, math.floor(share * len(ranks) - 1e-9) - 1)])


def _all_of_them(ranks: Ranks, share: float) -> int:
    return int(ranks.max())


def _one_too_many(ranks: Ranks, share: float) -> int:
    return _enough(ranks, share) + 1


def _one_too_few(ranks: Ranks, share: float) -> int:
    return _enough(ranks, share) - 1


def _share_of_largest(ranks: Ranks, share: float) -> int:
    return math.ceil(share * int(ranks.max()))


ENOUGH = Exercise(
    name="candidates_for",
    reference=_enough,
    second=_enough_by_trying,
    mistakes=(
        Mistake(_too_few, "So many reach a little less than the share; round the number of queries up, not down."),
        Mistake(_all_of_them, "That many is enough for every query; the share asks for fewer."),
        Mistake(_one_too_many, "A target at rank N is among the N candidates: one fewer is enough."),
        Mistake(_one_too_few, "With so many the share is not reached; a target at rank N needs N candidates."),
        Mistake(_share_of_largest, "The share is of the queries, not of the largest rank."),
    ),
    cases=(
        (torch.tensor([3, 1, 1, 8, 2, 40, 1, 5, 1, 2]), 0.75),
        (torch.tensor([3, 1, 1, 8, 2, 40, 1, 5, 1, 2]), 0.9),
        (torch.tensor([7, 2, 2, 9]), 0.5),
    ),
)

EXERCISES = (WON, ENOUGH, FOUND, SEGMENTS)
