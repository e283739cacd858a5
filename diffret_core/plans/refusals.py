"""What stops a run before any work: too little memory or disk, and a benchmark on a processor by accident."""

from pathlib import Path

import torch

from diffret_core.config import Recipe
from diffret_core.datasets import READERS, Counts
from diffret_core.plans.plan import Plan, make_plan
from diffret_core.plans.room import free_disk, free_memory
from diffret_core.plans.steps import weight_bytes

_SMALL = 10**8  # bytes of weights: a model for which counting steps would take longer than it is worth


def refuse_slow_device(recipe: Recipe, requested: str, device: torch.device) -> None:
    """Refuse a benchmark on a processor unless that was asked for.

    Raises:
        ValueError: If no GPU was found where one was expected.
    """
    if recipe.name in READERS and requested == "auto" and device.type == "cpu":
        raise ValueError(
            f"no GPU was found, and recipe {recipe.name} takes weeks to years without one: --dry-run says how long "
            "here, --rehearse tries every step in a minute, and --device cpu insists"
        )


def refuse_without_room(
    recipe: Recipe,
    counts: Counts,
    device: torch.device,
    output: Path,
    *,
    num_processes: int = 1,
    first_stage: bool = True,
) -> None:
    """Refuse a run that needs more memory or disk than is free.

    Steps of a small model are not counted, which takes seconds: what it needs between steps decides.

    Args:
        recipe: The run.
        counts: Videos and captions of the splits.
        device: Where it is to run.
        output: Folder of the run; what is there already is not asked for again.
        num_processes: Processes on this machine.
        first_stage: Whether the encoders are trained.

    Raises:
        OSError: If there is too little disk.
        ValueError: If there is too little memory, or a batch cannot be dealt out.
    """
    plan = make_plan(
        recipe,
        counts,
        device,
        num_processes=num_processes,
        first_stage=first_stage,
        count_steps=sum(weight_bytes(recipe.model).values()) > _SMALL,
    )
    refuse_too_little_memory(plan, device)
    refuse_too_little_disk(plan, output)


def refuse_too_little_memory(plan: Plan, device: torch.device) -> None:
    """Refuse a plan that needs more memory than is free, naming the moment that needs most.

    Raises:
        ValueError: If it does.
    """
    free, host_free = free_memory(device), free_memory(torch.device("cpu"))
    on_cpu = device.type == "cpu"
    needed = plan.device_bytes * (plan.num_processes if on_cpu else 1)
    if free is not None and needed > free:
        raise ValueError(
            f"recipe {plan.recipe} needs {needed / 1e9:.1f} GB of memory on {device} ({_largest(plan)}), and "
            f"{free / 1e9:.1f} GB are free; use a device with more, or --set contrastive.encode_at_once to a smaller "
            "number if that is in stage 1 (--dry-run lists what takes how much)"
        )
    needed = plan.host_bytes * plan.num_processes
    if not on_cpu and host_free is not None and needed > host_free:
        raise ValueError(
            f"recipe {plan.recipe} needs {needed / 1e9:.1f} GB of the machine's memory beside that of {device}, and "
            f"{host_free / 1e9:.1f} GB are free; --set contrastive.frames_on_disk=true keeps frames on disk"
        )


def refuse_too_little_disk(plan: Plan, output: Path) -> None:
    """Refuse a plan that writes more than there is room for, less what an interrupted run has already written.

    Raises:
        OSError: If it does.
    """
    there = sum(getattr(path.stat(), "st_blocks", 0) * 512 for path in output.rglob("*"))
    needed, free = sum(plan.disk.values()), free_disk(output)
    if needed - there > free:
        parts = ", ".join(f"{name} {size / 1e9:.1f}" for name, size in plan.disk.items() if size)
        raise OSError(
            f"{output}: recipe {plan.recipe} writes {needed / 1e9:.1f} GB there ({parts}), and {free / 1e9:.1f} GB "
            "are free; make room, or choose another folder with --output"
        )


def _largest(plan: Plan) -> str:
    """Name the stage and the moment that need most."""
    stages = {stage.name: stage.memory for stage in plan.stages} | {"validation": plan.validation}
    name = max(stages, key=lambda one: stages[one].device_bytes)
    moment = max(stages[name].moments, key=lambda one: sum(one.device.values()))
    return f"{name}, {moment.name}"
