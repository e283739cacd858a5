"""What each recipe reads: which benchmark, how many of its videos and captions, and the encoder that looks at them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from diffret_core.config import ModelConfig
from diffret_core.datasets import Counts, SplitCounts
from diffret_core.encoders import clip_architecture
from diffret_core.locations import sample_folder
from diffret_core.recipes import RECIPES
from diffret_core.scenes.annotations import CAPTIONS_PER_VIDEO
from diffret_core.scenes.splits import SPLITS

_ENCODER = "ViT-B-32-quickgelu"


@dataclass(frozen=True)
class Needs:
    """What a recipe needs.

    Attributes:
        collection: Name of the reader of its annotation files.
        model_config: Makes the configuration of its model.
        annotations: Where its annotation files are if the user names no folder; None where only the user knows.
        expected: Numbers of videos and captions that it needs if the reader knows of no published ones.
        remedy: What makes or gets videos that are missing.
    """

    collection: str
    model_config: Callable[[], ModelConfig]
    annotations: Callable[[], Path] | None = None
    expected: Counts | None = None
    remedy: str = "fetch them from the owners of the benchmark, or name the folder that holds them with --videos"


def _samples() -> Counts:
    return Counts(
        *(
            SplitCounts(SPLITS[name].num_videos, SPLITS[name].num_videos * captions)
            for name, captions in (("train", CAPTIONS_PER_VIDEO), ("validation", CAPTIONS_PER_VIDEO), ("test", 1))
        )
    )


def _benchmark_model(max_words: int, max_frames: int) -> ModelConfig:
    return ModelConfig(clip=clip_architecture(_ENCODER), max_words=max_words, max_frames=max_frames)


_SHORT = partial(_benchmark_model, 32, 12)  # words and frames of SPEC section 11
_LONG = partial(_benchmark_model, 64, 64)
_NEEDS = {
    "tiny": Needs(
        "msrvtt",
        lambda: RECIPES["tiny"]().model,
        annotations=sample_folder,
        expected=_samples(),
        remedy="draw them with 'diffret samples render'",
    ),
    "msrvtt": Needs("msrvtt", _SHORT),
    "lsmdc": Needs("lsmdc", _SHORT),
    "msvd": Needs("msvd", _SHORT),
    "activitynet": Needs("activitynet", _LONG),
    "didemo": Needs("didemo", _LONG),
}
RECIPE_NAMES = tuple(_NEEDS)


def needs_of(name: str) -> Needs:
    """Look up what a recipe needs.

    Raises:
        ValueError: If there is no such recipe.
    """
    if name not in _NEEDS:
        raise ValueError(f"there is no recipe {name!r}; choose one of: {', '.join(RECIPE_NAMES)}")
    return _NEEDS[name]
