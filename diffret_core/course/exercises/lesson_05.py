"""Notebook 05, retrieval as generation: the forward process; the joint in `joint_05`, schedules in `schedules_05`."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.course.exercises.joint_05 import TABLES
from diffret_core.course.exercises.schedules_05 import BETAS, RECOVER
from diffret_core.randomness import generator
from diffret_core.schedule import add_noise, noise_schedule

Rows = Float[Tensor, "B N"]
Levels = Int[Tensor, " B"]
Kept = Float[Tensor, " K1"]
Noises = Float[Tensor, "k N"]
Betas = Float[Tensor, " k"]

# --- the closed form -------------------------------------------------------------------------------------------------


def _noised(x_0: Rows, k: Levels, epsilon: Rows, alpha_bar: Kept) -> Rows:
    kept = alpha_bar[k][:, None]
    return kept.sqrt() * x_0 + (1 - kept).sqrt() * epsilon


def _noised_without_roots(x_0: Rows, k: Levels, epsilon: Rows, alpha_bar: Kept) -> Rows:
    kept = alpha_bar[k][:, None]
    return kept * x_0 + (1 - kept) * epsilon


def _noised_with_shares_that_sum(x_0: Rows, k: Levels, epsilon: Rows, alpha_bar: Kept) -> Rows:
    signal = alpha_bar[k][:, None].sqrt()
    return signal * x_0 + (1 - signal) * epsilon


def _noised_exchanged(x_0: Rows, k: Levels, epsilon: Rows, alpha_bar: Kept) -> Rows:
    return _noised(epsilon, k, x_0, alpha_bar)


def _noised_at_one_level(x_0: Rows, k: Levels, epsilon: Rows, alpha_bar: Kept) -> Rows:
    return _noised(x_0, k[:1].expand(len(k)), epsilon, alpha_bar)


def _noised_across(x_0: Rows, k: Levels, epsilon: Rows, alpha_bar: Kept) -> Rows:
    return _noised(x_0.T, k, epsilon.T, alpha_bar).T


def _noised_a_level_early(x_0: Rows, k: Levels, epsilon: Rows, alpha_bar: Kept) -> Rows:
    return _noised(x_0, k - 1, epsilon, alpha_bar)


def _noised_with_whole_noise(x_0: Rows, k: Levels, epsilon: Rows, alpha_bar: Kept) -> Rows:
    return alpha_bar[k][:, None].sqrt() * x_0 + epsilon


def _noised_signal_not_rooted(x_0: Rows, k: Levels, epsilon: Rows, alpha_bar: Kept) -> Rows:
    kept = alpha_bar[k][:, None]
    return kept * x_0 + (1 - kept).sqrt() * epsilon


def _noised_by_products_again(x_0: Rows, k: Levels, epsilon: Rows, alpha_bar: Kept) -> Rows:
    return _noised(x_0, k, epsilon, alpha_bar.cumprod(dim=0))


_DRAW = generator(0, "noise of an exercise")
_SQUARES = [
    (torch.eye(size), levels, torch.randn(size, size, generator=_DRAW), noise_schedule(5).float())
    for size, levels in ((3, torch.tensor([0, 3, 5])), (2, torch.tensor([4, 2])))
]

NOISED = Exercise(
    name="noise_to_level",
    reference=_noised,
    second=add_noise,
    mistakes=(
        Mistake(_noised_without_roots, "alpha_bar is a share of the variance; signal and noise take its square roots."),
        Mistake(_noised_with_shares_that_sum, "The noise takes sqrt(1 - alpha_bar), which is not 1 - sqrt(alpha_bar)."),
        Mistake(_noised_with_whole_noise, "The noise has a factor too, sqrt(1 - alpha_bar), which is 0 at level 0."),
        Mistake(_noised_signal_not_rooted, "The noise is right; the signal takes sqrt(alpha_bar), not alpha_bar."),
        Mistake(_noised_by_products_again, "alpha_bar holds products already; do not multiply them up again."),
        Mistake(_noised_exchanged, "Signal and noise are exchanged: at level 0 nothing but x_0 must be left."),
        Mistake(_noised_at_one_level, "Every row has a level of its own; yours takes the first one for all rows."),
        Mistake(_noised_across, "alpha_bar[k] went across the candidates; one factor per row has the shape [B, 1]."),
        Mistake(
            _noised_a_level_early, "alpha_bar has K + 1 entries, with alpha_bar[0] = 1 for the clean level: no k - 1."
        ),
    ),
    cases=tuple(_SQUARES),  # square, so that an axis taken for the other is a wrong number and not an error
)

# --- many noises are one ---------------------------------------------------------------------------------------------


def _one(beta: Betas, epsilon: Noises) -> Float[Tensor, " N"]:
    noise = torch.zeros_like(epsilon[0])
    for share, fresh in zip(beta, epsilon, strict=True):
        noise = (1 - share).sqrt() * noise + share.sqrt() * fresh
    return noise / (1 - (1 - beta).prod()).sqrt()


def _one_by_weights(beta: Betas, epsilon: Noises) -> Float[Tensor, " N"]:
    later = torch.stack([(1 - beta[step + 1 :]).prod() for step in range(len(beta))])
    weight = (beta * later).sqrt()
    return (weight[:, None] * epsilon).sum(dim=0) / weight.norm()


def _one_not_scaled(beta: Betas, epsilon: Noises) -> Float[Tensor, " N"]:
    return _one(beta, epsilon) * (1 - (1 - beta).prod()).sqrt()


def _one_as_sum(beta: Betas, epsilon: Noises) -> Float[Tensor, " N"]:
    return epsilon.sum(dim=0)


def _one_as_mean(beta: Betas, epsilon: Noises) -> Float[Tensor, " N"]:
    return epsilon.mean(dim=0)


def _one_as_last(beta: Betas, epsilon: Noises) -> Float[Tensor, " N"]:
    return epsilon[-1]


def _one_never_shrunk(beta: Betas, epsilon: Noises) -> Float[Tensor, " N"]:
    return (beta.sqrt()[:, None] * epsilon).sum(dim=0) / (1 - (1 - beta).prod()).sqrt()


def _one_scaled_by_variance(beta: Betas, epsilon: Noises) -> Float[Tensor, " N"]:
    return _one_not_scaled(beta, epsilon) / (1 - (1 - beta).prod())


def _one_without_roots(beta: Betas, epsilon: Noises) -> Float[Tensor, " N"]:
    noise = torch.zeros_like(epsilon[0])
    for share, fresh in zip(beta, epsilon, strict=True):
        noise = (1 - share) * noise + share * fresh
    return noise / (1 - (1 - beta).prod()).sqrt()


def _one_by_equal_weights(beta: Betas, epsilon: Noises) -> Float[Tensor, " N"]:
    return epsilon.sum(dim=0) / len(epsilon) ** 0.5


def _one_backwards(beta: Betas, epsilon: Noises) -> Float[Tensor, " N"]:
    return _one(beta.flip(0), epsilon.flip(0))


ONE_NOISE = Exercise(
    name="one_noise",
    reference=_one,
    second=_one_by_weights,
    mistakes=(
        Mistake(_one_not_scaled, "That is the noise part of x_k; divide by sqrt(1 - alpha_bar) to get its epsilon."),
        Mistake(_one_as_sum, "A plain sum: but every noise is scaled by its own step and shrunk by all later ones."),
        Mistake(_one_as_mean, "A plain mean: but every noise is scaled by its own step and shrunk by all later ones."),
        Mistake(_one_as_last, "Only the last noise is left in yours; the earlier ones are shrunk, not gone."),
        Mistake(
            _one_never_shrunk, "Each later step shrinks the noises before it by sqrt(1 - beta); yours keep their size."
        ),
        Mistake(_one_without_roots, "A step takes the roots of 1 - beta and beta; yours takes them as they are."),
        Mistake(_one_by_equal_weights, "The variance is right, but a noise counts by its own beta and all later ones."),
        Mistake(_one_backwards, "You walk backwards: the first noise comes first, and all later steps shrink it."),
        Mistake(_one_scaled_by_variance, "1 - alpha_bar is a variance; divide by its square root."),
    ),
    cases=(
        (torch.tensor([0.2, 0.5]), torch.tensor([[1.0, -1.0], [0.5, 2.0]])),
        (torch.tensor([0.1, 0.2, 0.4]), torch.tensor([[0.3, 1.2, -0.7], [-1.1, 0.4, 0.9], [0.8, -0.5, 0.2]])),
    ),
)

EXERCISES = (TABLES, NOISED, ONE_NOISE, BETAS, RECOVER)
