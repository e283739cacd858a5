"""Ranking: join the similarity of all items with the distribution generated over the best of them."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def generated_probability(sample: Float[Tensor, "Q N"], *, temperature: float = 1.0) -> Float[Tensor, "Q N"]:
    """Turn sampled states into probabilities over each query's candidates.

        softmax over the N candidates of (temperature * sample)

    A finished sample lies in [-1, 1], so at temperature 1 the best candidate is at most e^2 = 7.4 times as probable as
    the worst: with 32 candidates no probability exceeds 0.193.

    Source: SPEC section 10.

    Args:
        sample: State of each candidate, from the last step or any earlier one.
        temperature: Factor on the sample, positive; larger is sharper.

    Returns:
        Probabilities; every row sums to 1.

    Raises:
        ValueError: If a sample is not finite or the temperature is not a positive number.
    """
    _check_finite("sample", sample)
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature is {temperature}, expected a positive number such as 1")
    return torch.softmax(temperature * sample, dim=1)


def combined_scores(
    similarity: Float[Tensor, "Q V"],
    candidates: Int[Tensor, "Q N"],
    sample: Float[Tensor, "Q N"],
    *,
    alpha: float = 1.0,
    temperature: float = 1.0,
) -> Float[Tensor, "Q V"]:
    """Add the generated probability of each candidate to its similarity; other items keep their similarity.

        combined = similarity + alpha * softmax(temperature * sample)    at the candidates

    Source: SPEC section 10.

    Args:
        similarity: Similarity of every gallery item to every query, without logit scale.
        candidates: Columns of each query's candidates, each at most once per row.
        sample: Sampled state of those candidates, in the same order.
        alpha: Weight of the generated probability; 0 leaves the similarity alone.
        temperature: Factor on the sample, positive.

    Returns:
        Combined scores, for all items.

    Raises:
        ValueError: If shapes do not match, a candidate is no column or stands twice in its row, or a number is not
            finite.
    """
    _check_candidates(similarity, candidates, sample)
    if not math.isfinite(alpha):
        raise ValueError(f"alpha is {alpha}, expected a finite number such as 1")
    probability = generated_probability(sample, temperature=temperature)
    return similarity.scatter_add(1, candidates.long(), alpha * probability.to(similarity.dtype))


def generator_scores(
    similarity: Float[Tensor, "Q V"], candidates: Int[Tensor, "Q N"], sample: Float[Tensor, "Q N"]
) -> Float[Tensor, "Q V"]:
    """Scores that rank by the generator alone: candidates first, by sample, then all other items, by similarity.

    They are places counted from the back, not probabilities: whole numbers, 0 and up for candidates, negative for
    the rest. So two items tie exactly where their samples (or similarities) are equal and nowhere else, whatever the
    precision. Samples clamped to the same -1 or 1 do tie, and the metrics' tie rule decides what that is worth. The
    order is that of `generated_probability` at any temperature.

    Args:
        similarity: Similarity of every gallery item to every query.
        candidates: Columns of each query's candidates, each at most once per row.
        sample: Sampled state of those candidates, in the same order.

    Returns:
        Places as scores in float32, higher is better.

    Raises:
        ValueError: If shapes do not match, a candidate is no column or stands twice in its row, or a number is not
            finite.
    """
    _check_candidates(similarity, candidates, sample)
    behind = _place_from_last(similarity) - similarity.shape[1]
    return behind.scatter(1, candidates.long(), _place_from_last(sample)).to(torch.float32)


def order(score: Float[Tensor, "Q V"]) -> Int[Tensor, "Q V"]:
    """Columns of each row from best to worst; equal scores keep the order of their columns.

    Args:
        score: Score of every gallery item for every query.

    Returns:
        Column numbers, best first.

    Raises:
        ValueError: If a score is not finite.
    """
    _check_finite("score", score)
    return score.argsort(dim=1, descending=True, stable=True)


def _place_from_last(value: Tensor) -> Tensor:
    """Count the distinct smaller values in the same row: 0 for the smallest; equal values share a place."""
    ascending, column = value.sort(dim=1)
    place = torch.zeros_like(column)
    place[:, 1:] = (ascending[:, 1:] != ascending[:, :-1]).cumsum(dim=1)
    return torch.empty_like(place).scatter_(1, column, place)


def _check_candidates(similarity: Tensor, candidates: Tensor, sample: Tensor) -> None:
    _check_finite("similarity", similarity)
    _check_finite("sample", sample)
    num_queries, num_items = similarity.shape
    if candidates.shape != sample.shape or candidates.shape[0] != num_queries:
        raise ValueError(
            f"similarity {tuple(similarity.shape)}, candidates {tuple(candidates.shape)} and sample "
            f"{tuple(sample.shape)} do not fit; expected [Q, V], [Q, N], [Q, N]"
        )
    if int(candidates.min()) < 0 or int(candidates.max()) >= num_items:
        raise ValueError(
            f"candidates range over {int(candidates.min())}..{int(candidates.max())}, "
            f"expected columns of the similarity, 0 to {num_items - 1}"
        )
    ascending = candidates.sort(dim=1).values
    repeated = (ascending[:, 1:] == ascending[:, :-1]).nonzero()
    if len(repeated):
        query, place = repeated[0].tolist()
        raise ValueError(
            f"query {query} has candidate {int(ascending[query, place])} twice; "
            f"choose at most {num_items} different candidates per query"
        )


def _check_finite(name: str, value: Tensor) -> None:
    if value.ndim != 2 or value.numel() == 0:
        raise ValueError(f"{name} has shape {tuple(value.shape)}, expected queries by items, at least one of each")
    faulty = (~value.isfinite()).nonzero()
    if len(faulty):
        row, column = faulty[0].tolist()
        raise ValueError(
            f"{name}[{row}, {column}] is {float(value[row, column])}; all must be finite, "
            "so look for empty or damaged features or weights"
        )
