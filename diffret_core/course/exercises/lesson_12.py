"""Notebook 12, benchmarks: how sure a number is; what a cut or a dealt-out batch teaches is in `batches_12.py`."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.course.exercises.batches_12 import DEALT_OUT, IN_PIECES
from diffret_core.randomness import generator

# --- the standard error ----------------------------------------------------------------------------------------------


def _error(recall: float, num_queries: int) -> float:
    return math.sqrt(recall * (100 - recall) / num_queries)


def _error_of_share(recall: float, num_queries: int) -> float:
    share = recall / 100
    return 100 * (share * (1 - share)) ** 0.5 / num_queries**0.5


def _error_as_variance(recall: float, num_queries: int) -> float:
    return recall * (100 - recall) / num_queries


def _error_of_percent(recall: float, num_queries: int) -> float:
    return math.sqrt(recall * (1 - recall) / num_queries)


def _error_in_shares(recall: float, num_queries: int) -> float:
    return _error(recall, num_queries) / 100


def _error_of_one_query(recall: float, num_queries: int) -> float:
    return math.sqrt(recall * (100 - recall))


def _error_without_root_of_queries(recall: float, num_queries: int) -> float:
    return math.sqrt(recall * (100 - recall)) / num_queries


def _error_as_half_width(recall: float, num_queries: int) -> float:
    return 1.96 * _error(recall, num_queries)


def _error_of_hits_alone(recall: float, num_queries: int) -> float:
    return 100 * math.sqrt(recall / 100 / num_queries)


ERROR = Exercise(
    name="standard_error",
    reference=_error,
    second=_error_of_share,
    mistakes=(
        Mistake(_error_as_variance, "That is the variance; the standard error is its square root."),
        Mistake(_error_of_percent, "p is a share: with percent, 1 - p becomes 100 - R, or divide by 100 first."),
        Mistake(_error_in_shares, "That is the error of a share; R@1 is in percent, so it is 100 times as large."),
        Mistake(_error_of_one_query, "That is the spread of a single query; the mean of n has it divided by root n."),
        Mistake(_error_without_root_of_queries, "Divide by the square root of the number of queries, not by it."),
        Mistake(_error_as_half_width, "That is half of a 95 % interval; asked is one standard error."),
        Mistake(_error_of_hits_alone, "The factor 1 - p is missing: it makes the error small near 100 % as well."),
    ),
    cases=((48.0, 1000), (80.1, 1000), (45.8, 4917), (0.0, 100)),
)

# --- the same queries ------------------------------------------------------------------------------------------------


def _paired(first_a: Float[Tensor, " Q"], first_b: Float[Tensor, " Q"]) -> Float[Tensor, ""]:
    return 100 * (first_a - first_b).std() / len(first_a) ** 0.5


def _paired_by_covariance(first_a: Float[Tensor, " Q"], first_b: Float[Tensor, " Q"]) -> Float[Tensor, ""]:
    covariance = torch.cov(torch.stack([first_a, first_b]))
    of_difference = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return 100 * (of_difference / len(first_a)).sqrt()


def _unpaired(first_a: Float[Tensor, " Q"], first_b: Float[Tensor, " Q"]) -> Float[Tensor, ""]:
    return 100 * ((first_a.var() + first_b.var()) / len(first_a)).sqrt()


def _errors_added(first_a: Float[Tensor, " Q"], first_b: Float[Tensor, " Q"]) -> Float[Tensor, ""]:
    return 100 * (first_a.std() + first_b.std()) / len(first_a) ** 0.5


def _errors_subtracted(first_a: Float[Tensor, " Q"], first_b: Float[Tensor, " Q"]) -> Float[Tensor, ""]:
    return 100 * (first_a.std() - first_b.std()) / len(first_a) ** 0.5


def _error_of_first(first_a: Float[Tensor, " Q"], first_b: Float[Tensor, " Q"]) -> Float[Tensor, ""]:
    return 100 * first_a.std() / len(first_a) ** 0.5


def _spread_of_differences(first_a: Float[Tensor, " Q"], first_b: Float[Tensor, " Q"]) -> Float[Tensor, ""]:
    return 100 * (first_a - first_b).std()


def _paired_in_shares(first_a: Float[Tensor, " Q"], first_b: Float[Tensor, " Q"]) -> Float[Tensor, ""]:
    return _paired(first_a, first_b) / 100


def _mean_difference(first_a: Float[Tensor, " Q"], first_b: Float[Tensor, " Q"]) -> Float[Tensor, ""]:
    return 100 * (first_a - first_b).mean()


def _hits(name: str, share: float, number: int) -> Float[Tensor, " Q"]:
    return (torch.rand(number, generator=generator(0, name)) < share).float()


_SOME, _OTHERS = _hits("hits", 0.5, 1000), _hits("other hits", 0.7, 1000)
_MOSTLY_ALIKE = torch.where(_hits("changed", 0.1, 1000) == 1, _OTHERS, _SOME)

PAIRED = Exercise(
    name="paired_error",
    reference=_paired,
    second=_paired_by_covariance,
    mistakes=(
        Mistake(_unpaired, "That takes both for independent; subtract query by query first, then look at the spread."),
        Mistake(_errors_added, "Errors do not add up; subtract query by query first, then look at the spread."),
        Mistake(_errors_subtracted, "A difference of errors is no error of the difference; subtract the queries."),
        Mistake(_error_of_first, "That is the error of the first one alone."),
        Mistake(_spread_of_differences, "That is the spread of one query's difference; divide by root Q for the mean."),
        Mistake(_paired_in_shares, "R@1 is in percent: times 100."),
        Mistake(_mean_difference, "That is the difference itself; asked is how sure it is."),
    ),
    cases=((_SOME, _MOSTLY_ALIKE), (_MOSTLY_ALIKE, _OTHERS), (_OTHERS[:600], _SOME[:600])),
    tolerance=2e-3,  # whether divided by Q or by Q - 1 does not matter
)

EXERCISES = (ERROR, PAIRED, IN_PIECES, DEALT_OUT)
