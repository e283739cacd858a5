"""Runs that differ in one setting, as they ship with the samples: what each gained, and what may be said of one."""

from collections.abc import Mapping
from typing import Any

from diffret_core.course.gains_figure import Gain

DIRECTIONS = {"text_to_video": "text to video", "video_to_text": "video to text"}
NAMES = {
    "seed1": "new videos (shipped)",
    "seed2": "new videos, seed 2",
    "seed3": "new videos, seed 3",
    "one_view": "new videos, one view",
    "own_videos": "stage 1's videos",
}
"""By what stage 2 was taught with; rows stand in this order."""
SEEDS = "seed"
"""What the names of runs begin with that differ in the seed alone."""

Arms = Mapping[str, Mapping[str, Any]]
Gains = Mapping[str, Mapping[str, Gain]]


def gains_of_arms(arms: Arms) -> dict[str, dict[str, Gain]]:
    """Give what the combined score gained over the similarity: direction in words -> run -> gain.

    Args:
        arms: Content of the samples' model/arms.json.
    """
    found = {}
    for direction, words in DIRECTIONS.items():
        combined = {name: arm["test"][direction]["combined"] for name, arm in arms.items()}
        found[words] = {
            name: Gain(round(one["R@1_gain"], 1), *one["R@1_gain_interval"]) for name, one in combined.items()
        }
    return found


def named_rows(gains: Gains) -> dict[str, Gain]:
    """Put gains into rows whose names say the direction and what stage 2 was taught with.

    Args:
        gains: Direction in words -> run -> gain.
    """
    order = list(NAMES)
    rows = {}
    for words, of_runs in gains.items():
        for name in sorted(of_runs, key=lambda name: order.index(name) if name in order else len(order)):
            rows[f"{words}: {NAMES.get(name, name)}"] = of_runs[name]
    return rows


def beside_seeds(gains: Gains, name: str) -> list[str]:
    """Say a run's gain beside the gains of runs that differ from the shipped one in their seed alone.

    Args:
        gains: Direction in words -> run -> gain.
        name: Name of the run.

    Returns:
        A line for each direction.
    """
    lines = []
    for words, of_runs in gains.items():
        if name not in of_runs:
            lines.append(f"{words}: {name} is not among the runs that come with this copy")
            continue
        seeds = sorted(gain.points for one, gain in of_runs.items() if one.startswith(SEEDS))
        reach = f"{seeds[0]:+.1f} to {seeds[-1]:+.1f} with {len(seeds)} seeds"
        told = reach if len(seeds) > 1 else f"{seeds[0]:+.1f}, one seed only"
        lines.append(f"{words}: {of_runs[name].points:+.1f} points; new videos {told}")
    return lines
