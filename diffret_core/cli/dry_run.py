"""What `diffret train --dry-run` prints: the plan of a run, and how each number was found."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from diffret_core.config import Recipe
    from diffret_core.datasets import Collection, Counts
    from diffret_core.plans import Plan
    from diffret_core.plans.plan import Memory, StagePlan

SMALLEST_PART = 0.01  # of a moment's memory, to be named


def dry_run(arguments: argparse.Namespace, recipe: "Recipe", device: "torch.device", output: Path) -> int:
    """Plan the run that the arguments ask for, print the plan, and leave everything as it is."""
    from diffret_core.cli.progress import Bars
    from diffret_core.plans import made_up_sample, make_plan, sample_of, timed
    from diffret_core.recipes import first_counts, first_videos, rehearsal

    if os.environ.get("RANK", "0") != "0":  # of the processes of torchrun one speaks
        return 0
    collection = planned_collection(arguments, recipe)
    counts = planned_counts(recipe, collection)
    if arguments.rehearse:
        recipe = rehearsal(recipe)
        collection = None if collection is None else first_videos(collection)
        counts = first_counts(counts) if collection is None else planned_counts(recipe, collection)
    plan = make_plan(
        recipe,
        counts,
        device,
        num_processes=int(os.environ.get("WORLD_SIZE", "1")),
        first_stage=arguments.stage1 is None,
    )
    sample = made_up_sample(recipe.model) if collection is None else sample_of(collection, recipe.model)
    with Bars() as bars:
        plan = timed(plan, recipe, sample, device, listen=bars)
    if arguments.json:
        import json

        print(json.dumps(as_json(plan, output), indent=2))
    else:
        print_plan(plan, output, is_made_up=collection is None)
    return 0


def planned_collection(arguments: argparse.Namespace, recipe: "Recipe") -> "Collection | None":
    """Read the data where there are some: those of --data, or the samples for a recipe of no benchmark.

    Raises:
        ValueError: If a split is named but not counted.
    """
    from diffret_core.cli.inputs import open_collection
    from diffret_core.recipes import PUBLISHED

    if arguments.data is None and recipe.name in PUBLISHED:
        if arguments.protocol is not None:
            raise ValueError("--protocol needs --data; without, the numbers are those of the recipe's published split")
        return None
    return open_collection(arguments, hold_out_validation=True)


def planned_counts(recipe: "Recipe", collection: "Collection | None") -> "Counts":
    """Count the data, or take the published numbers."""
    from diffret_core.datasets import counts_of
    from diffret_core.recipes import PUBLISHED

    return PUBLISHED[recipe.name] if collection is None else counts_of(collection)


def as_json(plan: "Plan", output: Path) -> dict[str, Any]:
    """Give the plan, its sums and what is free as plain values."""
    import dataclasses

    import torch

    from diffret_core.plans.room import free_disk, free_memory

    sums = {"device_bytes": plan.device_bytes, "host_bytes": plan.host_bytes, "disk_bytes": sum(plan.disk.values())}
    free = {"free_device_bytes": free_memory(torch.device(plan.device)), "free_disk_bytes": free_disk(output)}
    return {**dataclasses.asdict(plan), **sums, **free, "seconds": plan.seconds}


def print_plan(plan: "Plan", output: Path, *, is_made_up: bool) -> None:
    """Print a plan for people."""
    whole, sizes = as_json(plan, output), plan.sizes
    print(f"recipe {plan.recipe} on {plan.device}, {plan.num_processes} process(es); nothing is trained by this")
    print("settings: " + ", ".join(f"{name}={value}" for name, value in plan.settings.items()))
    where = "as published, since no --data is given" if is_made_up else "of the data"
    print(
        f"numbers {where}: stage 1 {sizes.first_stage_videos} videos, {sizes.first_stage_captions} captions; stage 2 "
        f"{sizes.second_stage_videos}, {sizes.second_stage_captions}; validation {sizes.validation_videos}, "
        f"{sizes.validation_captions}"
    )
    for stage in plan.stages:
        _print_stage(stage)
    _print_memory("validation", plan.validation)
    for name, task in plan.tasks.items():
        print(f"{name}: {duration(task.seconds)} ({_kind(task.is_measured)})")
    print(_decoding(plan))
    parts = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in plan.disk.items() if size)
    print(f"disk: {whole['disk_bytes'] / 1e9:.2f} GB, counted ({parts}); {whole['free_disk_bytes'] / 1e9:.1f} GB free")
    free = whole["free_device_bytes"]
    if plan.device == "cpu":
        print("memory is that of tensors; the process adds itself and what its allocator keeps, up to as much again")
    print(
        f"in all: {plan.device_bytes / 1e9:.2f} GB on {plan.device} in each process"
        f"{'' if free is None else f', {free / 1e9:.1f} GB free'}; {duration(plan.seconds)} without decoding"
    )


def _print_stage(stage: "StagePlan") -> None:
    epochs = "" if stage.num_epochs is None else f", {stage.num_epochs:.1f} epochs"
    print(f"{stage.name}: {stage.num_steps} steps of {stage.batch_size} pairs{epochs}")
    if stage.step is not None:
        print(
            f"  time: {stage.operations / 1e12:.3g} TFLOP a step, counted; {stage.step.seconds:.3g} s a step "
            f"({_kind(stage.step.is_measured)}); {duration(stage.num_steps * stage.step.seconds)} in all"
        )
    _print_memory("  memory", stage.memory)


def _print_memory(what: str, memory: "Memory") -> None:
    """Print the moment that needs most."""
    moment = max(memory.moments, key=lambda one: sum(one.device.values()))
    kept = {**moment.device, **moment.host}
    parts = [f"{name} {size / 1e9:.2f}" for name, size in kept.items() if size > SMALLEST_PART * sum(kept.values())]
    print(f"{what}: {memory.device_bytes / 1e9:.2f} GB, counted; most while {moment.name} ({', '.join(parts)})")


def _decoding(plan: "Plan") -> str:
    if plan.seconds_to_decode is None:
        return "decoding: not in here; it is measured where --data has videos ('diffret doctor' looks at them all)"
    return (
        f"decoding: {duration(plan.seconds_to_decode)}, one video after the other (scaled up from a few); stage 1 "
        "decodes on all processors where frames are kept on disk"
    )


def _kind(is_measured: bool) -> str:
    return "measured" if is_measured else "scaled up from a smaller measurement"


def duration(seconds: float) -> str:
    """Write a time in the unit in which it is read."""
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86_400:,.0f} days"
