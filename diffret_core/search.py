"""Search: one sentence against a gallery of videos, with the whole walk from noise to the answer."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core import sampler
from diffret_core.candidates import top_candidates
from diffret_core.denoiser_compiled import Walk, can_walk, walk
from diffret_core.denoiser_prepared import Conditioned, PreparedDenoiser
from diffret_core.feature_checks import check_videos
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.indicator import Indicator, OffTheMap, indicate
from diffret_core.prepared import PreparedVideos
from diffret_core.randomness import generator
from diffret_core.ranking import combined_scores, generated_probability, order
from diffret_core.retriever import Retriever, first_state
from diffret_core.similarity import TokenBlock, compare_blocks


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
        off_the_map: Whether probably no video matches; None without an indicator.
    """

    text: str
    results: list[SearchResult]
    candidates: list[str]
    similarity: Float[Tensor, " N"]
    levels: list[int]
    states: Float[Tensor, "L N"]
    estimates: Float[Tensor, "L2 N"]
    off_the_map: OffTheMap | None = None


class PreparedGallery(NamedTuple):
    """A gallery made ready to be searched many times; see `prepare_gallery`.

    Attributes:
        videos: Its videos, ready to be chosen from by the generator.
        blocks: Its videos, ready to be compared with a text.
    """

    videos: PreparedVideos
    blocks: list[TokenBlock]


@torch.no_grad()
def prepare_gallery(model: Retriever, videos: VideoFeatures) -> PreparedGallery:
    """Compute once what a search needs of its gallery, whatever is asked.

    Args:
        model: The model; later changes of its weights are not seen.
        videos: Features of the gallery, on the model's device.

    Raises:
        ValueError: If the features are none that the model could have given.
    """
    prepared = PreparedVideos(model, videos)
    return PreparedGallery(prepared, list(model.interaction.prepare_videos(videos.frames, videos.frame_mask)))


@torch.no_grad()
def search(
    model: Retriever,
    videos: VideoFeatures | PreparedGallery,
    video_ids: Sequence[str],
    text: str,
    *,
    seed: int = 0,
    indicator: Indicator | None = None,
) -> Search:
    """Rank all videos for a sentence: propose by similarity, generate over the candidates, add both scores.

    Args:
        model: The model; its configuration says how many candidates, steps and how the scores are added.
        videos: Features of the gallery, on the model's device, or for many searches a gallery from `prepare_gallery`.
        video_ids: Id of each video.
        text: The query.
        seed: Seed of the noise.
        indicator: Says whether the text is off the map, if there is one for this model and gallery.

    Raises:
        ValueError: If the text is empty, ids and features differ in number, or the features are none that the model
            could have given.
    """
    num_videos = len(videos.videos.frames if isinstance(videos, PreparedGallery) else videos.frames)
    if len(video_ids) != num_videos:
        raise ValueError(f"{len(video_ids)} ids for {num_videos} videos; give one id per video")
    if isinstance(videos, VideoFeatures):
        check_videos(videos, model.config.dim)
    texts = model.encode_texts([text])
    if isinstance(videos, PreparedGallery):
        (asking,) = model.interaction.prepare_texts(texts.words, texts.word_mask)
        similarity = compare_blocks(asking, videos.blocks)  # [1, V]
    else:
        similarity = model.similarity(texts, videos)
    items = top_candidates(similarity, model.config.scoring.num_candidates)
    levels = sampler.noise_levels(model.config.first_level, model.config.scoring.num_steps)
    network, given = _conditioned(model, videos, texts, items)
    draw, proposed = generator(seed, "search noise", text), similarity.gather(1, items)
    states, estimates = _walk(model, network, given, draw, proposed, levels=levels)
    return Search(
        text=text,
        results=_results(model, video_ids, similarity, items, states[-1]),
        candidates=[video_ids[item] for item in items[0].tolist()],
        similarity=similarity[0, items[0]].cpu(),
        levels=levels,
        states=states[:, 0].cpu(),
        estimates=estimates[:, 0].cpu(),
        off_the_map=None
        if indicator is None
        else indicate(model, indicator, text, similarity, network=network, given=given, seed=seed),
    )


def _conditioned(
    model: Retriever, videos: VideoFeatures | PreparedGallery, texts: TextFeatures, items: Int[Tensor, "1 N"]
) -> tuple[PreparedDenoiser, Conditioned]:
    """Give the prepared network and what it needs; of a gallery that is not prepared, only the candidates are."""
    if isinstance(videos, PreparedGallery):
        prepared, chosen = videos.videos, items
    else:
        candidates = VideoFeatures(videos.frames[items[0]], videos.frame_mask[items[0]])
        prepared, chosen = PreparedVideos(model, candidates), torch.arange(items.shape[1], device=items.device)[None]
    return prepared.network, prepared.condition(texts.sentence, chosen)


def _walk(
    model: Retriever,
    network: PreparedDenoiser,
    given: Conditioned,
    draw: torch.Generator,
    similarity: Float[Tensor, "1 N"],
    *,
    levels: Sequence[int],
) -> Walk:
    start = first_state(model, [draw], similarity.to(given.own))
    if can_walk(start) and model.config.scoring.eta == 0:
        return walk(network, given, start, levels, model.alpha_bar)
    steps = list(model.denoising_steps(partial(network.estimate, given), start, draws=[draw]))
    return Walk(torch.stack([start, *(step.x_k for step in steps)]), torch.stack([step.x_0_hat for step in steps]))


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
    numbers = list(zip(*(one[0].tolist() for one in (similarity, probability, score)), strict=True))
    return [
        SearchResult(rank, video_ids[column], 0.0, *numbers[column])
        for rank, column in enumerate(order(score)[0].tolist(), start=1)
    ]
