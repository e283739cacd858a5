"""Notebook 08, sampling: a step of DDIM; the fast sampler's exercises are in `fast_08.py` and `fast_step_08.py`."""

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.course.exercises.fast_08 import CONTEXT, LOGITS
from diffret_core.course.exercises.fast_step_08 import STEP

State = Float[Tensor, " N"]


def _step(x_k: State, estimate: State, kept: float, kept_next: float) -> State:
    x_0_hat = estimate.clamp(-1, 1)
    epsilon_hat = (x_k - kept**0.5 * x_0_hat) / (1 - kept) ** 0.5
    return kept_next**0.5 * x_0_hat + (1 - kept_next) ** 0.5 * epsilon_hat


def _step_as_weighted_sum(x_k: State, estimate: State, kept: float, kept_next: float) -> State:
    of_state = ((1 - kept_next) / (1 - kept)) ** 0.5
    return of_state * x_k + (kept_next**0.5 - of_state * kept**0.5) * estimate.clip(-1, 1)


def _step_without_clamp(x_k: State, estimate: State, kept: float, kept_next: float) -> State:
    of_state = ((1 - kept_next) / (1 - kept)) ** 0.5
    return of_state * x_k + (kept_next**0.5 - of_state * kept**0.5) * estimate


def _step_with_late_clamp(x_k: State, estimate: State, kept: float, kept_next: float) -> State:
    epsilon_hat = (x_k - kept**0.5 * estimate) / (1 - kept) ** 0.5
    return kept_next**0.5 * estimate.clamp(-1, 1) + (1 - kept_next) ** 0.5 * epsilon_hat


def _step_without_roots(x_k: State, estimate: State, kept: float, kept_next: float) -> State:
    x_0_hat = estimate.clamp(-1, 1)
    return kept_next * x_0_hat + (1 - kept_next) * (x_k - kept * x_0_hat) / (1 - kept)


def _step_that_jumps(x_k: State, estimate: State, kept: float, kept_next: float) -> State:
    return estimate.clamp(-1, 1)


def _step_without_noise(x_k: State, estimate: State, kept: float, kept_next: float) -> State:
    return kept_next**0.5 * estimate.clamp(-1, 1)


def _step_that_stays(x_k: State, estimate: State, kept: float, kept_next: float) -> State:
    return _step(x_k, estimate, kept, kept)


def _step_clamped_to_positive(x_k: State, estimate: State, kept: float, kept_next: float) -> State:
    return _step(x_k, estimate.clamp(min=0), kept, kept_next)


def _step_clamped_at_the_end(x_k: State, estimate: State, kept: float, kept_next: float) -> State:
    return _step_without_clamp(x_k, estimate, kept, kept_next).clamp(-1, 1)


def _step_with_state_as_noise(x_k: State, estimate: State, kept: float, kept_next: float) -> State:
    return kept_next**0.5 * estimate.clamp(-1, 1) + (1 - kept_next) ** 0.5 * x_k


def _step_with_undivided_noise(x_k: State, estimate: State, kept: float, kept_next: float) -> State:
    x_0_hat = estimate.clamp(-1, 1)
    return kept_next**0.5 * x_0_hat + (1 - kept_next) ** 0.5 * (x_k - kept**0.5 * x_0_hat)


DDIM = Exercise(
    name="ddim_step",
    reference=_step,
    second=_step_as_weighted_sum,
    mistakes=(
        Mistake(_step_without_clamp, "Cut the estimate to -1..1 first; yours goes on with what lies outside."),
        Mistake(
            _step_with_late_clamp, "The noise must be worked out from the clamped estimate, yours uses the raw one."
        ),
        Mistake(
            _step_without_roots, "alpha_bar is a share of variance: signal and noise are weighted by square roots."
        ),
        Mistake(_step_clamped_to_positive, "You cut at 0; this sampler cuts at -1 below and at 1 above."),
        Mistake(_step_clamped_at_the_end, "The estimate is clamped, before anything else; the state is not."),
        Mistake(_step_with_state_as_noise, "x_k is not the noise: take the signal out of it first, then divide."),
        Mistake(_step_with_undivided_noise, "What is left of x_k is sqrt(1 - kept) times the noise: divide by it."),
        Mistake(_step_that_jumps, "You return the estimate itself; go back by one level only, with noise still in it."),
        Mistake(_step_without_noise, "The noise is missing: the next state is signal and noise, weighted anew."),
        Mistake(_step_that_stays, "You mix with the old weights and get x_k again; mix with those of the next level."),
    ),
    cases=(
        (torch.tensor([0.5, -1.0, 1.5]), torch.tensor([0.7, 0.1, 1.3]), 0.3, 0.6),
        (torch.tensor([-0.4, 0.2, 0.9]), torch.tensor([-1.6, 0.3, 0.0]), 0.05, 0.3),
        (torch.tensor([0.8, 0.1, -0.2]), torch.tensor([0.9, 1.2, -0.1]), 0.8, 1.0),
    ),
)

EXERCISES = (DDIM, LOGITS, CONTEXT, STEP)
