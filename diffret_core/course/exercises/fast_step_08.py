"""Notebook 08, the exact fast sampler: one step of it."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.course.exercises.fast_08 import OTHER, SMALL, features

Row = Float[Tensor, " N"]
Table = Float[Tensor, "N D2"]
Last = Callable[[Tensor], Tensor]


def _fast(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    w = torch.softmax(logits + x_k, dim=0)
    hidden = torch.relu(H_g + w @ G)  # [N, 2D]
    return last(hidden).squeeze(-1) + w


def _fast_in_loops(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    raised = (logits + x_k).exp()
    w = raised / raised.sum()
    context = sum(weight * one for weight, one in zip(w, G, strict=True))
    return torch.stack([last((own + context).clamp(min=0))[0] + weight for own, weight in zip(H_g, w, strict=True)])


def _fast_without_weight(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    return _fast(x_k, logits, G, H_g, last) - torch.softmax(logits + x_k, dim=0)


def _fast_without_state(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    return _fast(torch.zeros_like(x_k), logits, G, H_g, last)


def _fast_without_sum(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    w = torch.softmax(logits + x_k, dim=0)
    return last(torch.relu(H_g + w[:, None] * G)).squeeze(-1) + w


def _fast_with_plain_mean(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    return last(torch.relu(H_g + G.mean(dim=0))).squeeze(-1) + torch.softmax(logits + x_k, dim=0)


def _fast_without_relu(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    w = torch.softmax(logits + x_k, dim=0)
    return last(H_g + w @ G).squeeze(-1) + w


def _fast_with_early_relu(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    w = torch.softmax(logits + x_k, dim=0)
    return last(torch.relu(H_g) + torch.relu(w @ G)).squeeze(-1) + w


def _fast_with_late_state(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    w = torch.softmax(logits, dim=0) + x_k
    return last(torch.relu(H_g + w @ G)).squeeze(-1) + w


def _fast_without_own_part(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    w = torch.softmax(logits + x_k, dim=0)
    return last(torch.relu(w @ G)) + w


def _fast_and_clamped(x_k: Row, logits: Row, G: Table, H_g: Table, last: Last) -> Row:
    return _fast(x_k, logits, G, H_g, last).clamp(-1, 1)


STEP = Exercise(
    name="fast_step",
    reference=_fast,
    second=_fast_in_loops,
    mistakes=(
        Mistake(_fast_without_weight, "The last term is missing: w_j is added to what the MLP gives."),
        Mistake(_fast_without_state, "x_k has no effect in yours: it is added to the logits, before the softmax."),
        Mistake(
            _fast_without_sum, "All candidates share one context, the sum of w_i G_i over i; yours keeps w_j G_j apart."
        ),
        Mistake(_fast_with_plain_mean, "Your context is a plain mean of G; each row counts with its weight w_i."),
        Mistake(
            _fast_with_late_state, "x_k goes into the softmax, beside the logits; yours is added to what comes out."
        ),
        Mistake(_fast_without_own_part, "H_g is missing: row j of it is added to the context before the ReLU."),
        Mistake(_fast_and_clamped, "Return the guess as it is; cutting it to -1..1 is the business of `ddim_step`."),
        Mistake(_fast_without_relu, "The ReLU between the two layers is missing."),
        Mistake(_fast_with_early_relu, "Add first, then apply the ReLU: relu(a + b) is not relu(a) + relu(b)."),
    ),
    cases=(
        (
            features(3, seed=8),
            features(3, seed=9),
            features(3, 8, seed=10),
            features(3, 8, seed=11),
            SMALL.decoder[2],
        ),
        (
            features(2, seed=12),
            features(2, seed=13),
            features(2, 4, seed=14),
            features(2, 4, seed=15),
            OTHER.decoder[2],
        ),
    ),
)
