"""Walks from noise to answers for many queries at once, with any number of steps, any noise and any eta."""

from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core import sampler
from diffret_core.candidates import top_candidates
from diffret_core.config import Direction
from diffret_core.denoiser_compiled import sample
from diffret_core.denoiser_prepared import Conditioned, PreparedDenoiser
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.metrics import target_ranks
from diffret_core.prepared import QUERIES_AT_ONCE, PreparedTexts, PreparedVideos
from diffret_core.randomness import generator
from diffret_core.ranking import combined_scores, generator_scores
from diffret_core.retriever import Retriever, first_state, query_generators


class Asked(NamedTuple):
    """Queries of one direction with their candidates, ready for as many walks as one likes.

    Attributes:
        model: The model; its configuration says how scores are added.
        direction: Which side asks.
        queries: Which texts (or videos) ask; each means the video (or text) of the same number.
        rows: Similarity of each of them with all items.
        items: Candidates of each, most similar first.
        network: The network of this direction, with its products formed.
        given: What queries and candidates contribute to every step, a few queries at a time.
    """

    model: Retriever
    direction: Direction
    queries: Int[Tensor, " Q"]
    rows: Float[Tensor, "Q V"]
    items: Int[Tensor, "Q N"]
    network: PreparedDenoiser
    given: list[Conditioned]


@torch.no_grad()
def ask(
    model: Retriever,
    direction: Direction,
    texts: TextFeatures,
    videos: VideoFeatures,
    *,
    similarity: Float[Tensor, "T V"],
    queries: Int[Tensor, " Q"],
) -> Asked:
    """Propose candidates for some queries, and compute once what no step changes.

    Args:
        model: The model.
        direction: Which side asks.
        texts: Features of all texts.
        videos: Features of all videos, of which number i belongs to text i.
        similarity: S of all texts and videos.
        queries: Which texts (or videos) ask.
    """
    rows = (similarity if direction == "text_to_video" else similarity.T)[queries]
    items = top_candidates(rows, model.config.scoring.num_candidates)
    prepared = PreparedVideos(model, videos) if direction == "text_to_video" else PreparedTexts(model, texts)
    given = []
    for some, chosen in zip(queries.split(QUERIES_AT_ONCE), items.split(QUERIES_AT_ONCE), strict=True):
        if isinstance(prepared, PreparedVideos):
            given.append(prepared.condition(texts.sentence[some], chosen))
        else:
            given.append(prepared.condition(VideoFeatures(videos.frames[some], videos.frame_mask[some]), chosen))
    return Asked(model, direction, queries, rows, items, prepared.network, given)


def noise_of(asked: Asked, draw: int = 0, *, seed: int = 0) -> Float[Tensor, "Q N"]:
    """Draw the states in which the package would start for these queries: noise, as a rule."""
    generators = query_generators(asked.direction, asked.queries, seed=seed, draw=draw)
    return first_state(asked.model, generators, asked.rows.gather(1, asked.items))


@torch.no_grad()
def walk(
    asked: Asked, noise: Float[Tensor, "Q N"], *, num_steps: int | None = None, eta: float = 0.0
) -> Float[Tensor, "Q N"]:
    """Walk from noise to the answers.

    Args:
        asked: From `ask`.
        noise: Where each walk begins.
        num_steps: Steps of the walk; None visits all levels.
        eta: 0 is deterministic; above it every step adds noise, up to 1.

    Returns:
        The samples, within -1..1.
    """
    alpha_bar = asked.model.alpha_bar
    levels = sampler.noise_levels(asked.model.config.first_level, num_steps)
    samples = []
    parts = zip(asked.given, noise.split(QUERIES_AT_ONCE), asked.queries.split(QUERIES_AT_ONCE), strict=True)
    for given, start, queries in parts:
        if eta == 0:
            samples.append(sample(asked.network, given, start, levels, alpha_bar))
            continue
        own = [generator(0, f"{asked.direction} steps", int(query)) for query in queries]
        denoise = partial(asked.network.estimate, given)
        *_, last = sampler.ddim_steps(denoise, start, levels, alpha_bar, eta=eta, generators=own)
        samples.append(last.x_k)
    return torch.cat(samples)


def ranks_of(asked: Asked, sample: Float[Tensor, "Q N"]) -> dict[str, Int[Tensor, " Q"]]:
    """Rank what each query means by the generator alone and by the combined score; an equal score counts against it.

    Args:
        asked: From `ask`.
        sample: What was generated for these queries.

    Returns:
        Ranks, for "generator" and for "combined".
    """
    scoring = asked.model.config.scoring
    scores = {
        "generator": generator_scores(asked.rows, asked.items, sample),
        "combined": combined_scores(
            asked.rows, asked.items, sample, alpha=scoring.alpha, temperature=scoring.temperature
        ),
    }
    return {name: target_ranks(score, asked.queries) for name, score in scores.items()}


def share_of_changes(one: Float[Tensor, "Q N"], other: Float[Tensor, "Q N"]) -> float:
    """Percent of the queries whose first candidate differs between two samples."""
    return 100 * float((one.argmax(dim=1) != other.argmax(dim=1)).float().mean())
