"""The real thing from a notebook: each step says in one line what it needs and costs, or is run if all is there."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from diffret_core.locations import ROOT

ALLOWED, RECIPE = "DIFFRET_RUN", "DIFFRET_RECIPE"
ANNOTATIONS, VIDEOS = "DIFFRET_ANNOTATIONS", "DIFFRET_VIDEOS"
MODEL, RELEASED = "DIFFRET_MODEL", "DIFFRET_RELEASED"
_DATA = ("--data", ANNOTATIONS, "--videos", VIDEOS)


class RealStep(NamedTuple):
    """A step on a real benchmark.

    Attributes:
        arguments: Of `diffret`; names of environment variables stand for what they hold.
        num_gpus: GPUs that it wants at least.
        cost: What it takes.
    """

    arguments: tuple[str, ...]
    num_gpus: int
    cost: str


STEPS: dict[str, RealStep] = {
    "doctor": RealStep(
        ("doctor", "--recipe", RECIPE, "--annotations", ANNOTATIONS, "--videos", VIDEOS),
        0,
        "every file is read once, five videos are decoded; no GPU",
    ),
    "train": RealStep(
        ("train", "--recipe", RECIPE, *_DATA),
        1,
        "for msrvtt a GPU with 24 GB and 23 GB of disk; stage 1 is 3.6e17 operations, an hour at 100 TFLOP/s "
        "(arithmetic, not measured)",
    ),
    "torchrun": RealStep(
        ("train", "--recipe", RECIPE, *_DATA),
        2,
        "the same, dealt out to all GPUs of the machine; each holds all features",
    ),
    "evaluate": RealStep(
        ("evaluate", "--recipe", RECIPE, "--model", MODEL, *_DATA, "--num-seeds", "3"),
        0,
        "all test videos are decoded and encoded once, for msrvtt 1.1e14 operations",
    ),
    "released": RealStep(
        ("evaluate", "--recipe", RECIPE, "--released", RELEASED, *_DATA, "--metrics", "reference"),
        0,
        "as evaluate, and the authors' file; no training",
    ),
}
"""What can be done, by the name that the environment variable DIFFRET_RUN allows it by."""

Start = Callable[[Sequence[str]], int]


def run_if_possible(
    name: str,
    environment: Mapping[str, str] = os.environ,
    *,
    num_gpus: int | None = None,
    start: Start | None = None,
) -> None:
    """Run a step if it is allowed and all is there; else print one line that says what it needs and costs.

    A step runs only if the environment variable DIFFRET_RUN names it, so that nothing that takes hours begins because
    somebody ran all cells.

    Args:
        name: A key of `STEPS`.
        environment: Where data, model and recipe are named; the recipe is msrvtt and the model runs/RECIPE if not.
        num_gpus: GPUs of this machine; counted if None.
        start: Runs a command and gives its exit status; by default what the command prints is printed.
    """
    step = STEPS[name]
    if num_gpus is None:
        import torch

        num_gpus = torch.cuda.device_count()
    recipe = environment.get(RECIPE, "msrvtt")
    known = {RECIPE: recipe, MODEL: f"runs/{recipe}", **environment}
    lacking = _lacking(name, known, num_gpus)
    command = _command(name, [known.get(word, word) for word in step.arguments], num_gpus)
    if lacking:
        print(f"{name}: not run. It needs {' and '.join(lacking)}. Cost: {step.cost}.")
        return
    status = (start or _start)([sys.executable, "-m", *command])
    print(f"{name}: done" if status == 0 else f"{name}: ended with status {status}; what it printed says why")


def _lacking(name: str, known: Mapping[str, str], num_gpus: int) -> list[str]:
    step = STEPS[name]
    unset = [word for word in step.arguments if word.startswith("DIFFRET_") and word not in known]
    lacking = [f"{' and '.join(unset)} in the environment"] if unset else []
    if num_gpus < step.num_gpus:
        lacking.append(f"{step.num_gpus} GPU{'s' if step.num_gpus > 1 else ''} (here: {num_gpus})")
    if name not in known.get(ALLOWED, "").split():
        lacking.append(f"your word, {ALLOWED}={name}")
    return lacking


def _command(name: str, arguments: Sequence[str], num_gpus: int) -> list[str]:
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={num_gpus}", "-m"]
    return [*(launcher if name == "torchrun" else []), "diffret_core", *arguments]


def _start(command: Sequence[str]) -> int:
    """Run a command from the project's folder, and print what it prints as it comes."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    )
    for line in process.stdout or ():
        print(line, end="")
    return process.wait()
