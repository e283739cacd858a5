"""What a model is and how a run trains it: frozen, validated descriptions that read from and write to JSON."""

from diffret_core.config.model import (
    CLIP_MEAN,
    CLIP_STD,
    DIRECTIONS,
    Direction,
    Mode,
    ModelConfig,
    ScheduleKind,
    ScoringConfig,
    model_config_from_json,
)
from diffret_core.config.training import (
    ComputePrecision,
    ContrastiveConfig,
    GenerationConfig,
    Precision,
    PretrainingConfig,
    Recipe,
    to_json,
)

__all__ = [
    "CLIP_MEAN",
    "CLIP_STD",
    "ComputePrecision",
    "ContrastiveConfig",
    "DIRECTIONS",
    "Direction",
    "GenerationConfig",
    "Mode",
    "ModelConfig",
    "Precision",
    "PretrainingConfig",
    "Recipe",
    "ScheduleKind",
    "ScoringConfig",
    "model_config_from_json",
    "to_json",
]
