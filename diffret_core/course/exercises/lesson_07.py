"""Notebook 07, training the generator: the loss, its gradient, candidates, and the loss by noise level."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.randomness import generator

Rows = Float[Tensor, "B N"]

_ESTIMATES = torch.tensor([[0.30, 0.28, 0.10], [-0.05, 0.20, 0.40], [0.90, 0.05, 0.00]])
_FOUR = torch.rand(4, 5, generator=generator(0, "estimates of an exercise")) - 0.2
_ONE_HOT = torch.eye(3)[[0, 2, 0]]
_SHARED = torch.tensor([[0.5, 0.5, 0.0], [0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])

# --- the divergence --------------------------------------------------------------------------------------------------


def _divergence(x_0: Rows, x_0_hat: Rows, loss_scale: float) -> Float[Tensor, ""]:
    log_q = torch.log_softmax(loss_scale * x_0_hat, dim=1)
    return (torch.xlogy(x_0, x_0) - x_0 * log_q).sum(dim=1).mean()


def _divergence_by_loops(x_0: Rows, x_0_hat: Rows, loss_scale: float) -> float:
    total = 0.0
    for p, logits in zip(x_0.double().tolist(), (loss_scale * x_0_hat.double()).tolist(), strict=True):
        largest = max(logits)
        log_sum = largest + math.log(sum(math.exp(one - largest) for one in logits))
        total += sum(a * (math.log(a) - (b - log_sum)) for a, b in zip(p, logits, strict=True) if a > 0)
    return total / len(x_0)


def _divergence_naive(x_0: Rows, x_0_hat: Rows, loss_scale: float) -> Float[Tensor, ""]:
    q = torch.softmax(loss_scale * x_0_hat, dim=1)
    return (x_0 * (x_0.log() - q.log())).sum(dim=1).mean()


def _divergence_of_entries(x_0: Rows, x_0_hat: Rows, loss_scale: float) -> Float[Tensor, ""]:
    return _divergence(x_0, x_0_hat, loss_scale) / x_0.shape[1]


def _divergence_summed(x_0: Rows, x_0_hat: Rows, loss_scale: float) -> Float[Tensor, ""]:
    return _divergence(x_0, x_0_hat, loss_scale) * len(x_0)


def _divergence_without_scale(x_0: Rows, x_0_hat: Rows, loss_scale: float) -> Float[Tensor, ""]:
    return _divergence(x_0, x_0_hat, 1.0)


def _divergence_turned(x_0: Rows, x_0_hat: Rows, loss_scale: float) -> Float[Tensor, ""]:
    return -_divergence(x_0, x_0_hat, loss_scale)


def _divergence_crosswise(x_0: Rows, x_0_hat: Rows, loss_scale: float) -> Float[Tensor, ""]:
    return -(x_0 * torch.log_softmax(loss_scale * x_0_hat, dim=1)).sum(dim=1).mean()


DIVERGENCE = Exercise(
    name="divergence",
    reference=_divergence,
    second=_divergence_by_loops,
    mistakes=(
        Mistake(
            _divergence_naive, "log 0 is minus infinity, and 0 times that is NaN; torch.xlogy(p, p) gives 0 there."
        ),
        Mistake(
            _divergence_crosswise, "That is the cross-entropy: p ln p is missing, which is 0 only for a one-hot p."
        ),
        Mistake(_divergence_of_entries, "Sum over the candidates, then take the mean over the queries only."),
        Mistake(_divergence_summed, "Too large by the number of queries: take the mean over the rows."),
        Mistake(_divergence_without_scale, "Multiply the estimate by loss_scale before the softmax."),
        Mistake(_divergence_turned, "The sign is turned round: a divergence is never negative."),
    ),
    cases=((_ONE_HOT, _ESTIMATES, 20.0), (_SHARED, _ESTIMATES, 5.0), (_ONE_HOT[:1], _ESTIMATES[:1], 3.0)),
)

# --- its gradient ----------------------------------------------------------------------------------------------------


def _gradient(x_0_hat: Rows, loss_scale: float) -> Rows:
    gradient = torch.softmax(loss_scale * x_0_hat, dim=1)
    gradient[:, 0] -= 1
    return loss_scale * gradient / len(x_0_hat)


def _gradient_by_autograd(x_0_hat: Rows, loss_scale: float) -> Rows:
    moved = x_0_hat.clone().requires_grad_()
    loss = functional.cross_entropy(loss_scale * moved, torch.zeros(len(moved), dtype=torch.long))
    return torch.autograd.grad(loss, moved)[0]


def _gradient_without_target(x_0_hat: Rows, loss_scale: float) -> Rows:
    return loss_scale * torch.softmax(loss_scale * x_0_hat, dim=1) / len(x_0_hat)


def _gradient_turned(x_0_hat: Rows, loss_scale: float) -> Rows:
    return -_gradient(x_0_hat, loss_scale)


def _gradient_without_scale(x_0_hat: Rows, loss_scale: float) -> Rows:
    return _gradient(x_0_hat, loss_scale) / loss_scale


def _gradient_not_averaged(x_0_hat: Rows, loss_scale: float) -> Rows:
    return _gradient(x_0_hat, loss_scale) * len(x_0_hat)


def _gradient_of_square(x_0_hat: Rows, loss_scale: float) -> Rows:
    x_0 = torch.zeros_like(x_0_hat)
    x_0[:, 0] = 1
    return 2 * (x_0_hat - x_0) / x_0_hat.numel()


GRADIENT = Exercise(
    name="gradient_of_kl",
    reference=_gradient,
    second=_gradient_by_autograd,
    mistakes=(
        Mistake(
            _gradient_without_target, "The right answer is missing: subtract 1 from the probability of candidate 0."
        ),
        Mistake(_gradient_turned, "The sign is turned round: the gradient is probability minus right answer."),
        Mistake(_gradient_without_scale, "The chain rule brings loss_scale out in front as well."),
        Mistake(_gradient_not_averaged, "The loss is a mean over the queries, so its gradient is divided by B."),
        Mistake(
            _gradient_of_square, "That is the gradient of the mean squared error; asked is that of the divergence."
        ),
    ),
    cases=((_ESTIMATES, 20.0), (_FOUR, 5.0), (_FOUR[:1], 1.0)),
)

# --- the candidates of a step ----------------------------------------------------------------------------------------


def _candidates(
    similarity: Float[Tensor, " V"], positive: int, same: Bool[Tensor, " V"], pool: int, places: list[int]
) -> Int[Tensor, " N"]:
    hardest = similarity.masked_fill(same, -torch.inf).topk(pool).indices
    return torch.cat([torch.tensor([positive]), hardest[places]])


def _candidates_by_sorting(
    similarity: Float[Tensor, " V"], positive: int, same: Bool[Tensor, " V"], pool: int, places: list[int]
) -> list[int]:
    allowed = [item for item in range(len(similarity)) if not same[item]]
    hardest = sorted(allowed, key=lambda item: -float(similarity[item]))[:pool]
    return [positive, *(hardest[place] for place in places)]


def _candidates_with_doubles(
    similarity: Float[Tensor, " V"], positive: int, same: Bool[Tensor, " V"], pool: int, places: list[int]
) -> Int[Tensor, " N"]:
    only_own = torch.arange(len(same)) == positive
    return _candidates(similarity, positive, only_own, pool, places)


def _candidates_with_itself(
    similarity: Float[Tensor, " V"], positive: int, same: Bool[Tensor, " V"], pool: int, places: list[int]
) -> Int[Tensor, " N"]:
    return _candidates(similarity, positive, torch.zeros_like(same), pool, places)


def _candidates_positive_last(
    similarity: Float[Tensor, " V"], positive: int, same: Bool[Tensor, " V"], pool: int, places: list[int]
) -> Int[Tensor, " N"]:
    return _candidates(similarity, positive, same, pool, places).roll(-1)


def _candidates_easy(
    similarity: Float[Tensor, " V"], positive: int, same: Bool[Tensor, " V"], pool: int, places: list[int]
) -> Int[Tensor, " N"]:
    return _candidates(-similarity, positive, same, pool, places)


def _candidates_nearest(
    similarity: Float[Tensor, " V"], positive: int, same: Bool[Tensor, " V"], pool: int, places: list[int]
) -> Int[Tensor, " N"]:
    return _candidates(similarity, positive, same, pool, list(range(len(places))))


_ROW = torch.tensor([0.41, 0.62, 0.10, 0.58, 0.61, 0.33, 0.55, 0.20])
_SAME = torch.tensor([False, False, False, True, True, False, False, False])

CANDIDATES = Exercise(
    name="candidates_of_step",
    reference=_candidates,
    second=_candidates_by_sorting,
    mistakes=(
        Mistake(
            _candidates_with_doubles, "An item that the caption is true of as well came in as a negative; mask `same`."
        ),
        Mistake(_candidates_with_itself, "The positive is among its own negatives: mask `same` before topk."),
        Mistake(_candidates_positive_last, "The positive must stand first: the loss expects it at index 0."),
        Mistake(_candidates_easy, "These are the least similar items, the easy ones; topk of the similarity itself."),
        Mistake(_candidates_nearest, "Take the drawn `places` of the pool, not always its first ones."),
    ),
    cases=((_ROW, 3, _SAME, 5, [4, 0, 2]), (_ROW, 3, _SAME, 4, [1, 3]), (_ROW.flip(0), 4, _SAME.flip(0), 3, [2, 0])),
)

# --- the loss by noise level -----------------------------------------------------------------------------------------


def _by_band(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    band = (k - 1) // width
    return torch.stack([loss[band == number].mean() for number in range(int(band.max()) + 1)])


def _by_band_counting(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    band = (k - 1) // width
    return torch.bincount(band, weights=loss.double()) / torch.bincount(band)


def _by_band_shifted(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    return _by_band(loss, k + 1, width)


def _by_band_summed(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    return torch.bincount((k - 1) // width, weights=loss)


def _by_band_share(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    return _by_band_summed(loss, k, width) / len(loss)


def _by_level(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    return torch.stack([loss[k == level].mean() for level in k.unique()])


_LEVELS = torch.tensor([1, 2, 3, 4, 5, 6, 7, 8, 5, 4, 8, 1])
_LOSSES = torch.tensor([0.1, 0.3, 0.2, 0.6, 0.9, 0.7, 1.4, 2.0, 1.1, 0.5, 1.8, 0.0])

BY_BAND = Exercise(
    name="loss_by_band",
    reference=_by_band,
    second=_by_band_counting,
    mistakes=(
        Mistake(_by_band_shifted, "Off by one: levels begin at 1, so level `width` belongs to the first band still."),
        Mistake(_by_band_summed, "These are sums; bands with more queries would look worse. Take means."),
        Mistake(_by_band_share, "Divide by the number of queries in the band, not in the whole batch."),
        Mistake(_by_level, "That is a mean per level; put `width` levels together in one band."),
    ),
    cases=((_LOSSES, _LEVELS, 4), (_LOSSES, _LEVELS, 2)),
)

EXERCISES = (DIVERGENCE, GRADIENT, CANDIDATES, BY_BAND)
