"""The walk of a prepared denoiser as one compiled loop; SPEC section 13.

`PreparedDenoiser.walk` reads and writes its largest array several times a step. Here numba compiles the loops, so that
an entry is read once and its sum, ReLU and product stay in registers. Without numba (extra `fast`) the walk of tensors
serves; a test holds both equal.
"""

import importlib
import inspect
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.denoiser_prepared import Conditioned, PreparedDenoiser, step_weights

_FREEDOM = {"reassoc", "contract", "nsz"}  # sums in another order, several at once; NaN and infinity keep their meaning


class Walk(NamedTuple):
    """All steps of a walk over L levels.

    Attributes:
        states: x_k at each level; the first is the noise, the last the sample.
        estimates: Clamped x_0_hat that led to each state but the first.
    """

    states: Float[Tensor, "L B N"]
    estimates: Float[Tensor, "L1 B N"]


@cache
def has_compiler() -> bool:
    """Whether numba is installed, and goes with the NumPy that is."""
    try:
        importlib.import_module("numba")
    except ImportError:
        return False
    return True


def can_walk(noise: Tensor) -> bool:
    """Whether `walk` can start from this noise: numba is there, and the noise on the CPU in single or double."""
    return has_compiler() and noise.device.type == "cpu" and noise.dtype in (torch.float32, torch.float64)


def sample(
    network: PreparedDenoiser,
    given: Conditioned,
    noise: Float[Tensor, "B N"],
    levels: Sequence[int],
    alpha_bar: Float[Tensor, " K1"],
) -> Float[Tensor, "B N"]:
    """Denoise to the end the fastest way there is: `walk` where it can, else `PreparedDenoiser.walk`.

    Args:
        network: The prepared network.
        given: From its `condition`.
        noise: State at levels[0].
        levels: Decreasing noise levels, the last one 0.
        alpha_bar: Signal kept at each level.

    Returns:
        The sample, within -1..1.
    """
    if can_walk(noise):
        return walk(network, given, noise, levels, alpha_bar).states[-1]
    return network.walk(given, noise, levels, alpha_bar)


@torch.no_grad()
def walk(
    network: PreparedDenoiser,
    given: Conditioned,
    noise: Float[Tensor, "B N"],
    levels: Sequence[int],
    alpha_bar: Float[Tensor, " K1"],
) -> Walk:
    """Denoise along deterministic DDIM: the steps of `sampler.ddim_steps`, on as many threads as torch uses.

    Args:
        network: The prepared network.
        given: From its `condition`.
        noise: State at levels[0], for which `can_walk` holds.
        levels: Decreasing noise levels, the last one 0.
        alpha_bar: Signal kept at each level.

    Raises:
        ModuleNotFoundError: If numba is not installed.
    """
    states = noise.new_empty(len(noise), len(levels), noise.shape[1])
    states[:, 0] = noise
    estimates = noise.new_empty(len(noise), len(levels) - 1, noise.shape[1])
    of_each = (given.logits.movedim(0, 1), given.context, given.own, states, estimates)
    arrays = [array.contiguous().numpy() for array in of_each]  # contiguous, since numba compiles for each layout
    weights = (network.level.numpy(), network.output.numpy(), network.output_bias)
    steps, compiled = step_weights(levels, alpha_bar).numpy(), _compiled()

    num_threads = min(torch.get_num_threads(), len(noise))

    def of_thread(first: int) -> None:
        for row in range(first, len(noise), num_threads):
            compiled(weights, steps, tuple(array[row] for array in arrays))

    if num_threads == 1:
        of_thread(0)
    else:
        with ThreadPoolExecutor(num_threads) as pool:  # numba lets go of Python's lock
            list(pool.map(of_thread, range(num_threads)))  # a list, so that an exception is raised here
    return Walk(states.movedim(1, 0), estimates.movedim(1, 0))


@cache
def _compiled() -> Callable[..., None]:
    """Compile the loops: a second or two the first time on a machine, then read from a file beside this one."""
    import numba

    plain = inspect.unwrap(_steps_of_query)  # without the checks of shapes that tests add
    kept: Callable[..., Any] = partial(numba.njit, fastmath=_FREEDOM, nogil=True)
    try:
        return kept(plain, cache=True)
    except RuntimeError:  # no folder that can be written to
        return kept(plain)


def _steps_of_query(weights: Any, steps: Any, arrays: Any) -> None:
    """Walk with one query; arrays as in `PreparedDenoiser` and `Conditioned`, without the axis of queries.

    Args:
        weights: level [K, D2], output [D2] and output_bias.
        steps: From `step_weights`.
        arrays: logits [K, N], context and own [N, D2]; states [L, N], whose first row is the noise and whose others
            are written; estimates [L - 1, N], written.
    """
    level, output, bias = weights
    logits, context, own, states, estimates = arrays
    num_candidates, num_hidden = own.shape
    zero = own.dtype.type(0)
    weight, shared = np.empty(num_candidates, own.dtype), np.empty(num_hidden, own.dtype)
    for step in range(len(steps)):
        k = int(steps[step, 0])
        largest, total = logits[k - 1, 0] + states[step, 0], zero
        for j in range(num_candidates):
            largest = max(largest, logits[k - 1, j] + states[step, j])
        for j in range(num_candidates):
            weight[j] = math.exp(logits[k - 1, j] + states[step, j] - largest)
            total += weight[j]
        for d in range(num_hidden):
            shared[d] = level[k - 1, d]
        for i in range(num_candidates):
            weight[i] /= total
            for d in range(num_hidden):
                shared[d] += weight[i] * context[i, d]
        of_state, of_estimate = own.dtype.type(steps[step, 1]), own.dtype.type(steps[step, 2])
        for j in range(num_candidates):
            x_0_hat = weight[j] + own.dtype.type(bias)
            for d in range(num_hidden):
                hidden = own[j, d] + shared[d]
                x_0_hat += (zero if hidden < 0 else hidden) * output[d]
            estimates[step, j] = min(max(x_0_hat, -1), 1)
            states[step + 1, j] = of_state * states[step, j] + of_estimate * estimates[step, j]
