"""Notebook 10, off the map: pairs that are counted, a threshold; entropy and a leak in `leaks_10`."""

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.course.exercises.leaks_10 import ENTROPY, KEPT

Number = float | int
Matched = Float[Tensor, " M"]
Unmatched = Float[Tensor, " U"]

# --- pairs -----------------------------------------------------------------------------------------------------------


def _pairs(matched: Matched, unmatched: Unmatched) -> Float[Tensor, ""]:
    higher = (unmatched[:, None] > matched).double()
    equal = (unmatched[:, None] == matched).double()
    return (higher + equal / 2).mean()


def _pairs_in_a_loop(matched: Matched, unmatched: Unmatched) -> float:
    points = [float(u > m) + float(u == m) / 2 for u in unmatched.tolist() for m in matched.tolist()]
    return sum(points) / len(points)


def _pairs_without_ties(matched: Matched, unmatched: Unmatched) -> Float[Tensor, ""]:
    return (unmatched[:, None] > matched).double().mean()


def _pairs_with_whole_ties(matched: Matched, unmatched: Unmatched) -> Float[Tensor, ""]:
    return (unmatched[:, None] >= matched).double().mean()


def _pairs_turned_round(matched: Matched, unmatched: Unmatched) -> Float[Tensor, ""]:
    return 1 - _pairs(matched, unmatched)


def _pairs_side_by_side(matched: Matched, unmatched: Unmatched) -> Float[Tensor, ""]:
    shorter = min(len(matched), len(unmatched))
    one, other = unmatched[:shorter], matched[:shorter]
    return ((one > other).double() + (one == other).double() / 2).mean()


def _pairs_not_divided(matched: Matched, unmatched: Unmatched) -> Float[Tensor, ""]:
    return _pairs(matched, unmatched) * len(matched) * len(unmatched)


def _pairs_of_means(matched: Matched, unmatched: Unmatched) -> Float[Tensor, ""]:
    return (unmatched > matched.mean()).double().mean()


PAIRS = Exercise(
    name="count_pairs",
    reference=_pairs,
    second=_pairs_in_a_loop,
    mistakes=(
        Mistake(_pairs_without_ties, "An equal score is half a point; in yours it is none."),
        Mistake(_pairs_with_whole_ties, "An equal score is half a point; in yours it is a whole one."),
        Mistake(_pairs_turned_round, "A point is for an unmatched query that scores higher; yours is the other way."),
        Mistake(
            _pairs_side_by_side, "Every unmatched query meets every matched one, U times M pairs, not only its own."
        ),
        Mistake(_pairs_not_divided, "That is the number of points; divide by the number of pairs, U times M."),
        Mistake(_pairs_of_means, "Compare with every matched query, not with their mean."),
    ),
    cases=(
        (torch.tensor([0.1, 0.4]), torch.tensor([0.3, 0.9])),
        (torch.tensor([0.2, 0.5, 0.5, 0.7]), torch.tensor([0.5, 0.1, 0.8])),
        (torch.tensor([1.0, 1.0, 1.0]), torch.tensor([1.0, 2.0])),
    ),
)

# --- a threshold -----------------------------------------------------------------------------------------------------


def _threshold(matched: Matched, recall: Number) -> Float[Tensor, ""]:
    needed = int(torch.tensor(recall * len(matched), dtype=torch.double).sub(1e-9).ceil())
    return matched.sort().values[needed - 1]


def _threshold_by_trying(matched: Matched, recall: Number) -> Float[Tensor, ""]:
    passing = (matched <= matched[:, None]).double().mean(dim=1)
    return matched[passing >= recall - 1e-9].min()


def _threshold_from_the_top(matched: Matched, recall: Number) -> Float[Tensor, ""]:
    return _threshold(matched, 1 - recall)


def _threshold_one_too_high(matched: Matched, recall: Number) -> Float[Tensor, ""]:
    needed = int(torch.tensor(recall * len(matched), dtype=torch.double).sub(1e-9).ceil())
    return matched.sort().values[min(needed, len(matched) - 1)]


def _threshold_one_too_low(matched: Matched, recall: Number) -> Float[Tensor, ""]:
    needed = int(recall * len(matched) + 1e-9)
    return matched.sort().values[max(needed - 1, 0)]


def _threshold_between(matched: Matched, recall: Number) -> Float[Tensor, ""]:
    return matched.quantile(recall)


def _threshold_of_the_range(matched: Matched, recall: Number) -> Float[Tensor, ""]:
    return matched.min() + recall * (matched.max() - matched.min())


def _threshold_unsorted(matched: Matched, recall: Number) -> Float[Tensor, ""]:
    needed = int(torch.tensor(recall * len(matched), dtype=torch.double).sub(1e-9).ceil())
    return matched[needed - 1]


def _threshold_of_distinct(matched: Matched, recall: Number) -> Float[Tensor, ""]:
    needed = int(torch.tensor(recall * len(matched), dtype=torch.double).sub(1e-9).ceil())
    distinct = matched.unique()
    return distinct[min(needed, len(distinct)) - 1]


_SCORES = torch.tensor([0.9, 0.1, 0.4, 0.2, 0.7])

THRESHOLD = Exercise(
    name="lowest_threshold",
    reference=_threshold,
    second=_threshold_by_trying,
    mistakes=(
        Mistake(_threshold_from_the_top, "Low scores pass: count the share from the lowest score upwards."),
        Mistake(
            _threshold_one_too_high, "One place too high: the first is index 0, and the lowest that suffices counts."
        ),
        Mistake(_threshold_one_too_low, "Fewer than that share pass: round the number of queries up, not down."),
        Mistake(_threshold_between, "quantile goes between two scores; take the lowest score that lets enough pass."),
        Mistake(_threshold_of_the_range, "The share is one of the queries, not of the way from least to largest."),
        Mistake(_threshold_unsorted, "Sort the scores first."),
        Mistake(_threshold_of_distinct, "Queries with equal scores are several queries: sort, do not merge them."),
    ),
    cases=(
        (_SCORES, 0.6),
        (_SCORES, 0.7),
        (_SCORES, 0.5),
        (torch.tensor([3.0, 1.0, 2.0, 5.0]), 0.5),
        (_SCORES, 1.0),
        (torch.tensor([0.3, 0.1, 0.1, 0.9, 0.1]), 0.6),
    ),
)

EXERCISES = (PAIRS, THRESHOLD, ENTROPY, KEPT)
