"""Running a notebook from a clean kernel, and measuring it."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from nbclient import NotebookClient

SECONDS_PER_CELL = 300


class Measured(NamedTuple):
    """What a run took.

    The seconds of a cell are those on the clock or those of the processor, whichever are fewer: other programs on a
    busy machine then hardly count, nor does work that several cores share.

    Attributes:
        seconds: All cells together.
        slowest_cell_seconds: The slowest of them, those tagged `long` left out.
        long_cell_seconds: The slowest of those tagged `long`; 0 where there is none.
        megabytes: Most memory that the kernel held; 0 where the system does not tell (it does on Linux).
    """

    seconds: float
    slowest_cell_seconds: float
    long_cell_seconds: float
    megabytes: float


def run_notebook(content: Any, folder: Path) -> Measured:
    """Run all cells in place.

    Args:
        content: A notebook, as nbformat reads it.
        folder: Where its kernel starts.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails.
    """
    spent: dict[str, list[float]] = {"short": [0.0], "long": [0.0]}
    started = [0.0, 0.0]
    megabytes = [0.0]

    def kernel() -> int:
        return client.km.provisioner.process.pid  # type: ignore[union-attr]  # it is there while cells run

    def processor_seconds() -> float:
        return sum(psutil.Process(kernel()).cpu_times()[:4])  # user and system, own and of programs that have ended

    def before(**_: object) -> None:
        started[:] = time.monotonic(), processor_seconds()

    def after(cell: Any, **_: object) -> None:
        kind = "long" if "long" in cell.metadata.get("tags", []) else "short"
        spent[kind].append(min(time.monotonic() - started[0], processor_seconds() - started[1]))
        megabytes.append(peak_megabytes(kernel()))

    client = NotebookClient(
        content,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=before,
        on_cell_executed=after,
    )
    client.execute()
    return Measured(sum(map(sum, spent.values())), max(spent["short"]), max(spent["long"]), max(megabytes))


def peak_megabytes(process: int) -> float:
    """Most memory that a process has held so far; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)
