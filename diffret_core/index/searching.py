"""Search an index: each video counts by its best segment."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.features import TextFeatures, VideoFeatures
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
    video stands for it. With a generator, the best videos are its candidates: so a long video with many alike segments
    is one candidate, not many. What does not depend on the sentence is computed at a model's first question.

    Args:
        index: The index.
        model: The model that made it; see `opened.model_of`.
        text: The query.
        num_results: How many videos to give; all, if the index holds fewer.
        seed: Seed of the noise.

    Raises:
        ValueError: If the text is empty, the number of results is below 1, or another model made the index.
    """
    if num_results < 1:
        raise ValueError(f"num_results is {num_results}; it must be at least 1")
    num_compared = max(num_results, model.config.scoring.num_candidates) if isinstance(model, Retriever) else 0
    texts, num_kept = model.encode_texts([text]), max(NUM_KEPT, num_results)
    best = best_of_videos(index, model, texts, num_kept=num_kept, num_features=num_compared)
    if not isinstance(model, Retriever):
        scores = best.similarity[:num_results].tolist()
        ranked = [SearchResult(rank, "", 0.0, score, 0.0, score) for rank, score in enumerate(scores, start=1)]
        return IndexSearch(_results(index, best.segments[:num_results].tolist(), ranked), None)
    segments = best.segments[:num_compared]
    ids = [index.videos[video].id for video in index.video_of_segment[segments].tolist()]
    found = search(model, best.features, ids, text, seed=seed)
    segment_of = dict(zip(ids, segments.tolist(), strict=True))
    ranked = found.results[:num_results]
    return IndexSearch(_results(index, [segment_of[one.video] for one in ranked], ranked), found)


class BestSegments(NamedTuple):
    """Each video's best segment for a text, most similar first.

    Attributes:
        segments: Which segment of the index each is.
        similarity: S of the text and each.
        features: Of each, or of the first as many as were asked for, on the model's device.
    """

    segments: Int[Tensor, " V"]
    similarity: Float[Tensor, " V"]
    features: VideoFeatures


@torch.no_grad()
def best_of_videos(
    index: OpenIndex, model: Model, texts: TextFeatures, *, num_kept: int = NUM_KEPT, num_features: int | None = None
) -> BestSegments:
    """Compare a text with all segments of an index (of a large one those that a first cut keeps), and take the best.

    Args:
        index: The index.
        model: The model that made it.
        texts: Features of one text.
        num_kept: How many segments the first cut of a large index keeps.
        num_features: Of how many of the best the features are given; None gives all.

    Raises:
        ValueError: If another model made the index.
    """
    index.gallery.accept(model)
    features = None
    if index.vectors is None:
        segments = torch.arange(len(index.start_seconds))
        similarity = index.gallery.similarity(model, texts)[0].cpu()
    else:
        segments = first_cut(model, texts, index.vectors, num_kept)[0].sort().values
        features = index.features_of(segments)
        similarity = model.similarity(texts, VideoFeatures(*(part.to(model.device) for part in features)))[0].cpu()
    videos, video_of_segment = index.video_of_segment[segments].unique(return_inverse=True)
    best = best_segments(similarity, video_of_segment, len(videos))
    best = best[similarity[best].sort(descending=True, stable=True).indices]
    first = best[:num_features]
    chosen = index.features_of(segments[first]) if features is None else [part[first] for part in features]
    on_device = VideoFeatures(*(part.to(model.device) for part in chosen))
    return BestSegments(segments[best], similarity[best], on_device)


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
