"""What may be believed of answers: how often the surest are wrong, and whether a claimed probability is kept."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def risk_coverage(score: Float[Tensor, " Q"], wrong: Bool[Tensor, " Q"]) -> Float[Tensor, " Q"]:
    """Share of wrong answers among the 1, 2, ... Q queries with the lowest scores; its mean is the area under it.

    Queries of one score come in no particular order: each counts as wrong as they are on average.

    Args:
        score: High where an answer is better withheld.
        wrong: Whether the answer is wrong; that to an unmatched query always is.

    Raises:
        ValueError: If there is no query, or a score is not finite.
    """
    _check(score)
    _, group = score.unique(return_inverse=True)
    total = torch.zeros(int(group.max()) + 1, dtype=torch.float64, device=score.device)
    mean = total.index_add(0, group, wrong.to(total)) / group.bincount()
    expected = mean[group[score.argsort()]]
    return (expected.cumsum(0) / torch.arange(1, len(score) + 1, device=score.device)).to(score)


def calibration(
    confidence: Float[Tensor, " Q"], right: Bool[Tensor, " Q"], *, num_bins: int = 10
) -> Float[Tensor, "bins 3"]:
    """Sort answers into bins of equal width by confidence: mean confidence, share of right ones, and number in each.

    Args:
        confidence: Probability claimed for each answer, 0..1.
        right: Whether it is right.
        num_bins: Bins between 0 and 1; an empty one holds zeros.

    Raises:
        ValueError: If there is no answer, a confidence is no number between 0 and 1, or there is no bin.
    """
    _check(confidence)
    if bool((confidence < 0).any()) or bool((confidence > 1).any()):
        raise ValueError("a confidence lies outside 0..1; give probabilities")
    if num_bins < 1:
        raise ValueError(f"num_bins is {num_bins}; give at least one")
    place = (confidence * num_bins).ceil().long().sub(1).clamp(0, num_bins - 1)  # upper edges belong to their bin
    sums = confidence.new_zeros(num_bins, 3)
    sums.index_add_(0, place, torch.stack([confidence, right.to(confidence), torch.ones_like(confidence)], dim=1))
    return torch.cat([sums[:, :2] / sums[:, 2:].clamp(min=1), sums[:, 2:]], dim=1)


def calibration_error(bins: Float[Tensor, "bins 3"]) -> float:
    """Expected calibration error: how far confidence and share of right answers lie apart, mean over all answers.

    Args:
        bins: From `calibration`; empty ones count nothing.

    Raises:
        ValueError: If all bins are empty, or one holds a number that is not finite.
    """
    confidence, right, number = bins.unbind(dim=1)
    if not bool(bins.isfinite().all()) or not float(number.sum()) > 0:
        raise ValueError("the bins must be finite and hold at least one answer")
    return float(((confidence - right).abs() * number).sum() / number.sum())


def _check(score: Tensor) -> None:
    if not len(score) or not bool(score.isfinite().all()):
        raise ValueError(f"scores of shape {tuple(score.shape)} must be one finite number per query, at least one")
