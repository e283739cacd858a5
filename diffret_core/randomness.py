"""Random numbers by name: every draw has its own generator, so no result depends on what was drawn before it."""

import hashlib

import numpy as np
import torch


def generator(seed: int, purpose: str, item: int | str = 0) -> torch.Generator:
    """Make the CPU generator that belongs to one purpose and one item.

    The same three arguments give the same stream on every machine, whatever else has been drawn. Giving each query
    its own `item` makes its sample independent of the batch it is computed in.

    Args:
        seed: The run's seed.
        purpose: What the numbers are for, for example "sampling noise".
        item: Which of them: a query, a video, a step.

    Returns:
        A generator on the CPU.
    """
    return torch.Generator().manual_seed(_mix(seed, purpose, item))


def numpy_generator(seed: int, purpose: str, item: int | str = 0) -> np.random.Generator:
    """Make the NumPy generator that belongs to one purpose and one item; see `generator`."""
    return np.random.default_rng(_mix(seed, purpose, item))


def _mix(seed: int, purpose: str, item: int | str) -> int:
    digest = hashlib.sha256(f"{seed}|{purpose}|{item}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # 63 bits: torch takes a signed 64-bit seed
