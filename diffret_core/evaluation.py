"""Evaluation: both directions, by similarity, by the generator and by both together; SPEC sections 11, 12 and 14."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.config import DIRECTIONS, Direction, ScoringConfig
from diffret_core.metrics import (
    TieRule,
    best_in_group,
    bootstrap_interval,
    paired_bootstrap_interval,
    retrieval_metrics,
    shifted_captions,
    target_ranks,
)
from diffret_core.normalisation import QueryBank, dual_softmax_scores, querybank_scores
from diffret_core.randomness import numpy_generator
from diffret_core.scores import METHODS, DirectionScores, MetricRules, Scores, item_scores, shifts_captions

NORMALISED = ("similarity", "combined")
"""Methods whose scores can be normalised; the generator's are places."""
QUERY_BANK, DUAL_SOFTMAX = "QB-norm", "dual softmax"

ALPHAS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
TEMPERATURES = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_TIES: dict[MetricRules, TieRule] = {"corrected": "pessimistic", "reference": "released"}


class Normalisation(NamedTuple):
    """What scores are normalised with, in rows of their own.

    Attributes:
        beta: Inverse temperature.
        banks: Banks of queries by direction and method; a direction without any has no such rows.
    """

    beta: float
    banks: Mapping[Direction, Mapping[str, QueryBank]]


def direction_ranks(
    scores: Scores,
    direction: Direction,
    method: str,
    video_of_text: Int[Tensor, " T"],
    scoring: ScoringConfig,
    *,
    rules: MetricRules = "corrected",
) -> Int[Tensor, " R"]:
    """Rank each query's target by one method.

    A text looks for its video. A video looks for its captions: with several per video each caption group scores what
    its best caption scores.

    Args:
        scores: From `score_all`.
        direction: Which side asks.
        method: "similarity", "generator" (the candidates by what was generated, the others behind them) or
            "combined".
        video_of_text: Which video each text describes.
        scoring: Weight and temperature of the combined score.
        rules: "corrected": one rank per query, an equal score counts against the target. "reference": as the released
            code counts, a rank for every place that holds the target's score, and, where videos have several
            captions, `shifted_captions`.

    Raises:
        ValueError: If there is no such method.
    """
    items = item_scores(scores[direction], direction, method, video_of_text, scoring, rules=rules)
    return _ranks(items, direction, video_of_text, rules)


def ranks_of_rows(
    scores: Scores,
    direction: Direction,
    video_of_text: Int[Tensor, " T"],
    scoring: ScoringConfig,
    *,
    rules: MetricRules = "corrected",
    normalisation: Normalisation | None = None,
) -> dict[str, Int[Tensor, " R"]]:
    """Rank each query's target by every method, and by what `normalisation` adds: the rows of `evaluate`, by name."""
    rows = _rows(scores[direction], direction, video_of_text, scoring, rules=rules, normalisation=normalisation)
    return {name: _ranks(items, direction, video_of_text, rules) for name, items in rows}


def similarity_ranks(
    similarity: Float[Tensor, "T V"], direction: Direction, video_of_text: Int[Tensor, " T"]
) -> Int[Tensor, " R"]:
    """Rank each query's target by the similarity alone, where no generator is at hand; as `direction_ranks` does."""
    items = similarity if direction == "text_to_video" else best_in_group(similarity, video_of_text)
    return _ranks(items, direction, video_of_text, "corrected")


