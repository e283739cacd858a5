"""Answers computed beforehand, level by level, for a reader without a kernel: what `playable_figure` draws."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.demo.collection import Item
from diffret_core.course.demo.running import DemoCollection, Run, run
from diffret_core.course.demo.state import DemoState
from diffret_core.ranking import generated_probability


class Playable(NamedTuple):
    """One query, answered by walks of several lengths from the same noise.

    Attributes:
        query: What asked.
        levels: All noise levels, K first and 0 last.
        num_steps: Steps of each walk.
        items: The candidates that are shown, most similar first.
        meant: Whether the query was written for each of them.
        probability: What the state gives each at each level, among all candidates; of a walk that leaves a level out,
            that of the level it still stands at. At level 0 it is the generated probability of the demo.
        num_candidates: How many candidates there are.
    """

    query: str
    levels: list[int]
    num_steps: list[int]
    items: list[Item]
    meant: list[bool]
    probability: Float[Tensor, "L W M"]
    num_candidates: int


def playable(collection: DemoCollection, state: DemoState, num_steps: Sequence[int], *, num_shown: int = 8) -> Playable:
    """Answer a query by walks of several lengths.

    Args:
        collection: What is searched; its model has a generator.
        state: The query and how it is answered, but for the steps.
        num_steps: Steps of each walk.
        num_shown: How many candidates are shown: those with the highest probability in the end, mean over the walks.
    """
    runs = [run(collection, replace(state, num_steps=number)) for number in num_steps]
    levels = list(range(collection.model.config.num_noise_levels, -1, -1))
    probability = torch.stack([_at_all_levels(one, levels) for one in runs], dim=1)  # [L, W, N]
    best = probability[-1].mean(dim=0).argsort(descending=True, stable=True)[:num_shown].sort().values
    items = [runs[0].candidates[column] for column in best.tolist()]
    return Playable(
        query=state.query,
        levels=levels,
        num_steps=list(num_steps),
        items=items,
        meant=[item.id in runs[0].walk.proposal.meant for item in items],
        probability=probability[:, :, best],
        num_candidates=len(runs[0].candidates),
    )


def _at_all_levels(one: Run, levels: Sequence[int]) -> Float[Tensor, "L N"]:
    """Give the probabilities at all levels; at one that was left out, those of the visited one above."""
    visited = generated_probability(one.walk.states.mean(dim=1), temperature=one.state.temperature)
    places = [sum(level >= k for level in one.walk.levels) - 1 for k in levels]
    return visited[places]
