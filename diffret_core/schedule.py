"""The noise schedule and the forward process; SPEC section 7."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.config import ScheduleKind

# a network as losses and the sampler see it: (x_k, k) to an estimate of x_0, with query and candidates bound
Denoise = Callable[[Float[Tensor, "B N"], Int[Tensor, " B"]], Float[Tensor, "B N"]]


def noise_schedule(num_noise_levels: int, kind: ScheduleKind = "cosine") -> Float[Tensor, " K1"]:
    """Compute how much of the signal's variance each noise level keeps.

        alpha_bar[k] = product over i = 1..k of (1 - beta[i])

    Source: Nichol and Dhariwal 2021 (cosine); Ho et al. 2020 (linear, rescaled to K levels); SPEC section 7.

    Args:
        num_noise_levels: K.
        kind: "cosine" or "linear".

    Returns:
        alpha_bar for k = 0..K, decreasing from alpha_bar[0] = 1; float64 on the CPU, because sqrt(1 - alpha_bar)
        would lose digits in float32. Users cast after the square root.

    Raises:
        ValueError: If K is below 1, or below 20 for the linear schedule, or the kind is unknown.
    """
    if num_noise_levels < 1:
        raise ValueError(f"num_noise_levels is {num_noise_levels}; it must be at least 1")
    if kind == "cosine":
        beta = _cosine_beta(num_noise_levels)
    elif kind == "linear":
        beta = _linear_beta(num_noise_levels)
    else:
        raise ValueError(f"schedule is {kind!r}; it must be 'cosine' or 'linear'")
    return torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - beta, dim=0)])


def add_noise(
    x_0: Float[Tensor, "B N"],
    k: Int[Tensor, " B"],
    epsilon: Float[Tensor, "B N"],
    alpha_bar: Float[Tensor, " K1"],
) -> Float[Tensor, "B N"]:
    """Noise a clean distribution to level k in one jump.

        x_k = sqrt(alpha_bar[k]) * x_0 + sqrt(1 - alpha_bar[k]) * epsilon

    Source: Ho et al. 2020, Eq. 4; SPEC section 7.

    Args:
        x_0: Clean distribution over candidates.
        k: Noise level of each row, 0 (clean) to K.
        epsilon: Standard normal noise, drawn by the caller.
        alpha_bar: Signal kept at each level; alpha_bar[0] = 1, decreasing.

    Returns:
        x_k, same shape and dtype as x_0.

    Raises:
        ValueError: If a level is outside 0..K.
    """
    highest = len(alpha_bar) - 1
    if k.numel() and (int(k.min()) < 0 or int(k.max()) > highest):
        raise ValueError(f"noise levels run from {int(k.min())} to {int(k.max())}; the schedule has 0 to {highest}")
    kept = alpha_bar[k.to(alpha_bar.device)][:, None]  # [B, 1]
    return kept.sqrt().to(x_0) * x_0 + (1 - kept).sqrt().to(x_0) * epsilon


def without_noise(denoise: Denoise) -> Denoise:
    """Bind a network so that it sees no noised distribution: zeros at level 1, whatever it is given."""
    return lambda x_k, k: denoise(torch.zeros_like(x_k), torch.ones_like(k))


def _cosine_beta(num_noise_levels: int) -> Float[Tensor, " K"]:
    level = torch.arange(num_noise_levels + 1, dtype=torch.float64)
    kept = torch.cos((level / num_noise_levels + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - kept[1:] / kept[:-1]).clamp(max=0.999)


def _linear_beta(num_noise_levels: int) -> Float[Tensor, " K"]:
    if num_noise_levels < 20:
        raise ValueError(
            f"num_noise_levels is {num_noise_levels}; the linear schedule needs at least 20, "
            "because its last beta would exceed 1: use more levels or the cosine schedule"
        )
    stretch = 1000 / num_noise_levels
    return torch.linspace(1e-4 * stretch, 0.02 * stretch, num_noise_levels, dtype=torch.float64)
