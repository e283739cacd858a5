"""The plan of a run: its settings, and for each stage its steps, its memory, its operations and its time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from diffret_core.config import ContrastiveConfig, GenerationConfig, PretrainingConfig, Recipe
from diffret_core.datasets import Counts
from diffret_core.plans.memory import (
    Moment,
    Sizes,
    disk_bytes,
    encoder_moments,
    generation_moments,
    peak,
    sizes_of,
    validation_moments,
)
from diffret_core.plans.seconds import Time
from diffret_core.plans.steps import Counted, count_encoder_step, count_generation_step, trained_bytes, weight_bytes
from diffret_core.training.first_stage import pretraining_stages

Stage = ContrastiveConfig | PretrainingConfig | GenerationConfig


@dataclass(frozen=True)
class Memory:
    """What a stage needs of memory; counted, with every word and frame slot taken for real.

    Attributes:
        moments: What is kept at each.
        device_bytes: The most on the device.
        host_bytes: The most in the host's memory; the same where the device is the processor.
    """

    moments: tuple[Moment, ...]
    device_bytes: int
    host_bytes: int


@dataclass(frozen=True)
class StagePlan:
    """One stage.

    Attributes:
        name: As in the log.
        num_steps: Steps of the optimiser.
        batch_size: Pairs of a step, of all processes together.
        num_epochs: How often the captions are gone through; None for stage 2, which draws a caption of each video.
        memory: What it needs.
        operations: Of a step in one process, multiplications and additions; counted.
        step: How long one takes, without what processes tell one another; None where nothing was timed.
    """

    name: str
    num_steps: int
    batch_size: int
    num_epochs: float | None
    memory: Memory
    operations: int
    step: Time | None


@dataclass(frozen=True)
class Plan:
    """A run, before it is started.

    Attributes:
        recipe: Its name.
        device: Where it is to run.
        num_processes: How many share every batch.
        settings: Those worth reading, by name.
        sizes: Numbers of videos and captions.
        stages: In their order.
        validation: Memory of the validation at the end.
        disk: Bytes written, by what they are.
        tasks: Seconds of all that is no step, by what it is; empty where nothing was timed.
        seconds_to_decode: Of all videos, one after the other; None without videos.
    """

    recipe: str
    device: str
    num_processes: int
    settings: dict[str, Any]
    sizes: Sizes
    stages: tuple[StagePlan, ...]
    validation: Memory
    disk: dict[str, int]
    tasks: dict[str, Time]
    seconds_to_decode: float | None

    @property
    def device_bytes(self) -> int:
        """The most memory on the device."""
        return max(one.device_bytes for one in self._memories())

    @property
    def host_bytes(self) -> int:
        """The most memory of the host, in one process."""
        return max(one.host_bytes for one in self._memories())

    @property
    def seconds(self) -> float:
        """Of everything but decoding."""
        steps = sum(one.num_steps * one.step.seconds for one in self.stages if one.step is not None)
        return steps + sum(task.seconds for task in self.tasks.values())

    def _memories(self) -> list[Memory]:
        return [*(stage.memory for stage in self.stages), self.validation]


def stages_of(recipe: Recipe, *, first_stage: bool = True) -> dict[str, Stage]:
    """Name the stages of a run, as in its log."""
    before = dict(zip(pretraining_stages(recipe), recipe.pretraining, strict=True))
    encoders: dict[str, Stage] = {**before, "stage 1": recipe.contrastive} if first_stage else {}
    return {**encoders, "stage 2": recipe.generation}


def make_plan(
    recipe: Recipe,
    counts: Counts,
    device: torch.device,
    *,
    num_processes: int = 1,
    first_stage: bool = True,
    count_steps: bool = True,
) -> Plan:
    """Plan a run as far as it can be counted; `timed` adds how long it takes.

    Args:
        recipe: The run.
        counts: Videos and captions of the splits.
        device: Where it is to run.
        num_processes: Processes that share every batch.
        first_stage: Whether the encoders are trained; otherwise another run's are taken.
        count_steps: Whether what a step computes is counted, which takes seconds. Without it memory is what is there
            between steps: less than is needed.

    Raises:
        ValueError: If a batch cannot be dealt out to the processes, or there are too few videos.
    """
    sizes, unified = sizes_of(recipe, counts), device.type != "cuda"
    of_weights = weight_bytes(recipe.model)
    weights = sum(of_weights.values())
    stages: list[StagePlan] = []
    chosen = stages_of(recipe, first_stage=first_stage)
    for name, stage in chosen.items():
        if stage.batch_size % num_processes:
            raise ValueError(f"a batch of {stage.batch_size} cannot be dealt out to {num_processes} processes evenly")
        counted = _counted(recipe, stage, sizes, device, num_processes) if count_steps else _between(of_weights, stage)
        if isinstance(stage, GenerationConfig):
            num_epochs = None
            moments = generation_moments(recipe, sizes, counted, weights, unified=unified)
        else:
            num_epochs = stage.num_steps * stage.batch_size / sizes.first_stage_captions
            average = isinstance(stage, ContrastiveConfig) and stage.average_decay is not None
            moments = encoder_moments(recipe, sizes, counted, weights, average=average, unified=unified)
        memory = Memory(moments, *peak(moments, unified=unified))
        stages.append(StagePlan(name, stage.num_steps, stage.batch_size, num_epochs, memory, counted.operations, None))
    trained = max(trained_bytes(of_weights, stage) for stage in chosen.values())
    validation = validation_moments(recipe, sizes, weights)
    return Plan(
        recipe=recipe.name,
        device=str(device),
        num_processes=num_processes,
        settings=_settings(recipe),
        sizes=sizes,
        stages=tuple(stages),
        validation=Memory(validation, *peak(validation, unified=unified)),
        disk=disk_bytes(recipe, sizes, weights, trained, first_stage=first_stage),
        tasks={},
        seconds_to_decode=None,
    )


def _counted(recipe: Recipe, stage: Stage, sizes: Sizes, device: torch.device, num_processes: int) -> Counted:
    if isinstance(stage, GenerationConfig):
        num_videos = sizes.second_stage_videos
        return count_generation_step(recipe.model, stage, num_videos, device, num_processes=num_processes)
    return count_encoder_step(recipe.model, stage, device, num_processes=num_processes)


def _between(of_weights: Mapping[str, int], stage: Stage) -> Counted:
    trained = trained_bytes(of_weights, stage)
    return Counted(trained, trained, 0)


def _settings(recipe: Recipe) -> dict[str, Any]:
    """Choose the settings that are worth reading, by the names that --set takes."""
    first, second = recipe.contrastive, recipe.generation
    return {
        "clip_name": recipe.clip_name,
        "pretrained": recipe.pretrained,
        "seed": recipe.seed,
        "model.max_words": recipe.model.max_words,
        "model.max_frames": recipe.model.max_frames,
        "model.frames_per_second": recipe.model.frames_per_second,
        "contrastive.clip_learning_rate": first.clip_learning_rate,
        "contrastive.new_learning_rate": first.new_learning_rate,
        "contrastive.encode_at_once": first.encode_at_once,
        "contrastive.compute_precision": first.compute_precision,
        "contrastive.frames_on_disk": first.frames_on_disk,
        "contrastive.average_decay": first.average_decay,
        "generation.learning_rate": second.learning_rate,
        "generation.num_candidates": second.num_candidates,
        "generation.negative_pool": second.negative_pool,
        "generation.num_views": second.num_views,
        "generation.loss_scale": second.loss_scale,
    }
