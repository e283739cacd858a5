"""Notebook 07, training the generator: the loss and its gradient; what a step takes and costs is in `step_07.py`."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.course.exercises.step_07 import BY_BAND, CANDIDATES
from diffret_core.randomness import generator

Rows = Float[Tensor, "B N"]

_ESTIMATES = torch.tensor([[0.30, 0.28, 0.10], [-0.05, 0.20, 0.40], [0.90, 0.05, 0.00]])
_FOUR = torch.rand(4, 5, generator=generator(0, "estimates of an exercise")) - 0.2
_ONE_HOT = torch.eye(3)[[0, 2, 0]]
_FAR_BEHIND = torch.tensor([[-0.6, 0.7, 0.1]])  # at scale 100 the softmax of the first rounds to 0
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


def _divergence_rounded(x_0: Rows, x_0_hat: Rows, loss_scale: float) -> Float[Tensor, ""]:
    return (torch.xlogy(x_0, x_0) - torch.xlogy(x_0, torch.softmax(loss_scale * x_0_hat, dim=1))).sum(dim=1).mean()


def _divergence_other_way(x_0: Rows, x_0_hat: Rows, loss_scale: float) -> Float[Tensor, ""]:
    log_q = torch.log_softmax(loss_scale * x_0_hat, dim=1)
    return (log_q.exp() * (log_q - x_0.log())).sum(dim=1).mean()


def _divergence_of_first(x_0: Rows, x_0_hat: Rows, loss_scale: float) -> Float[Tensor, ""]:
    return functional.cross_entropy(loss_scale * x_0_hat, torch.zeros(len(x_0), dtype=torch.long))


def _divergence_scaled_late(x_0: Rows, x_0_hat: Rows, loss_scale: float) -> Float[Tensor, ""]:
    return loss_scale * _divergence(x_0, x_0_hat, 1.0)


def _divergence_over_queries(x_0: Rows, x_0_hat: Rows, loss_scale: float) -> Float[Tensor, ""]:
    log_q = torch.log_softmax(loss_scale * x_0_hat, dim=0)
    return (torch.xlogy(x_0, x_0) - x_0 * log_q).sum(dim=1).mean()


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
        Mistake(
            _divergence_rounded,
            "Where the right one is far behind, q rounds to 0, its log to minus infinity; take torch.log_softmax.",
        ),
        Mistake(_divergence_other_way, "That is KL(q, p), the other way round; here x_0 is p and stands in front."),
        Mistake(_divergence_of_first, "You take candidate 0 as the right one of every row; x_0 says which it is."),
        Mistake(_divergence_scaled_late, "The scale belongs inside the softmax, not in front of the result."),
        Mistake(_divergence_over_queries, "The softmax must run over the candidates, dim=1, not over the queries."),
        Mistake(_divergence_of_entries, "Sum over the candidates, then take the mean over the queries only."),
        Mistake(_divergence_summed, "Too large by the number of queries: take the mean over the rows."),
        Mistake(_divergence_without_scale, "Multiply the estimate by loss_scale before the softmax."),
        Mistake(_divergence_turned, "The sign is turned round: a divergence is never negative."),
    ),
    cases=(
        (_ONE_HOT, _ESTIMATES, 20.0),
        (_SHARED, _ESTIMATES, 5.0),
        (_ONE_HOT[:1], _ESTIMATES[:1], 3.0),
        (_ONE_HOT[:1], _FAR_BEHIND, 100.0),
    ),
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


def _gradient_bare(x_0_hat: Rows, loss_scale: float) -> Rows:
    return _gradient(x_0_hat, loss_scale) / loss_scale * len(x_0_hat)


def _gradient_over_candidates(x_0_hat: Rows, loss_scale: float) -> Rows:
    return _gradient(x_0_hat, loss_scale) * len(x_0_hat) / x_0_hat.shape[1]


def _gradient_scaled_late(x_0_hat: Rows, loss_scale: float) -> Rows:
    return loss_scale * _gradient(x_0_hat, 1.0)


def _gradient_on_diagonal(x_0_hat: Rows, loss_scale: float) -> Rows:
    return loss_scale * (torch.softmax(loss_scale * x_0_hat, dim=1) - torch.eye(*x_0_hat.shape)) / len(x_0_hat)


GRADIENT = Exercise(
    name="gradient_of_kl",
    reference=_gradient,
    second=_gradient_by_autograd,
    mistakes=(
        Mistake(
            _gradient_without_target, "The right answer is missing: subtract 1 from the probability of candidate 0."
        ),
        Mistake(_gradient_turned, "The sign is turned round: the gradient is probability minus right answer."),
        Mistake(_gradient_bare, "Two factors are missing: loss_scale, by the chain rule, and 1/B, by the mean."),
        Mistake(_gradient_over_candidates, "Divide by B, the number of rows, not by the number of candidates."),
        Mistake(_gradient_scaled_late, "loss_scale stands inside the softmax as well, not only in front."),
        Mistake(
            _gradient_on_diagonal,
            "In notebook 04 the right ones stood on the diagonal; here it is column 0 in each row.",
        ),
        Mistake(_gradient_without_scale, "The chain rule brings loss_scale out in front as well."),
        Mistake(_gradient_not_averaged, "The loss is a mean over the queries, so its gradient is divided by B."),
        Mistake(
            _gradient_of_square, "That is the gradient of the mean squared error; asked is that of the divergence."
        ),
    ),
    cases=((_ESTIMATES, 20.0), (_FOUR, 5.0), (_FOUR[:1], 1.0)),
)

EXERCISES = (DIVERGENCE, GRADIENT, CANDIDATES, BY_BAND)
