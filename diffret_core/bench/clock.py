"""The clock: several ways to the same result, timed in turn, so that a busy machine is as slow for all of them."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch


class Timing(NamedTuple):
    """How long one way took.

    Attributes:
        seconds: The best of all repeats.
        spread: The worst divided by the best, at least 1.
        repeats: How often it was timed.
        result: What it gave the last time.
    """

    seconds: float
    spread: float
    repeats: int
    result: Any

    def scaled(self, factor: int | float) -> "Timing":
        """Say how long the whole takes, of which a part was timed."""
        return self._replace(seconds=self.seconds * factor)


def time_alternately(ways: Mapping[str, Callable[[], Any]], *, repeats: int, device: torch.device) -> dict[str, Timing]:
    """Time each way once, then each once more, and so on.

    Args:
        ways: What to time, by name.
        repeats: How often each is timed.
        device: Where they compute; a GPU is waited for before the clock is read.

    Raises:
        ValueError: If there are no repeats.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; it must be at least 1")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, Any] = {}
    for _ in range(repeats):
        for name, way in ways.items():
            start = _now(device)
            results[name] = way()
            seconds[name].append(_now(device) - start)
    return {
        name: Timing(min(taken), max(taken) / max(min(taken), 1e-9), repeats, results[name])
        for name, taken in seconds.items()
    }


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
