"""Exercises of notebook 05 about schedules: the betas of the cosine schedule, and noise undone."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake

State = Float[Tensor, " N"]
Betas = Float[Tensor, " K"]

# --- betas of the cosine schedule ------------------------------------------------------------------------------------


def _curve(num_noise_levels: int, *, offset: float = 0.008, power: int = 2) -> Float[Tensor, " K1"]:
    part = torch.arange(num_noise_levels + 1, dtype=torch.float64) / num_noise_levels
    return torch.cos((part + offset) / (1 + offset) * math.pi / 2) ** power


def _betas(num_noise_levels: int) -> Betas:
    curve = _curve(num_noise_levels)
    return (1 - curve[1:] / curve[:-1]).clamp(max=0.999)


def _betas_in_a_loop(num_noise_levels: int) -> list[float]:
    def curve(k: int) -> float:
        return math.cos((k / num_noise_levels + 0.008) / 1.008 * math.pi / 2) ** 2

    return [min(1 - curve(k) / curve(k - 1), 0.999) for k in range(1, num_noise_levels + 1)]


def _betas_not_cut(num_noise_levels: int) -> Betas:
    curve = _curve(num_noise_levels)
    return 1 - curve[1:] / curve[:-1]


def _betas_as_what_is_kept(num_noise_levels: int) -> Betas:
    curve = _curve(num_noise_levels)
    return (curve[1:] / curve[:-1]).clamp(max=0.999)


def _betas_upside_down(num_noise_levels: int) -> Betas:
    curve = _curve(num_noise_levels)
    return (1 - curve[:-1] / curve[1:]).clamp(max=0.999)


def _betas_as_differences(num_noise_levels: int) -> Betas:
    curve = _curve(num_noise_levels)
    return (curve[:-1] - curve[1:]).clamp(max=0.999)


def _betas_without_square(num_noise_levels: int) -> Betas:
    curve = _curve(num_noise_levels, power=1)
    return (1 - curve[1:] / curve[:-1]).clamp(max=0.999)


def _betas_without_offset(num_noise_levels: int) -> Betas:
    curve = _curve(num_noise_levels, offset=0.0)
    return (1 - curve[1:] / curve[:-1]).clamp(max=0.999)


def _betas_from_the_start(num_noise_levels: int) -> Betas:
    return (1 - _curve(num_noise_levels)[1:]).clamp(max=0.999)


BETAS = Exercise(
    name="cosine_betas",
    reference=_betas,
    second=_betas_in_a_loop,
    mistakes=(
        Mistake(_betas_not_cut, "The last beta is cut off at 0.999: a beta of 1 would leave nothing of the signal."),
        Mistake(_betas_as_what_is_kept, "That is what a step keeps; beta is what it gives away, 1 minus that."),
        Mistake(_betas_upside_down, "Your ratio is upside down: a step keeps curve[k] / curve[k - 1], less than 1."),
        Mistake(
            _betas_as_differences, "A step keeps a share of what came to it: a ratio of two neighbours, no difference."
        ),
        Mistake(_betas_without_square, "The curve is the square of the cosine."),
        Mistake(_betas_without_offset, "The offset 0.008 is missing: without it the first steps add next to no noise."),
        Mistake(
            _betas_from_the_start, "1 minus the curve is the noise of all steps so far; a beta belongs to one step."
        ),
    ),
    cases=((5,), (50,)),
)

# --- noise undone ----------------------------------------------------------------------------------------------------


def _recover(x_k: State, epsilon: State, kept: float) -> State:
    return (x_k - (1 - kept) ** 0.5 * epsilon) / kept**0.5


def _recover_by_ratios(x_k: State, epsilon: State, kept: float) -> State:
    return x_k * (1 / kept) ** 0.5 - epsilon * (1 / kept - 1) ** 0.5


def _recover_not_stretched(x_k: State, epsilon: State, kept: float) -> State:
    return x_k - (1 - kept) ** 0.5 * epsilon


def _recover_without_roots(x_k: State, epsilon: State, kept: float) -> State:
    return (x_k - (1 - kept) * epsilon) / kept


def _recover_with_all_noise(x_k: State, epsilon: State, kept: float) -> State:
    return (x_k - epsilon) / kept**0.5


def _recover_divided_by_share(x_k: State, epsilon: State, kept: float) -> State:
    return (x_k - (1 - kept) ** 0.5 * epsilon) / kept


def _recover_multiplied(x_k: State, epsilon: State, kept: float) -> State:
    return (x_k - (1 - kept) ** 0.5 * epsilon) * kept**0.5


def _recover_exchanged(x_k: State, epsilon: State, kept: float) -> State:
    return (x_k - kept**0.5 * epsilon) / (1 - kept) ** 0.5


def _recover_added(x_k: State, epsilon: State, kept: float) -> State:
    return (x_k + (1 - kept) ** 0.5 * epsilon) / kept**0.5


def _recover_stretched_first(x_k: State, epsilon: State, kept: float) -> State:
    return x_k / kept**0.5 - (1 - kept) ** 0.5 * epsilon


RECOVER = Exercise(
    name="recover_x_0",
    reference=_recover,
    second=_recover_by_ratios,
    mistakes=(
        Mistake(_recover_not_stretched, "The noise is gone, but the signal is still shrunk: divide by sqrt(kept)."),
        Mistake(_recover_without_roots, "The factors in x_k are square roots; undo them with square roots."),
        Mistake(_recover_with_all_noise, "x_k holds sqrt(1 - kept) times epsilon, not all of epsilon."),
        Mistake(_recover_divided_by_share, "The noise is gone; the signal's factor was sqrt(kept): divide by that."),
        Mistake(_recover_multiplied, "The signal was multiplied by sqrt(kept) on the way; going back, divide by it."),
        Mistake(_recover_exchanged, "The factors are exchanged: the noise has sqrt(1 - kept), the signal sqrt(kept)."),
        Mistake(_recover_added, "The noise was added, so it must be subtracted."),
        Mistake(_recover_stretched_first, "Divide the noise by sqrt(kept) too: the whole difference is stretched."),
    ),
    cases=(
        (torch.tensor([1.1, -0.3, 0.6]), torch.tensor([0.5, -0.5, 1.0]), 0.64),
        (torch.tensor([-0.2, 0.4]), torch.tensor([1.5, -0.1]), 0.1),
    ),
)
