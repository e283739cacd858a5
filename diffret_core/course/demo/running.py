"""A query answered: every number that the demo shows, from one plain function."""

import time
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core import sampler
from diffret_core.candidates import top_candidates
from diffret_core.config import ModelConfig
from diffret_core.course.demo.collection import Item, Proposal, SampleCollection
from diffret_core.course.demo.own_videos import IndexCollection
from diffret_core.course.demo.state import DemoState
from diffret_core.indicator import OffTheMap
from diffret_core.ranking import combined_scores, generated_probability, order
from diffret_core.retriever import Retriever, first_state
from diffret_core.schedule import noise_schedule
from diffret_core.zero_shot import ZeroShot


class Walk(NamedTuple):
    """Walks from noise to an answer, before weight and temperature make scores of it.

    Attributes:
        state: What led to them.
        proposal: The query compared with everything.
        items: Columns of the candidates, most similar first.
        levels: Noise levels visited, K first and 0 last.
        states: x_k of each draw at each of them.
        estimates: x_0_hat that led to each state but the first.
        seconds: Time that comparing and walking took, without what is computed once for all queries.
        off_the_map: Whether probably no video matches; None where nothing can tell.
    """

    state: DemoState
    proposal: Proposal
    items: Int[Tensor, "1 N"]
    levels: list[int]
    states: Float[Tensor, "L M N"]
    estimates: Float[Tensor, "L2 M N"]
    seconds: float
    off_the_map: OffTheMap | None = None


class Result(NamedTuple):
    """One item of a ranking.

    Attributes:
        rank: 1 = best.
        column: Its column in the proposal.
        item: What was found.
        similarity: S of the query and the item.
        generated_probability: What the generator gives it among the candidates; 0 for other items.
        combined_score: Similarity plus alpha times that probability: the order of the ranking.
        similarity_rank: Its rank by similarity alone.
    """

    rank: int
    column: int
    item: Item
    similarity: float
    generated_probability: float
    combined_score: float
    similarity_rank: int

    @property
    def places_won(self) -> int:
        """How many places it stands higher than by similarity alone; negative if lower."""
        return self.similarity_rank - self.rank


class Run(NamedTuple):
    """A query answered.

    Attributes:
        state: What was asked, and how.
        results: All items, best first.
        walk: How it came about.
    """

    state: DemoState
    results: list[Result]
    walk: Walk

    @property
    def candidates(self) -> list[Item]:
        """The candidates, most similar first."""
        return [self.walk.proposal.items[column] for column in self.walk.items[0].tolist()]


DemoCollection = SampleCollection | IndexCollection


def run(collection: DemoCollection, state: DemoState) -> Run:
    """Answer a query: propose by similarity, generate over the candidates, add both scores.

    Args:
        collection: What is searched, and with which model.
        state: The query, and how it is answered.

    Raises:
        ValueError: If the query cannot be read, or the model cannot walk so.
    """
    return rescore(walk(collection, state), state)


@torch.no_grad()
def walk(collection: DemoCollection, state: DemoState) -> Walk:
    """Compare and walk; all draws walk together, each with its own noise.

    Raises:
        ValueError: As `run`.
    """
    collection.prepare(state.direction)
    start = time.perf_counter()
    proposal = collection.propose(state)
    items = top_candidates(proposal.similarity, state.num_candidates)
    levels, states, estimates = _denoise(collection.model, state, proposal, items)
    states, estimates = states.cpu(), estimates.cpu()  # a GPU is waited for, then the clock is stopped
    seconds = time.perf_counter() - start
    return Walk(
        state=state,
        proposal=proposal._replace(similarity=proposal.similarity.cpu()),
        items=items.cpu(),
        levels=levels,
        states=states,
        estimates=estimates,
        seconds=seconds,
        off_the_map=None if proposal.off_the_map is None else proposal.off_the_map(state.seed),
    )


def _denoise(
    model: Retriever | ZeroShot, state: DemoState, proposal: Proposal, items: Int[Tensor, "1 N"]
) -> tuple[list[int], Float[Tensor, "L M N"], Float[Tensor, "L2 M N"]]:
    """Walk from noise to an answer; where there is no generator, through no level at all."""
    if proposal.bind is None or not isinstance(model, Retriever):
        nothing = proposal.similarity.new_zeros(0, state.num_draws, items.shape[1])
        return [], nothing, nothing
    levels = sampler.noise_levels(model.config.first_level, state.num_steps)
    alpha_bar = noise_schedule(model.config.num_noise_levels, state.schedule)
    draws = [proposal.generator_of(state.seed, draw) for draw in range(state.num_draws)]
    several = items.repeat(len(draws), 1)
    start = first_state(model, draws, proposal.similarity.gather(1, items).expand(several.shape), alpha_bar=alpha_bar)
    steps = list(sampler.ddim_steps(proposal.bind(several), start, levels, alpha_bar, eta=state.eta, generators=draws))
    return levels, torch.stack([start, *(step.x_k for step in steps)]), torch.stack([step.x_0_hat for step in steps])


def rescore(walked: Walk, state: DemoState) -> Run:
    """Make scores of a finished walk: what a moved weight or temperature needs, and no more.

    Args:
        walked: The walk.
        state: Its state, but for weight and temperature.

    Raises:
        ValueError: If the state needs another walk.
    """
    if state.needs_new_walk(walked.state):
        raise ValueError("this walk is of another state; only alpha and temperature may differ, so walk anew")
    similarity, items = walked.proposal.similarity, walked.items
    probability, score = torch.zeros_like(similarity), similarity
    if walked.levels:
        sample = walked.states[-1].mean(dim=0, keepdim=True)  # [1, N]
        probability.scatter_(1, items, generated_probability(sample, temperature=state.temperature))
        score = combined_scores(similarity, items, sample, alpha=state.alpha, temperature=state.temperature)
    similarity_rank = order(similarity).argsort(dim=1) + 1
    numbers = list(zip(*(one[0].tolist() for one in (similarity, probability, score, similarity_rank)), strict=True))
    results = [
        Result(rank, column, walked.proposal.items[column], *numbers[column])
        for rank, column in enumerate(order(score)[0].tolist(), start=1)
    ]
    return Run(state, results, walked)


def levels_of(config: ModelConfig, num_steps: int) -> str:
    """Name the noise levels that a walk of so many steps visits, in words that stay short."""
    levels = sampler.noise_levels(config.first_level, num_steps)
    if len(levels) <= 7:
        return ", ".join(map(str, levels))
    return ", ".join(map(str, levels[:3])) + ", …, " + ", ".join(map(str, levels[-2:]))
