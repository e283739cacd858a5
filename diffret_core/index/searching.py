"""Search an index: each video counts by its best segment."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.features import VideoFeatures
from diffret_core.first_cut import first_cut
from diffret_core.index.models import Model
from diffret_core.index.opened import OpenIndex
from diffret_core.retriever import Retriever
from diffret_core.search import Search, SearchResult, search

NUM_KEPT = 1000
"""Segments of a large index that are compared with a sentence, chosen by `first_cut`."""


class IndexResult(NamedTuple):
    """A video of an index in a ranking.

    Attributes:
        rank: 1 = best.
        video: Its id: the path below the indexed folder.
        start_seconds: Where its best segment begins.
        similarity: S of the query and that segment.
        generated_probability: What the generator gives that segment among the candidates; 0 for other videos, and
            where the model has no generator.
        combined_score: Similarity plus alpha times that probability: the order of the ranking.
        missing: The file is not there now.
    """

    rank: int
    video: str
    start_seconds: float
    similarity: float
    generated_probability: float
    combined_score: float
    missing: bool


class IndexSearch(NamedTuple):
    """A ranking of an index.

    Attributes:
        results: The best videos, best first.
        search: How the ranking came about, over the best segment of each video; None without a generator.
    """

    results: list[IndexResult]
    search: Search | None


@torch.no_grad()
def search_index(index: OpenIndex, model: Model, text: str, *, num_results: int = 10, seed: int = 0) -> IndexSearch:
    """Rank the videos of an index for a sentence.

    All segments are compared with the sentence (of a large index those that a first cut keeps), and the best of each
    video stands for it. With a generator, the best
    videos are its candidates: so a long video with many alike segments is one candidate, not many.

    Args:
        index: The index.
        model: The model that made it; see `opened.model_of`.
        text: The query.
        num_results: How many videos to give; all, if the index holds fewer.
        seed: Seed of the noise.

    Raises:
        ValueError: If the text is empty, or the number of results is below 1.
    """
    if num_results < 1:
        raise ValueError(f"num_results is {num_results}; it must be at least 1")
    texts = model.encode_texts([text])
    segments = torch.arange(len(index.start_seconds))
    if index.vectors is not None:
        segments = first_cut(model, texts, index.vectors, max(NUM_KEPT, num_results))[0].sort().values
    features = VideoFeatures(*(part.to(model.device) for part in index.features_of(segments)))
    similarity = model.similarity(texts, features)[0].cpu()
    videos, video_of_segment = index.video_of_segment[segments].unique(return_inverse=True)
    best = best_segments(similarity, video_of_segment, len(videos))
    order = similarity[best].sort(descending=True, stable=True).indices
    if not isinstance(model, Retriever):
        chosen = best[order[:num_results]]
        scores = similarity[chosen].tolist()
        ranked = [SearchResult(rank, "", 0.0, score, 0.0, score) for rank, score in enumerate(scores, start=1)]
        return IndexSearch(_results(index, segments[chosen].tolist(), ranked), None)
    chosen = best[order[: max(num_results, model.config.scoring.num_candidates)]]
    ids = [index.videos[video].id for video in index.video_of_segment[segments[chosen]].tolist()]
    compared = VideoFeatures(*(part[chosen.to(model.device)] for part in features))
    found = search(model, compared, ids, text, seed=seed)
    segment_of = dict(zip(ids, segments[chosen].tolist(), strict=True))
    ranked = found.results[:num_results]
    return IndexSearch(_results(index, [segment_of[one.video] for one in ranked], ranked), found)


def best_segments(
    similarity: Float[Tensor, " S"], video_of_segment: Int[Tensor, " S"], num_videos: int
) -> Int[Tensor, " V"]:
    """Choose each video's segment of the highest similarity; of equal ones the first.

    Args:
        similarity: Of each segment.
        video_of_segment: Which video each is a part of; every video has one.
        num_videos: V.
    """
    highest = similarity.new_full((num_videos,), -torch.inf).scatter_reduce(0, video_of_segment, similarity, "amax")
    places = torch.arange(len(similarity))
    at_best = torch.where(similarity == highest[video_of_segment], places, len(similarity))
    return places.new_full((num_videos,), len(similarity)).scatter_reduce(0, video_of_segment, at_best, "amin")


def _results(index: OpenIndex, segments: Sequence[int], ranked: Sequence[SearchResult]) -> list[IndexResult]:
    """Say of each ranked segment which video it is of, where it begins, and whether the file is there."""
    videos = [index.videos[int(index.video_of_segment[segment])] for segment in segments]
    return [
        IndexResult(
            rank=one.rank,
            video=video.id,
            start_seconds=index.start_seconds[segment],
            similarity=one.similarity,
            generated_probability=one.generated_probability,
            combined_score=one.combined_score,
            missing=not video.path.exists(),
        )
        for one, video, segment in zip(ranked, videos, segments, strict=True)
    ]
