"""What a run will take, before it is started: memory, disk and time, counted, measured or scaled up."""

from diffret_core.plans.inputs import made_up_sample, sample_of
from diffret_core.plans.plan import Plan, StagePlan, make_plan
from diffret_core.plans.refusals import refuse_slow_device, refuse_without_room
from diffret_core.plans.timed import timed

__all__ = [
    "Plan",
    "StagePlan",
    "made_up_sample",
    "make_plan",
    "refuse_slow_device",
    "refuse_without_room",
    "sample_of",
    "timed",
]
