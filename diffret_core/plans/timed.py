"""The time of a planned run, on the machine that this is."""

from collections.abc import Callable
from dataclasses import replace

import torch

from diffret_core.config import GenerationConfig, Recipe
from diffret_core.plans.inputs import Sample
from diffret_core.plans.plan import Plan, StagePlan, stages_of
from diffret_core.plans.room import free_memory
from diffret_core.plans.seconds import (
    Time,
    time_comparison,
    time_encoder_step,
    time_encoding,
    time_generation,
    time_generation_step,
)
from diffret_core.plans.steps import Counted

Listen = Callable[[str, int, int], None]
_ROOM_ON_CPU = 5 * 2**29  # bytes, where others compute too


def timed(
    plan: Plan, recipe: Recipe, sample: Sample, device: torch.device, *, listen: Listen = lambda *_: None
) -> Plan:
    """Time the steps and everything else of a run, but for decoding, of which the sample tells.

    Args:
        plan: From `make_plan`, of this recipe on this device, with its steps counted.
        recipe: The run.
        sample: Videos and captions; see `inputs`.
        device: Where to compute.
        listen: Told what is being timed, and how far it is.

    Returns:
        The plan with `StagePlan.step`, `tasks` and `seconds_to_decode`.
    """
    room = _room(device)
    stages = stages_of(recipe)
    num_timed = len(plan.stages) + 3
    timed_stages = []
    for number, stage in enumerate(plan.stages):
        listen("timing", number, num_timed)
        own = replace(stages[stage.name], batch_size=stage.batch_size // plan.num_processes)
        if isinstance(own, GenerationConfig):
            step = time_generation_step(recipe.model, own, plan.sizes.second_stage_videos, device=device)
        else:
            step = time_encoder_step(recipe.model, own, _counted(stage), sample, room, device=device)
        timed_stages.append(replace(stage, step=step))
    listen("timing", num_timed - 3, num_timed)
    tasks = _tasks(plan, recipe, sample, room, device=device)
    listen("timing", num_timed, num_timed)
    decoding = None if sample.seconds_to_decode is None else plan.sizes.decoded * sample.seconds_to_decode
    return replace(plan, stages=tuple(timed_stages), tasks=tasks, seconds_to_decode=decoding)


def _tasks(plan: Plan, recipe: Recipe, sample: Sample, room: int, *, device: torch.device) -> dict[str, Time]:
    sizes = plan.sizes
    video, caption = time_encoding(recipe.model, sample, room, device=device)
    comparison, query = time_comparison(recipe.model, device=device), time_generation(recipe.model, device=device)
    looks, more_looks = recipe.contrastive.num_looks, recipe.generation.num_looks  # the encoders change between looks
    num_encoded = recipe.generation.num_views * sizes.second_stage_videos + (1 + looks) * sizes.validation_videos
    num_captions = sizes.second_stage_captions + (1 + looks) * sizes.validation_captions
    num_validations, of_validation = 1 + looks + more_looks, sizes.validation_captions * sizes.validation_videos
    num_compared = sizes.second_stage_captions * sizes.second_stage_videos + num_validations * of_validation
    num_queries = (1 + more_looks) * (sizes.validation_captions + sizes.validation_videos)
    num_walks = num_queries * recipe.model.scoring.num_draws
    return {
        "encoding videos for stage 2 and validation": Time(num_encoded * video.seconds, False),
        "encoding captions": Time(num_captions * caption.seconds, False),
        "comparing all captions with all videos": Time(num_compared * comparison, False),
        "generating for validation": Time(num_walks * query, False),
    }


def _room(device: torch.device) -> int:
    free = free_memory(device)
    most = _ROOM_ON_CPU if device.type == "cpu" else free or _ROOM_ON_CPU
    return most if free is None else min(most, int(0.8 * free))


def _counted(stage: StagePlan) -> Counted:
    step = stage.memory.moments[0].device
    trained = step["gradients"]
    return Counted(step["pictures and activations"] + trained, trained, stage.operations)
