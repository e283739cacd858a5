"""Notebook 09, evaluation: what judges a gain; a paired interval over seeds, and the sign test."""

import math
from itertools import accumulate

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake

HitsA = Bool[Tensor, "S Q"]
HitsB = Bool[Tensor, "S Q"]
Drawn = Int[Tensor, "R Q"]
Ends = tuple[float, float]

# --- an interval, query by query -------------------------------------------------------------------------------------


def _differences(hits_a: HitsA, hits_b: HitsB) -> Float[Tensor, " Q"]:
    return 100 * (hits_a.double().mean(dim=0) - hits_b.double().mean(dim=0))


def _ends(resampled: Float[Tensor, " R"], percents: Ends = (2.5, 97.5)) -> Ends:
    low, high = np.percentile(resampled.numpy(), percents)
    return float(low), float(high)


def _interval(hits_a: HitsA, hits_b: HitsB, drawn: Drawn) -> Ends:
    return _ends(_differences(hits_a, hits_b)[drawn].mean(dim=1))


def _interval_seed_by_seed(hits_a: HitsA, hits_b: HitsB, drawn: Drawn) -> Ends:
    of_seeds = torch.stack([a.double()[drawn] - b.double()[drawn] for a, b in zip(hits_a, hits_b, strict=True)])
    resampled = of_seeds.mean(dim=(0, 2)) * 100  # [R]
    return resampled.quantile(0.025).item(), resampled.quantile(0.975).item()


def _interval_of_ninety(hits_a: HitsA, hits_b: HitsB, drawn: Drawn) -> Ends:
    return _ends(_differences(hits_a, hits_b)[drawn].mean(dim=1), (5, 95))


def _interval_in_shares(hits_a: HitsA, hits_b: HitsB, drawn: Drawn) -> Ends:
    low, high = _interval(hits_a, hits_b, drawn)
    return low / 100, high / 100


def _interval_turned_round(hits_a: HitsA, hits_b: HitsB, drawn: Drawn) -> Ends:
    return _interval(hits_b, hits_a, drawn)


def _interval_not_paired(hits_a: HitsA, hits_b: HitsB, drawn: Drawn) -> Ends:
    of_a, of_b = (100 * hits.double().mean(dim=0) for hits in (hits_a, hits_b))
    return _ends(of_a[drawn].mean(dim=1) - of_b[drawn.flip(0)].mean(dim=1))


def _interval_of_separate_ends(hits_a: HitsA, hits_b: HitsB, drawn: Drawn) -> Ends:
    of_a, of_b = (_ends((100 * hits.double().mean(dim=0))[drawn].mean(dim=1)) for hits in (hits_a, hits_b))
    return of_a[0] - of_b[0], of_a[1] - of_b[1]


def _interval_of_the_first_seed(hits_a: HitsA, hits_b: HitsB, drawn: Drawn) -> Ends:
    return _interval(hits_a[:1], hits_b[:1], drawn)


def _interval_of_queries(hits_a: HitsA, hits_b: HitsB, drawn: Drawn) -> Ends:
    return _ends(_differences(hits_a, hits_b))


_DRAW = torch.Generator().manual_seed(9)
_HITS = torch.rand(2, 3, 12, generator=_DRAW) < torch.tensor([0.8, 0.55])[:, None, None]
_DRAWN = torch.randint(12, (15, 12), generator=_DRAW)

INTERVAL = Exercise(
    name="paired_interval",
    reference=_interval,
    second=_interval_seed_by_seed,
    mistakes=(
        Mistake(_interval_of_ninety, "The middle 95 % lie between the percentiles 2.5 and 97.5; yours holds 90 %."),
        Mistake(_interval_in_shares, "The ends are in percentage points: multiply by 100."),
        Mistake(_interval_turned_round, "The sign is turned: it is a minus b."),
        Mistake(_interval_not_paired, "Draw the same queries for a and for b: subtract query by query, then resample."),
        Mistake(
            _interval_of_separate_ends, "Ends of two intervals cannot be subtracted; resample the differences instead."
        ),
        Mistake(_interval_of_the_first_seed, "Average over all seeds (the rows); yours looks at the first alone."),
        Mistake(_interval_of_queries, "This is the spread of single queries; take the mean of each resample first."),
    ),
    cases=((_HITS[0], _HITS[1], _DRAWN), (_HITS[1, :2], _HITS[0, 1:], _DRAWN.flip(1)[3:])),
)

# --- mended against broken -------------------------------------------------------------------------------------------


def _sign_test(mended: int, broken: int) -> float:
    number, fewer = mended + broken, min(mended, broken)
    return min(1.0, 2 * sum(math.comb(number, count) for count in range(fewer + 1)) / 2**number)


def _sign_test_by_halves(mended: int, broken: int) -> float:
    chances = [1.0]  # of 0, 1, ... heads
    for _ in range(mended + broken):
        chances = [(left + right) / 2 for left, right in zip([0.0, *chances], [*chances, 0.0], strict=True)]
    return min(1.0, 2 * list(accumulate(chances))[min(mended, broken)])


def _sign_test_one_sided(mended: int, broken: int) -> float:
    number = mended + broken
    return sum(math.comb(number, count) for count in range(min(mended, broken) + 1)) / 2**number


def _sign_test_of_just_this(mended: int, broken: int) -> float:
    return math.comb(mended + broken, broken) / 2 ** (mended + broken)


def _sign_test_above_one(mended: int, broken: int) -> float:
    return 2 * _sign_test_one_sided(mended, broken)


def _sign_test_leaving_out(mended: int, broken: int) -> float:
    number = mended + broken
    return 2 * sum(math.comb(number, count) for count in range(min(mended, broken))) / 2**number


def _sign_test_turned_round(mended: int, broken: int) -> float:
    return 1 - _sign_test(mended, broken)


SIGN_TEST = Exercise(
    name="sign_test",
    reference=_sign_test,
    second=_sign_test_by_halves,
    mistakes=(
        Mistake(_sign_test_one_sided, "Broken might have won as clearly: count both sides, twice the one."),
        Mistake(_sign_test_of_just_this, "Count what is at least as uneven too, not this one outcome alone."),
        Mistake(_sign_test_above_one, "A probability is at most 1: with equal numbers both sides hold the middle."),
        Mistake(_sign_test_leaving_out, "The outcome itself belongs to what is at least as uneven: count up to it."),
        Mistake(_sign_test_turned_round, "It is the chance of so uneven a result, not one minus that."),
    ),
    cases=((7, 2), (3, 3), (2, 9), (30, 12), (1, 0), (0, 0)),
)
