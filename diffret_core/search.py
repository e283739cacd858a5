"""Search: one sentence against a gallery of videos, with the whole walk from noise to the answer."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core import sampler
from diffret_core.candidates import top_candidates
from diffret_core.features import VideoFeatures
from diffret_core.randomness import generator
from diffret_core.ranking import combined_scores, generated_probability, order
from diffret_core.retriever import Retriever


class SearchResult(NamedTuple):
    """One video of a ranking.

    Attributes:
        rank: 1 = best.
        video: Its id.
        start_seconds: Where in the video the match begins.
        similarity: S of the query and the video.
        generated_probability: What the generator gives it among the candidates; 0 for other videos.
        combined_score: Similarity plus alpha times that probability: the order of the ranking.
    """

    rank: int
    video: str
    start_seconds: float
    similarity: float
    generated_probability: float
    combined_score: float


class Search(NamedTuple):
    """A ranking and how it came about.

    Attributes:
        text: The query.
        results: All videos, best first.
        candidates: Ids of the candidates, most similar first.
        similarity: S of each candidate.
        levels: Noise levels visited, K first and 0 last.
        states: x_k over the candidates at each of them; the first is noise, the last the answer.
        estimates: x_0_hat that led to each state but the first.
    """

    text: str
    results: list[SearchResult]
    candidates: list[str]
    similarity: Float[Tensor, " N"]
    levels: list[int]
    states: Float[Tensor, "L N"]
    estimates: Float[Tensor, "L2 N"]


@torch.no_grad()
def search(model: Retriever, videos: VideoFeatures, video_ids: Sequence[str], text: str, *, seed: int = 0) -> Search:
    """Rank all videos for a sentence: propose by similarity, generate over the candidates, add both scores.

    Args:
        model: The model; its configuration says how many candidates, steps and how the scores are added.
        videos: Features of the gallery, on the model's device.
        video_ids: Id of each video.
        text: The query.
        seed: Seed of the noise.

    Raises:
        ValueError: If the text is empty, or ids and features differ in number.
    """
    if len(video_ids) != len(videos.frames):
        raise ValueError(f"{len(video_ids)} ids for {len(videos.frames)} videos; give one id per video")
    texts = model.encode_texts([text])
    similarity = model.similarity(texts, videos)  # [1, V]
    items = top_candidates(similarity, model.config.scoring.num_candidates)
    denoise = model.bind_denoiser("text_to_video", texts, videos, torch.zeros_like(items[:, 0]), items)
    noise = sampler.draw_noise([generator(seed, "search noise", text)], items.shape[1]).to(similarity)
    steps = list(model.denoising_steps(denoise, noise))
    return Search(
        text=text,
        results=_results(model, video_ids, similarity, items, steps[-1].x_k),
        candidates=[video_ids[int(item)] for item in items[0]],
        similarity=similarity[0, items[0]].cpu(),
        levels=[model.config.num_noise_levels, *(step.k for step in steps)],
        states=torch.cat([noise, *(step.x_k for step in steps)]).cpu(),
        estimates=torch.cat([step.x_0_hat for step in steps]).cpu(),
    )


def _results(
    model: Retriever,
    video_ids: Sequence[str],
    similarity: Float[Tensor, "1 V"],
    items: Int[Tensor, "1 N"],
    sample: Float[Tensor, "1 N"],
) -> list[SearchResult]:
    scoring = model.config.scoring
    probability = torch.zeros_like(similarity)
    probability.scatter_(1, items, generated_probability(sample, temperature=scoring.temperature))
    score = combined_scores(similarity, items, sample, alpha=scoring.alpha, temperature=scoring.temperature)
    columns = order(score)[0].tolist()
    return [
        SearchResult(
            rank=rank,
            video=video_ids[column],
            start_seconds=0.0,
            similarity=float(similarity[0, column]),
            generated_probability=float(probability[0, column]),
            combined_score=float(score[0, column]),
        )
        for rank, column in enumerate(columns, start=1)
    ]
