"""Runs that differ in one setting, as they ship with the samples: what each gained, and what may be said of two."""

from collections.abc import Mapping
from typing import Any

from diffret_core.course.gains_figure import Gain

DIRECTIONS = {"text_to_video": "text to video", "video_to_text": "video to text"}
BASE, SEEDS = "seed1", "seed"
"""The shipped run, and what the names of runs begin with that differ from it in the seed alone."""

Arms = Mapping[str, Mapping[str, Any]]


def gains_of_arms(arms: Arms) -> dict[str, Gain]:
    """Give what the combined score gained over the similarity, for each run and direction.

    Args:
        arms: Content of the samples' model/arms.json.
    """
    gains = {}
    for name, arm in arms.items():
        for direction, words in DIRECTIONS.items():
            combined = arm["test"][direction]["combined"]
            gains[f"{name}, {words}"] = Gain(combined["R@1_gain"], *combined["R@1_gain_interval"])
    return gains


def compared_with_shipped(arms: Arms, name: str) -> list[str]:
    """Say by how many points a run's gain differs from the shipped one's, beside what seeds alone make.

    Args:
        arms: Content of the samples' model/arms.json.
        name: Name of the run.

    Returns:
        A line for each direction; one line if the run is not there.
    """
    if name not in arms:
        return [f"{name}: not among the runs that come with this copy"]
    lines = []
    for direction, words in DIRECTIONS.items():
        gain = {one: arms[one]["test"][direction]["combined"]["R@1_gain"] for one in arms}
        seeds = [points for one, points in gain.items() if one.startswith(SEEDS)]
        spread = max(seeds) - min(seeds)
        told = f"; {len(seeds)} seeds differ by up to {spread:.1f}" if len(seeds) > 1 else "; one seed only"
        lines.append(f"{name}, {words}: {gain[name] - gain[BASE]:+.1f} points against {BASE}{told}")
    return lines
