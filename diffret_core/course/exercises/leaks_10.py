"""Notebook 10, off the map: entropy, and a threshold that is judged where it was chosen."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.detection import entropy, threshold_at_recall

Number = float | int
Rows = Float[Tensor, "Q N"]
Entropies = Float[Tensor, " Q"]
Chosen = Float[Tensor, " C"]
Judged = Float[Tensor, " J"]

# --- entropy ---------------------------------------------------------------------------------------------------------


def _entropy_row_by_row(probability: Rows) -> list[float]:
    return [-sum(one * math.log(one) for one in row if one > 0) for row in probability.tolist()]


def _entropy_with_nan(probability: Rows) -> Entropies:
    return -(probability * probability.log()).sum(dim=1)


def _entropy_positive_sign(probability: Rows) -> Entropies:
    return -entropy(probability)


def _entropy_in_bits(probability: Rows) -> Entropies:
    return entropy(probability) / math.log(2)


def _entropy_as_mean(probability: Rows) -> Entropies:
    return entropy(probability) / probability.shape[1]


def _entropy_over_queries(probability: Rows) -> Float[Tensor, " N"]:
    return entropy(probability.T)


def _entropy_of_logs(probability: Rows) -> Entropies:
    return -torch.where(probability > 0, probability, 1).log().sum(dim=1)


_EVEN = torch.full((2, 4), 0.25)
_SURE = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
_UNSURE = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.25, 0.25, 0.5]])

ENTROPY = Exercise(
    name="entropy_of_rows",
    reference=entropy,
    second=_entropy_row_by_row,
    mistakes=(
        Mistake(_entropy_with_nan, "0 times log 0 gives NaN; a probability of 0 adds nothing. See torch.xlogy."),
        Mistake(
            _entropy_positive_sign, "The sign is turned: a logarithm of a probability is negative, entropy is not."
        ),
        Mistake(_entropy_in_bits, "That is in bits; take the natural logarithm, so that the most is log N."),
        Mistake(_entropy_as_mean, "Sum over the candidates, do not average."),
        Mistake(_entropy_over_queries, "You add over the queries; a row is one query, so add along dim=1."),
        Mistake(_entropy_of_logs, "Each logarithm is weighed by its probability."),
    ),
    cases=((_SURE,), (_UNSURE,), (_EVEN,)),
)

# --- a leak ----------------------------------------------------------------------------------------------------------


def _kept(chosen_on: Chosen, judged_on: Judged, recall: Number) -> Float[Tensor, ""]:
    return 100 * (judged_on <= threshold_at_recall(chosen_on, recall=recall)).float().mean()


def _kept_by_counting(chosen_on: Chosen, judged_on: Judged, recall: Number) -> float:
    threshold = threshold_at_recall(chosen_on, recall=recall)
    return 100 * sum(one <= threshold for one in judged_on.tolist()) / len(judged_on)


def _kept_where_chosen(chosen_on: Chosen, judged_on: Judged, recall: Number) -> Float[Tensor, ""]:
    return _kept(chosen_on, chosen_on, recall)


def _kept_chosen_where_judged(chosen_on: Chosen, judged_on: Judged, recall: Number) -> Float[Tensor, ""]:
    return _kept(judged_on, judged_on, recall)


def _kept_chosen_on_all(chosen_on: Chosen, judged_on: Judged, recall: Number) -> Float[Tensor, ""]:
    return _kept(torch.cat([chosen_on, judged_on]), judged_on, recall)


def _kept_above(chosen_on: Chosen, judged_on: Judged, recall: Number) -> Float[Tensor, ""]:
    return 100 - _kept(chosen_on, judged_on, recall)


def _kept_below_only(chosen_on: Chosen, judged_on: Judged, recall: Number) -> Float[Tensor, ""]:
    return 100 * (judged_on < threshold_at_recall(chosen_on, recall=recall)).float().mean()


def _kept_as_share(chosen_on: Chosen, judged_on: Judged, recall: Number) -> Float[Tensor, ""]:
    return _kept(chosen_on, judged_on, recall) / 100


def _kept_promised(chosen_on: Chosen, judged_on: Judged, recall: Number) -> float:
    return 100 * recall


_FIRST = torch.tensor([0.1, 0.5, 0.2, 0.4, 0.3])
_SECOND = torch.tensor([0.6, 0.4, 0.1, 0.9, 0.2, 0.3, 0.7])

KEPT = Exercise(
    name="honest_recall",
    reference=_kept,
    second=_kept_by_counting,
    mistakes=(
        Mistake(_kept_where_chosen, "You count on the queries you chose on; count on `judged_on`."),
        Mistake(
            _kept_chosen_where_judged, "This is the leak: the threshold comes from the very queries it is judged on."
        ),
        Mistake(
            _kept_chosen_on_all, "Choosing on all queries looks at those of `judged_on` too; use `chosen_on` only."
        ),
        Mistake(_kept_above, "Those at or below the threshold pass; you count the ones above."),
        Mistake(_kept_below_only, "A query exactly at the threshold passes: <=, not <."),
        Mistake(_kept_as_share, "In percent: multiply by 100."),
        Mistake(_kept_promised, "That is what was promised; count what the threshold keeps on `judged_on`."),
    ),
    cases=((_FIRST, _SECOND, 0.8), (_SECOND, _FIRST, 0.5), (_FIRST, _SECOND, 0.6)),
)
