"""Evaluation: both directions, by similarity, by the generator and by both together; SPEC section 11."""

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.candidates import top_candidates
from diffret_core.config import DIRECTIONS, Direction, ScoringConfig
from diffret_core.feature_checks import check_texts, check_videos
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.metrics import (
    best_in_group,
    bootstrap_interval,
    paired_bootstrap_interval,
    retrieval_metrics,
    target_ranks,
)
from diffret_core.prepared import generate_all
from diffret_core.randomness import numpy_generator
from diffret_core.ranking import combined_scores, generator_scores
from diffret_core.retriever import Generated, Progress, Retriever

METHODS = ("similarity", "generator", "combined")

ALPHAS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
TEMPERATURES = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


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
    seed: int = 0,
    progress: Progress | None = None,
    comparing: Progress | None = None,
) -> Scores:
    """Let every text ask for videos and every video for texts.

    Args:
        model: The model.
        texts: Features of all texts, on the model's device.
        videos: Features of all videos, on the model's device.
        seed: Seed of the sampling noise.
        progress: Called with the number of queries done and of all queries, of both directions.
        comparing: Called before that, with the number of texts compared with all videos and of all texts.

    Returns:
        Scores of both directions.

    Raises:
        ValueError: Before any work, if the features are none that the model could have given.
    """
    check_texts(texts, model.config.dim)
    check_videos(videos, model.config.dim)
    similarity = model.similarity(texts, videos, progress=comparing)
    num_queries, num_done = sum(similarity.shape), 0
    scores: Scores = {}
    for direction, rows in zip(DIRECTIONS, (similarity, similarity.T), strict=True):
        items = top_candidates(rows, model.config.scoring.num_candidates)
        listen = _counting_on(progress, num_done, num_queries)
        scores[direction] = DirectionScores(
            rows, generate_all(model, direction, texts, videos, items, seed=seed, progress=listen)
        )
        num_done += len(rows)
    return scores


def _counting_on(progress: Progress | None, num_before: int, num_queries: int) -> Progress | None:
    """Report the queries of one direction as a part of all queries."""
    return None if progress is None else lambda done, _: progress(num_before + done, num_queries)


def direction_ranks(
    scores: Scores, direction: Direction, method: str, video_of_text: Int[Tensor, " T"], scoring: ScoringConfig
) -> Int[Tensor, " Q"]:
    """Rank each query's target by one method; an equal score counts against it.

    A text looks for its video. A video looks for its captions: with several per video each caption group scores what
    its best caption scores.

    Args:
        scores: From `score_all`.
        direction: Which side asks.
        method: "similarity", "generator" (the candidates by what was generated, the others behind them) or
            "combined".
        video_of_text: Which video each text describes.
        scoring: Weight and temperature of the combined score.

    Raises:
        ValueError: If there is no such method.
    """
    similarity, generated = scores[direction]
    if method == "similarity":
        score = similarity
    elif method == "generator":
        score = generator_scores(similarity, generated.candidates, generated.sample)
    elif method == "combined":
        score = combined_scores(
            similarity,
            generated.candidates,
            generated.sample,
            alpha=scoring.alpha,
            temperature=scoring.temperature,
        )
    else:
        raise ValueError(f"method is {method!r}; it must be one of {', '.join(METHODS)}")
    if direction == "text_to_video":
        return target_ranks(score, video_of_text)
    return target_ranks(best_in_group(score.T, video_of_text), torch.arange(score.shape[0], device=score.device))


def evaluate(
    scores: Scores, video_of_text: Int[Tensor, " T"], scoring: ScoringConfig, *, seed: int = 0
) -> dict[str, dict[str, dict[str, Any]]]:
    """Give all metrics of both directions and all three methods, with a 95 % interval of R@1.

    Args:
        scores: From `score_all`.
        video_of_text: Which video each text describes.
        scoring: Weight and temperature of the combined score.
        seed: Seed of the bootstrap.

    Returns:
        metrics[direction][method], with the keys R@1, R@5, R@10, median_rank, mean_rank, R@1_interval and gallery_size
        (the videos, or the texts, that were ranked); for "combined" also what it gains over the similarity, query by
        query: R@1_gain and R@1_gain_interval.
    """
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for direction in DIRECTIONS:
        ranks = {method: direction_ranks(scores, direction, method, video_of_text, scoring) for method in METHODS}
        result[direction] = {}
        for method in METHODS:
            draw = numpy_generator(seed, f"bootstrap {direction}")
            interval = list(bootstrap_interval(ranks[method], draw))
            result[direction][method] = {
                **retrieval_metrics(ranks[method]),
                "R@1_interval": interval,
                "gallery_size": scores[direction].similarity.shape[1],
            }
        combined, similarity = (result[direction][method] for method in ("combined", "similarity"))
        draw = numpy_generator(seed, f"paired bootstrap {direction}")
        combined["R@1_gain"] = combined["R@1"] - similarity["R@1"]
        combined["R@1_gain_interval"] = list(paired_bootstrap_interval(ranks["combined"], ranks["similarity"], draw))
    return result


def choose_scoring(scores: Scores, video_of_text: Int[Tensor, " T"], scoring: ScoringConfig) -> ScoringConfig:
    """Choose weight and temperature of the generated probability in the combined score on a validation split.

    Tries all `ALPHAS` with all `TEMPERATURES` and takes the pair with the best R@1, averaged over both directions; the
    lower mean rank decides between equals.

    Args:
        scores: Of the validation split, from `score_all`.
        video_of_text: Which video each text describes.
        scoring: The settings of which alpha and temperature are changed.
    """

    def quality(trial: ScoringConfig) -> tuple[float, float]:
        found = [
            retrieval_metrics(direction_ranks(scores, direction, "combined", video_of_text, trial))
            for direction in DIRECTIONS
        ]
        return sum(one["R@1"] for one in found), -sum(one["mean_rank"] for one in found)

    trials = [
        replace(scoring, alpha=alpha, temperature=temperature) for alpha in ALPHAS for temperature in TEMPERATURES
    ]
    return max(trials, key=quality)
