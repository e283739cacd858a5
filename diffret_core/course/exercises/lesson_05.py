"""Notebook 05, retrieval as generation: joint and conditional, and the forward process; schedules in `schedules_05`."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.course.exercises.schedules_05 import BETAS, RECOVER
from diffret_core.randomness import generator
from diffret_core.schedule import add_noise, noise_schedule

Table = Float[Tensor, "Q N"]
Tables = tuple[Tensor, Tensor, Tensor]
Rows = Float[Tensor, "B N"]
Levels = Int[Tensor, " B"]
Kept = Float[Tensor, " K1"]
Noises = Float[Tensor, "k N"]
Betas = Float[Tensor, " k"]

# --- joint, margin and conditional -----------------------------------------------------------------------------------


def _tables(counts: Table) -> Tables:
    joint = counts / counts.sum()
    of_query = joint.sum(dim=1)
    return joint, of_query, joint / of_query[:, None]


def _tables_from_counts(counts: Table) -> Tables:
    rows = counts.sum(dim=1, keepdim=True)
    conditional = counts / rows
    of_query = (rows / rows.sum())[:, 0]
    return torch.einsum("q,qn->qn", of_query, conditional), of_query, conditional


def _tables_joint_by_row(counts: Table) -> Tables:
    _, of_query, conditional = _tables(counts)
    return conditional, of_query, conditional


def _tables_margin_of_candidates(counts: Table) -> Tables:
    joint, _, conditional = _tables(counts)
    return joint, joint.sum(dim=0), conditional


def _tables_conditional_down(counts: Table) -> Tables:
    joint, of_query, _ = _tables(counts)
    return joint, of_query, joint / joint.sum(dim=0)


def _tables_not_divided(counts: Table) -> Tables:
    joint, of_query, _ = _tables(counts)
    return joint, of_query, joint


def _tables_multiplied(counts: Table) -> Tables:
    joint, of_query, _ = _tables(counts)
    return joint, of_query, joint * of_query[:, None]


def _tables_of_counts(counts: Table) -> Tables:
    return counts, counts.sum(dim=1), _tables(counts)[2]


TABLES = Exercise(
    name="query_tables",
    reference=_tables,
    second=_tables_from_counts,
    mistakes=(
        Mistake(_tables_joint_by_row, "Your joint sums to 1 in every row; it must sum to 1 over the whole table."),
        Mistake(_tables_margin_of_candidates, "Your p(query) sums down the columns, which gives p(candidate)."),
        Mistake(_tables_conditional_down, "Your conditional sums to 1 down the columns: that is p(query | candidate)."),
        Mistake(
            _tables_not_divided, "p(candidates | query) is the joint divided by p(query); yours is still the joint."
        ),
        Mistake(_tables_multiplied, "Divide the joint by p(query) to get the conditional; you have multiplied."),
        Mistake(_tables_of_counts, "These are still counts: divide by the number of all searches first."),
    ),
    cases=(
        (torch.tensor([[48.0, 6.0, 6.0], [3.0, 30.0, 6.0], [0.0, 1.0, 0.0]]),),
        (torch.tensor([[2.0, 6.0], [1.0, 1.0]]),),
    ),
)

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
    return _noised(x_0, (k - 1).clamp(min=0), epsilon, alpha_bar)


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
        Mistake(_one_scaled_by_variance, "1 - alpha_bar is a variance; divide by its square root."),
    ),
    cases=(
        (torch.tensor([0.2, 0.5]), torch.tensor([[1.0, -1.0], [0.5, 2.0]])),
        (torch.tensor([0.1, 0.2, 0.4]), torch.tensor([[0.3, 1.2, -0.7], [-1.1, 0.4, 0.9], [0.8, -0.5, 0.2]])),
    ),
)

EXERCISES = (TABLES, NOISED, ONE_NOISE, BETAS, RECOVER)
