"""What a recipe needs beside what it says itself: how many videos and captions, and what mends missing ones."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diffret_core.config import Recipe
from diffret_core.datasets import Counts, SplitCounts
from diffret_core.locations import sample_folder
from diffret_core.scenes.annotations import CAPTIONS_PER_VIDEO
from diffret_core.scenes.splits import SPLITS


@dataclass(frozen=True)
class Needs:
    """What a recipe needs.

    Attributes:
        annotations: Where its annotation files are if the user names no folder; None where only the user knows.
        expected: Numbers of videos and captions that it needs if the reader knows of no published ones.
        remedy: What makes or gets videos that are missing.
    """

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


_NEEDS = {
    "tiny": Needs(annotations=sample_folder, expected=_samples(), remedy="draw them with 'diffret samples render'")
}


def needs_of(recipe: Recipe) -> Needs:
    """Look up what a recipe needs; those of the benchmarks need what their owners publish."""
    return _NEEDS.get(recipe.name, Needs())