def evaluate(
    scores: Scores,
    video_of_text: Int[Tensor, " T"],
    scoring: ScoringConfig,
    *,
    seed: int = 0,
    rules: MetricRules = "corrected",
    normalisation: Normalisation | None = None,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Give all metrics of both directions and all three methods, with a 95 % interval of R@1.

    Args:
        scores: From `score_all`.
        video_of_text: Which video each text describes.
        scoring: Weight and temperature of the combined score.
        seed: Seed of the bootstrap.
        rules: How ranks are counted; see `direction_ranks`.
        normalisation: Adds rows with normalised scores behind those of the three methods: "similarity + QB-norm",
            "combined + QB-norm" where there is a bank, and the same with "dual softmax", which are marked
            "transductive": they use the other test queries, and compare with no other row.

    Returns:
        metrics[direction][method], with the keys R@1, R@5, R@10, median_rank, mean_rank, R@1_interval and gallery_size
        (the videos, or the texts, that were ranked); under the corrected rules for "combined" also what it gains over
        the similarity, query by query: R@1_gain and R@1_gain_interval.
    """
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for direction in DIRECTIONS:
        ranks = ranks_of_rows(scores, direction, video_of_text, scoring, rules=rules, normalisation=normalisation)
        result[direction] = {}
        for name in sorted(ranks, key=lambda name: name not in METHODS):  # the methods themselves first
            draw = numpy_generator(seed, f"bootstrap {direction}")
            result[direction][name] = {
                **retrieval_metrics(ranks[name]),
                "R@1_interval": list(bootstrap_interval(ranks[name], draw)),
                "gallery_size": scores[direction].similarity.shape[1],
                **({"transductive": True} if name.endswith(DUAL_SOFTMAX) else {}),
            }
        if rules == "corrected":  # the other rules give more ranks than queries: there are no pairs
            combined, similarity = (result[direction][method] for method in ("combined", "similarity"))
            draw = numpy_generator(seed, f"paired bootstrap {direction}")
            interval = paired_bootstrap_interval(ranks["combined"], ranks["similarity"], draw)
            combined["R@1_gain"] = combined["R@1"] - similarity["R@1"]
            combined["R@1_gain_interval"] = list(interval)
    return result


def over_seeds(
    scores_of_seeds: Sequence[Scores],
    video_of_text: Int[Tensor, " T"],
    scoring: ScoringConfig,
    *,
    rules: MetricRules = "corrected",
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Give the mean and the spread of the metrics over seeds of the sampling noise, of what is generated.

    Args:
        scores_of_seeds: From `score_all` with different seeds, at least two.
        video_of_text: Which video each text describes.
        scoring: Weight and temperature of the combined score.
        rules: How ranks are counted; see `direction_ranks`.

    Returns:
        found[direction][method]["mean"] and ["spread"] (standard deviation, of a sample) of R@1, R@5, R@10,
        median_rank and mean_rank, for "generator" and "combined".

    Raises:
        ValueError: If there are fewer than two seeds.
    """
    if len(scores_of_seeds) < 2:
        raise ValueError(f"{len(scores_of_seeds)} seeds have no spread; give the scores of at least 2")
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {direction: {} for direction in DIRECTIONS}
    for direction in DIRECTIONS:
        for method in ("generator", "combined"):
            metrics = [
                retrieval_metrics(direction_ranks(scores, direction, method, video_of_text, scoring, rules=rules))
                for scores in scores_of_seeds
            ]
            values = {name: [one[name] for one in metrics] for name in metrics[0]}
            found[direction][method] = {
                "mean": {name: statistics.fmean(value) for name, value in values.items()},
                "spread": {name: statistics.stdev(value) for name, value in values.items()},
            }
    return found


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


def _rows(
    scores: DirectionScores,
    direction: Direction,
    video_of_text: Tensor,
    scoring: ScoringConfig,
    *,
    rules: MetricRules,
    normalisation: Normalisation | None,
) -> Iterator[tuple[str, Tensor]]:
    """Give each row's name and scores, one after the other: all at once would be large."""
    for method in METHODS:
        items = item_scores(scores, direction, method, video_of_text, scoring, rules=rules)
        yield method, items
        if normalisation is not None and method in NORMALISED:
            bank = normalisation.banks.get(direction, {}).get(method)
            if bank is not None:
                yield f"{method} + {QUERY_BANK}", querybank_scores(items, bank)
            yield f"{method} + {DUAL_SOFTMAX}", dual_softmax_scores(items, beta=normalisation.beta)


def _ranks(items: Tensor, direction: Direction, video_of_text: Tensor, rules: MetricRules) -> Tensor:
    target = video_of_text if direction == "text_to_video" else torch.arange(len(items), device=items.device)
    if direction == "text_to_video" and shifts_captions(video_of_text, rules):
        items, target = shifted_captions(items, video_of_text)
    return target_ranks(items, target, ties=_TIES[rules])
