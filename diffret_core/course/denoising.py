"""What figures of the walk from noise to a ranking show: numbers and words, before anything is drawn."""

import textwrap

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.style import PLACES
from diffret_core.search import Search

KEY = "bar: state of a candidate   ◇: what the network takes for the answer"


def relative_heights(states: Float[Tensor, "L N"]) -> Float[Tensor, "L N"]:
    """Stretch every level's states from 0 (its lowest candidate) to 1 (its highest).

    A softmax over candidates does not feel a constant that is added to all of them, and noise is much wider than the
    answer: stretched, all levels can be compared by eye, and every level keeps its order.

    Args:
        states: x_k of each candidate, one row per level.

    Returns:
        Heights; 0.5 throughout a level where all candidates are equal.
    """
    low, high = states.amin(dim=1, keepdim=True), states.amax(dim=1, keepdim=True)
    return torch.where(high > low, (states - low) / (high - low).clamp(min=1e-12), torch.full_like(states, 0.5))


def guesses(found: Search) -> Float[Tensor, "L N"]:
    """Give what the network takes for the answer at each level; the last level is the answer itself."""
    return torch.cat([found.estimates, found.states[-1:]])


def leading(found: Search) -> list[int]:
    """Columns of the candidates that the finished state puts first, best first; at most one per drawn place."""
    return found.states[-1].argsort(descending=True, stable=True)[: len(PLACES)].tolist()


def headline(found: Search) -> str:
    """The sentence in quotation marks, cut where it would not fit above a figure."""
    return f"“{textwrap.shorten(found.text, 90, placeholder=' …')}”"


def describe_denoising(found: Search) -> str:
    """Say in words what the figures show, for those who do not see them and for those who wonder."""
    noise, answer = found.states[0], found.states[-1]
    first = f"candidate {leading(found)[0] + 1} is the highest" if answer.max() > answer.min() else "all are equal"
    return (
        f"{len(answer)} candidates, the most similar on the left. At noise level {found.levels[0]} the bars are random "
        f"numbers (here from {noise.min():.2f} to {noise.max():.2f}); at level 0 they are the generated answer (from "
        f"{answer.min():.2f} to {answer.max():.2f}), in which {first}. A diamond is what "
        "the network takes for the answer at that level: step by step the bars settle on the diamonds. The lines below "
        "follow the diamonds over all levels; 1st to 3rd are the places in the answer. Each level is stretched from "
        "its lowest candidate to its highest."
    )
