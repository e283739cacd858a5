"""What the machine can do: its rate of matrix products, its copy bandwidth, and the least time that some work takes."""

from pathlib import Path
from typing import NamedTuple

import torch

from diffret_core.bench.clock import time_alternately

ENTRY_BYTES = 4  # of a float32


class Work(NamedTuple):
    """What must be done, whatever the program.

    Attributes:
        operations: Multiplications and additions.
        num_bytes: Bytes that come from memory or go there, each array counted once.
    """

    operations: float
    num_bytes: float

    def times(self, factor: int | float) -> "Work":
        """Do it several times."""
        return Work(self.operations * factor, self.num_bytes * factor)


class Machine(NamedTuple):
    """What was measured in this run.

    Attributes:
        device: Where.
        num_threads: Of the processor.
        operations_per_second: In a large product of float32 matrices.
        bytes_per_second: In a large copy, read and written bytes together.
    """

    device: torch.device
    num_threads: int
    operations_per_second: float
    bytes_per_second: float

    def floor_seconds(self, work: Work) -> float:
        """Give the least time that some work takes here, by operations or by bytes, whichever is more."""
        return max(work.operations / self.operations_per_second, work.num_bytes / self.bytes_per_second)


def measure_machine(device: torch.device, *, matrix_size: int = 2048, num_entries: int = 2**25) -> Machine:
    """Measure both rates.

    Args:
        device: Where.
        matrix_size: Rows and columns of the matrices that are multiplied.
        num_entries: Numbers that are copied; far more than caches hold.
    """
    matrix, product = torch.randn(2, matrix_size, matrix_size, device=device)
    source = torch.ones(num_entries, device=device)
    target = torch.empty_like(source)
    timing = time_alternately(
        {"product": lambda: torch.mm(matrix, matrix, out=product), "copy": lambda: target.copy_(source)},
        repeats=5,
        device=device,
    )
    return Machine(
        device,
        torch.get_num_threads(),
        2 * matrix_size**3 / timing["product"].seconds,
        2 * num_entries * ENTRY_BYTES / timing["copy"].seconds,
    )


class PeakMemory:
    """Largest memory in use since it was made, above what was in use then; None where the system does not tell."""

    def __init__(self, device: torch.device) -> None:
        """Start to watch."""
        self.device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self.before: int | None = torch.cuda.memory_allocated(device)
        else:
            self.before = _resident("VmRSS") if _forget_peak() else None

    def num_bytes(self) -> int | None:
        """Read it."""
        peak = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else _resident("VmHWM")
        return None if self.before is None or peak is None else max(0, peak - self.before)


def _forget_peak() -> bool:
    """Let the kernel count the peak from now on; only Linux can."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _resident(name: str) -> int | None:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    kilobytes = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(kilobytes[0]) * 1024 if kilobytes else None
