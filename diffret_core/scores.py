"""Scores of many queries at once: compared, then generated for, dealt out to the processes that torchrun started."""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.candidates import top_candidates
from diffret_core.config import DIRECTIONS, Direction, ScoringConfig
from diffret_core.feature_checks import check_texts, check_videos
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.metrics import best_in_group, shifted_captions
from diffret_core.prepared import generate_all
from diffret_core.processes import all_shares, own_share, share_size
from diffret_core.ranking import combined_scores, generator_scores
from diffret_core.retriever import Generated, Progress, Retriever

MetricRules = Literal["corrected", "reference"]
METHODS = ("similarity", "generator", "combined")


class DirectionScores(NamedTuple):
    """What both parts of the model say in one direction.

    Attributes:
        similarity: S, or its transpose for video queries.
        generated: Candidates and samples of every query.
    """

    similarity: Float[Tensor, "Q V"]
    generated: Generated


Scores = dict[Direction, DirectionScores]


@torch.no_grad()
def score_all(
    model: Retriever,
    texts: TextFeatures,
    videos: VideoFeatures,
    *,
    similarity: Float[Tensor, "T V"] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    comparing: Progress | None = None,
) -> Scores:
    """Let every text ask for videos and every video for texts.

    Of several processes each compares and generates for its share of the queries, and all get all scores: those of one
    process, up to rounding, because every query has noise of its own. So all processes have to call this.

    Args:
        model: The model.
        texts: Features of all texts, on the model's device.
        videos: Features of all videos, on the model's device.
        similarity: S of them where it is known already: another seed changes only what is generated.
        seed: Seed of the sampling noise.
        progress: Called with the number of queries done and of all queries, of both directions, in this process.
        comparing: Called before that, with the number of texts compared with all videos and of all texts.

    Returns:
        Scores of both directions.

    Raises:
        ValueError: Before any work, if the features are none that the model could have given.
    """
    check_texts(texts, model.config.dim)
    check_videos(videos, model.config.dim)
    if similarity is None:
        similarity = compare(model, texts, videos, progress=comparing)
    num_queries, num_done = sum(map(share_size, similarity.shape)), 0
    scores: Scores = {}
    for direction, rows in zip(DIRECTIONS, (similarity, similarity.T), strict=True):
        listen = _counting_on(progress, num_done, num_queries)
        queries = torch.arange(len(rows), device=rows.device)
        generated = generate(model, direction, texts, videos, rows, queries=queries, seed=seed, progress=listen)
        scores[direction] = DirectionScores(rows, generated)
        num_done += share_size(len(rows))
    return scores


@torch.no_grad()
def compare(
    model: Retriever, texts: TextFeatures, videos: VideoFeatures, *, progress: Progress | None = None
) -> Float[Tensor, "T V"]:
    """Compare all texts with all videos, each process a share of the texts; every process gets S.

    Args:
        model: The model.
        texts: Features of all texts.
        videos: Features of all videos.
        progress: Called with the number of texts that this process has compared and will compare.
    """
    own = TextFeatures(*map(own_share, texts))
    return all_shares(model.similarity(own, videos, progress=progress), len(texts.words))


@torch.no_grad()
def generate(
    model: Retriever,
    direction: Direction,
    texts: TextFeatures,
    videos: VideoFeatures,
    rows: Float[Tensor, "B V"],
    *,
    queries: Int[Tensor, " B"],
    seed: int = 0,
    progress: Progress | None = None,
) -> Generated:
    """Generate for some queries, each process for a share of them; every process gets all of it.

    Args:
        model: The model.
        direction: Which side asks.
        texts: Features of all texts.
        videos: Features of all videos.
        rows: Similarity of all items to each query; it proposes the candidates.
        queries: Which texts (or videos) ask, one for each row.
        seed: Seed of the noise.
        progress: Called with the number of queries that this process has done and will do.
    """
    items = top_candidates(rows, model.config.scoring.num_candidates)
    own = own_share(items)
    done = generate_all(
        model,
        direction,
        texts,
        videos,
        own,
        queries=own_share(queries),
        similarity=own_share(rows.gather(1, items)),
        seed=seed,
        progress=progress,
    )
    return Generated(items, all_shares(done.sample, len(items)))


def method_scores(scores: DirectionScores, method: str, scoring: ScoringConfig) -> Float[Tensor, "Q V"]:
    """Score every item for every query by one method.

    Args:
        scores: What both parts of the model say in one direction.
        method: "similarity", "generator" (the candidates by what was generated, the others behind them) or
            "combined".
        scoring: Weight and temperature of the combined score.

    Raises:
        ValueError: If there is no such method.
    """
    similarity, (candidates, sample) = scores
    if method == "similarity":
        return similarity
    if method == "generator":
        return generator_scores(similarity, candidates, sample)
    if method == "combined":
        return combined_scores(similarity, candidates, sample, alpha=scoring.alpha, temperature=scoring.temperature)
    raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")


def item_scores(
    scores: DirectionScores,
    direction: Direction,
    method: str,
    video_of_text: Int[Tensor, " T"],
    scoring: ScoringConfig,
    *,
    rules: MetricRules = "corrected",
) -> Float[Tensor, "Q G"]:
    """Score what each query ranks: videos for a text; for a video the caption groups, each by its best caption.

    Args:
        scores: What both parts of the model say in this direction.
        direction: Which side asks.
        method: See `method_scores`.
        video_of_text: Which video each text of the gallery describes.
        scoring: Weight and temperature of the combined score.
        rules: See `evaluation.direction_ranks`.

    Raises:
        ValueError: If there is no such method.
    """
    score = method_scores(scores, method, scoring)
    if direction == "text_to_video":
        return score
    if shifts_captions(video_of_text, rules):
        return best_in_group(*shifted_captions(score.T, video_of_text))
    return best_in_group(score.T, video_of_text)


def shifts_captions(video_of_text: Int[Tensor, " T"], rules: MetricRules) -> bool:
    """Whether captions go to the next video: by the released rules, where a video has several."""
    return rules == "reference" and len(video_of_text) > int(video_of_text.max()) + 1


def _counting_on(progress: Progress | None, num_before: int, num_queries: int) -> Progress | None:
    """Report the queries of one direction as a part of all queries."""
    return None if progress is None else lambda done, _: progress(num_before + done, num_queries)
