"""Off the map: scores by which queries that match nothing stand out, and how well each score tells them apart.

Every score is one number per query, and higher means more likely off the map. A query is matched if its gallery holds
an answer, and unmatched if it holds none.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

RECALL = 0.95
"""Share of the matched queries that a threshold lets pass."""


class Interval(NamedTuple):
    """A measure with the 2.5 and 97.5 percent points of its resamples."""

    value: float
    low: float
    high: float


def low_maximum(score: Float[Tensor, "Q V"]) -> Float[Tensor, " Q"]:
    """Negate the best score of each row: the maximum of similarities or of probabilities, high where it is low."""
    return -score.amax(dim=1)


def low_margin(score: Float[Tensor, "Q V"]) -> Float[Tensor, " Q"]:
    """Negate how far the best of each row lies above the second: high where two are hard to tell apart.

    Raises:
        ValueError: If a row has no second.
    """
    if score.shape[1] < 2:
        raise ValueError("there is one item, so no margin to a second; give at least two")
    first, second = score.topk(2, dim=1).values.unbind(dim=1)
    return second - first


def energy(similarity: Float[Tensor, "Q V"], *, temperature: float) -> Float[Tensor, " Q"]:
    """Free energy of each row, -temperature log sum exp(similarity / temperature): high where nothing is similar.

    Source: Liu et al. 2020, "Energy-based out-of-distribution detection".

    Args:
        similarity: Queries by items; an item of -inf counts as absent.
        temperature: Positive; near 0 this is the negated maximum.
    """
    return -temperature * torch.logsumexp(similarity / temperature, dim=1)


def low_softmax(similarity: Float[Tensor, "Q V"], *, temperature: float) -> Float[Tensor, " Q"]:
    """Negate the largest softmax probability of each row: high where no item stands out.

    Source: Hendrycks and Gimpel 2017. Items of -inf and the temperature count as for `energy`.
    """
    return -torch.softmax(similarity / temperature, dim=1).amax(dim=1)


def entropy(probability: Float[Tensor, "*Q N"]) -> Float[Tensor, "*Q"]:
    """Entropy of each row in nats, 0 to log N: high where the distribution decides nothing.

    Args:
        probability: Rows that sum to 1; zeros are allowed.
    """
    return -torch.xlogy(probability, probability).sum(dim=-1)


def disagreement(draws: Float[Tensor, "R Q N"]) -> Float[Tensor, " Q"]:
    """Mean Jensen-Shannon divergence of all pairs of draws in nats, 0 to log 2: high where draws contradict each other.

    Args:
        draws: Distributions over the same candidates, from different noise.

    Raises:
        ValueError: If there are not two draws.
    """
    if len(draws) < 2:
        raise ValueError(f"there is {len(draws)} draw, so nothing to agree with; give at least two")
    pairs = [entropy((one + other) / 2) - (entropy(one) + entropy(other)) / 2 for one, other in combinations(draws, 2)]
    return torch.stack(pairs).mean(dim=0)


def reconstruction_error(x_0: Float[Tensor, "Q N"], x_0_hat: Float[Tensor, "Q N"]) -> Float[Tensor, " Q"]:
    """Mean squared error of each row: high where the network does not find an answer again under noise.

    Args:
        x_0: The answer, before it was noised.
        x_0_hat: The network's estimate of it from the noised state; clamped to -1..1 here, as the sampler does.
    """
    return (x_0 - x_0_hat.clamp(-1, 1)).square().mean(dim=1)


def threshold_at_recall(matched: Float[Tensor, " M"], *, recall: float = RECALL) -> float:
    """Give the lowest threshold at or below which at least that share of the matched queries lies.

    Args:
        matched: Scores of matched queries.
        recall: The share, above 0, at most 1.

    Raises:
        ValueError: If there is no score, one is not finite, or the recall is outside its range.
    """
    _check(matched)
    return float(matched.sort().values[_num_passing(len(matched), recall) - 1])


def auroc(matched: Float[Tensor, " M"], unmatched: Float[Tensor, " U"]) -> float:
    """Probability that an unmatched query scores above a matched one; an equal score counts half.

    Raises:
        ValueError: If one of them is empty or not finite.
    """
    return float(_measures(matched, unmatched, _once(matched, unmatched), RECALL)[0][0])


def false_positive_rate(
    matched: Float[Tensor, " M"], unmatched: Float[Tensor, " U"], *, recall: float = RECALL
) -> float:
    """Share of the unmatched queries that pass as matched at the threshold of `threshold_at_recall`.

    Args:
        matched: Scores of matched queries; the threshold lets `recall` of them pass.
        unmatched: Scores of unmatched queries.
        recall: Share of the matched, above 0, at most 1.

    Raises:
        ValueError: If one of them is empty or not finite.
    """
    return float(_measures(matched, unmatched, _once(matched, unmatched), recall)[1][0])


def resampled(num_queries: int, generator: np.random.Generator, num_resamples: int = 1000) -> Int[np.ndarray, "S Q"]:
    """Draw queries anew with replacement: how often each query is in each resample."""
    return generator.multinomial(num_queries, np.full(num_queries, 1 / num_queries), size=num_resamples)


def detection_measures(
    matched: Float[Tensor, " M"],
    unmatched: Float[Tensor, " U"],
    matched_counts: Int[np.ndarray, "S M"],
    unmatched_counts: Int[np.ndarray, "S U"],
) -> tuple[Float[np.ndarray, " S1"], Float[np.ndarray, " S1"]]:
    """AUROC and false-positive rate at 95 % recall, of the queries themselves and then of every resample.

    Kinds of unmatched queries that are to be averaged take the same `matched_counts`.

    Args:
        matched: Scores of matched queries.
        unmatched: Scores of unmatched queries.
        matched_counts: From `resampled`.
        unmatched_counts: From `resampled`, as many resamples; or how often the matched query is drawn that each was
            made from, which then need not add up to U.

    Raises:
        ValueError: If there are no scores of a sort, one is not finite, or a resample holds no unmatched query.
    """
    of_matched, of_unmatched = _once(matched, unmatched)
    counts = np.concatenate([of_matched, matched_counts]), np.concatenate([of_unmatched, unmatched_counts])
    return _measures(matched, unmatched, counts, RECALL)


def interval_of(measure: Float[np.ndarray, " S1"]) -> Interval:
    """Give a measure and its 95 % interval: the value first, then those of its resamples."""
    low, high = np.percentile(measure[1:], [2.5, 97.5])
    return Interval(float(measure[0]), float(low), float(high))


def _measures(
    matched: Tensor, unmatched: Tensor, counts: tuple[np.ndarray, np.ndarray], recall: float
) -> tuple[np.ndarray, np.ndarray]:
    """Measure every resample: go up through the distinct scores and count who lies at or below each."""
    _check(matched)
    _check(unmatched)
    value = torch.cat([matched, unmatched]).cpu().numpy()
    order = value.argsort(kind="stable")
    start = np.flatnonzero(np.r_[True, np.diff(value[order]) > 0])
    zeros = np.zeros_like(counts[0]), np.zeros_like(counts[1])
    at = [
        np.add.reduceat(np.concatenate(parts, axis=1)[:, order], start, axis=1)
        for parts in ((counts[0], zeros[1]), (zeros[0], counts[1]))
    ]
    below = at[0].cumsum(axis=1)
    pairs = (at[1] * (below - at[0] / 2)).sum(axis=1)
    first = (below >= _num_passing(len(matched), recall)).argmax(axis=1)
    passing = np.take_along_axis(at[1].cumsum(axis=1), first[:, None], axis=1)[:, 0]
    num_unmatched = counts[1].sum(axis=1)
    if not num_unmatched.all():
        raise ValueError("a resample holds no unmatched query, so nothing can be measured on it; give more queries")
    return pairs / (len(matched) * num_unmatched), passing / num_unmatched


def _once(matched: Tensor, unmatched: Tensor) -> tuple[np.ndarray, np.ndarray]:
    return np.ones((1, len(matched)), dtype=np.int64), np.ones((1, len(unmatched)), dtype=np.int64)


def _num_passing(num_matched: int, recall: float) -> int:
    if not 0 < recall <= 1:
        raise ValueError(f"recall is {recall}; it must be above 0 and at most 1")
    return int(np.ceil(round(recall * num_matched, 9)))


def _check(score: Tensor) -> None:
    if score.ndim != 1 or not len(score) or not bool(score.isfinite().all()):
        raise ValueError(f"scores of shape {tuple(score.shape)} must be one finite number per query, at least one")
