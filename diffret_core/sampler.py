"""DDIM: walk from noise to a distribution over the candidates; SPEC section 10."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.schedule import Denoise


class DenoisingStep(NamedTuple):
    """Where a walk stands after a step: the level reached, the state there, and the estimate that led to it."""

    k: int
    x_k: Float[Tensor, "B N"]
    x_0_hat: Float[Tensor, "B N"]


def noise_levels(num_noise_levels: int, num_steps: int | None = None) -> list[int]:
    """Choose the levels that a walk visits, from K down to 0, evenly spread.

    Args:
        num_noise_levels: K.
        num_steps: Steps of the walk; None takes all K. More than K cannot be had.

    Returns:
        num_steps + 1 decreasing levels, K first and 0 last.

    Raises:
        ValueError: If num_steps is outside 1..K.
    """
    num_steps = num_noise_levels if num_steps is None else num_steps
    if not 1 <= num_steps <= num_noise_levels:
        raise ValueError(f"num_steps is {num_steps}; a walk over {num_noise_levels} levels has 1 to {num_noise_levels}")
    return [round(num_noise_levels * step / num_steps) for step in range(num_steps, -1, -1)]


def draw_noise(generators: Sequence[torch.Generator], num_candidates: int) -> Float[Tensor, "B N"]:
    """Draw one row of standard normal noise from each query's own generator.

    Args:
        generators: One per query, on the CPU; each is advanced.
        num_candidates: N.

    Returns:
        The noise, on the CPU.
    """
    return torch.stack([torch.randn(num_candidates, generator=one) for one in generators])


def ddim_steps(
    denoise: Denoise,
    x_k: Float[Tensor, "B N"],
    levels: Sequence[int],
    alpha_bar: Float[Tensor, " K1"],
    *,
    eta: float = 0.0,
    generators: Sequence[torch.Generator] | None = None,
) -> Iterator[DenoisingStep]:
    """Denoise step by step over any decreasing subset of levels.

        epsilon_hat = (x_k - sqrt(alpha_bar[k]) x_0_hat) / sqrt(1 - alpha_bar[k])
        x_next = sqrt(alpha_bar[next]) x_0_hat + sqrt(1 - alpha_bar[next] - sigma^2) epsilon_hat + sigma noise

    with x_0_hat clamped to [-1, 1] and sigma = eta times the standard deviation of the exact reverse step. When the
    last level is 0, the last state is the clamped estimate itself.
    Source: Song et al. 2021 (DDIM), Eq. 12 and 16; SPEC section 10.

    Args:
        denoise: The network with its query and candidates bound: (x_k, k) to an estimate of x_0.
        x_k: State at levels[0]; standard normal noise at level K.
        levels: Decreasing noise levels, for example from `noise_levels`.
        alpha_bar: Signal kept at each level.
        eta: 0 is deterministic DDIM, 1 has the noise of the ancestral sampler.
        generators: One per query, for the noise of the steps; needed when eta is above 0.

    Yields:
        One DenoisingStep per step.

    Raises:
        ValueError: If the levels do not decrease within 0..K, or eta is outside 0..1 or lacks generators.
    """
    if any(k <= k_next for k, k_next in zip(levels, levels[1:], strict=False)):
        raise ValueError(f"levels must decrease, got {list(levels)}")
    if len(levels) < 2 or levels[-1] < 0 or levels[0] >= len(alpha_bar):
        raise ValueError(f"levels must be at least two, within 0..{len(alpha_bar) - 1}, got {list(levels)}")
    if not 0 <= eta <= 1 or (eta > 0 and generators is None):
        raise ValueError(f"eta is {eta}; it must be 0, or at most 1 with one generator per query")
    for k, k_next in zip(levels, levels[1:], strict=False):
        level = torch.full((len(x_k),), k, device=x_k.device)
        x_0_hat = denoise(x_k, level).clamp(-1, 1)
        kept, kept_next = float(alpha_bar[k]), float(alpha_bar[k_next])
        epsilon_hat = (x_k - kept**0.5 * x_0_hat) / (1 - kept) ** 0.5
        sigma = eta * ((1 - kept_next) / (1 - kept) * (1 - kept / kept_next)) ** 0.5
        x_k = kept_next**0.5 * x_0_hat + (1 - kept_next - sigma**2) ** 0.5 * epsilon_hat
        if sigma > 0 and generators is not None:
            x_k = x_k + sigma * draw_noise(generators, x_k.shape[1]).to(x_k)
        yield DenoisingStep(k=k_next, x_k=x_k, x_0_hat=x_0_hat)
