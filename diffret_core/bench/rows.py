"""A row of a bench: how long one way took, beside the other ways and the machine's least time."""

from typing import Any

import torch
from torch import Tensor

from diffret_core.bench.clock import Timing
from diffret_core.bench.inputs import Sizes
from diffret_core.bench.machine import Machine, Work

Row = dict[str, Any]


def make_row(
    name: str, timing: Timing, machine: Machine, work: Work, *, ratio: float, largest_difference: float, **about: Any
) -> Row:
    """Make a row.

    Args:
        name: Of the way that was timed.
        timing: Its time, already scaled to the whole.
        machine: What the machine can do, measured in the same run.
        work: What this way has to do, for the whole.
        ratio: Its time divided by that of the fast way in the same run; 1 for the fast way.
        largest_difference: Between its results and those of the fast way; for the fast way, from all others.
        about: Sizes, and whatever else is worth saying.
    """
    return {
        "name": name,
        "ratio": ratio,
        "largest_difference": largest_difference,
        **about,
        "threads": machine.num_threads,
        "device": machine.device.type,
        "seconds": timing.seconds,
        "spread": timing.spread,
        "repeats": timing.repeats,
        "floor_seconds": machine.floor_seconds(work),
    }


def compared_rows(
    timings: dict[str, Timing],
    works: dict[str, Work],
    differences: dict[str, float],
    machine: Machine,
    about: Sizes | Row,
) -> list[Row]:
    """Make a row for each way; the last one is the fast one, and `differences` are those of the others from it."""
    *_, fast = timings
    shown = about._asdict() if isinstance(about, Sizes) else about
    return [
        make_row(
            name,
            timing,
            machine,
            works[name],
            ratio=timing.seconds / timings[fast].seconds,
            largest_difference=max(differences.values()) if name == fast else differences[name],
            **shown,
        )
        for name, timing in timings.items()
    ]


def largest_difference(one: Tensor, other: Tensor) -> float:
    """Give the largest difference of two results."""
    return float((one - other).abs().max())


def use_threads(num_threads: int | None) -> None:
    """Let torch use so many threads, or as many as it would.

    Raises:
        ValueError: If the number is below 1.
    """
    if num_threads is not None:
        if num_threads < 1:
            raise ValueError(f"threads is {num_threads}; it must be at least 1")
        torch.set_num_threads(num_threads)
