"""Metrics of a published similarity matrix: the figures in shared/README.md, and what our tie rule makes of them."""

import numpy as np
import pytest
import torch

from diffret_core.metrics import best_in_group, bootstrap_interval, retrieval_metrics, target_ranks
from diffret_core.randomness import numpy_generator


@pytest.fixture(scope="module")
def similarity(shared_folder):
    """1000 texts by 1000 videos of MSR-VTT 1k-A."""
    return torch.from_numpy(np.load(shared_folder / "real_values" / "msrvtt_1ka_similarity.npy"))


def figures(score, ties):
    metrics = retrieval_metrics(target_ranks(score, torch.arange(len(score)), ties=ties))
    return {name: round(value, 3) for name, value in metrics.items()}


def test_text_to_video_figures_are_the_published_ones(similarity):
    expected = {"R@1": 48.0, "R@5": 71.3, "R@10": 81.4, "median_rank": 2.0, "mean_rank": 13.649}
    assert figures(similarity, "optimistic") == expected


def test_video_to_text_figures_are_the_published_ones_with_the_optimistic_rule(similarity):
    metrics = figures(similarity.T, "optimistic")
    assert (metrics["R@1"], metrics["R@5"], metrics["R@10"]) == (46.9, 74.9, 83.7)
    assert metrics["mean_rank"] == 9.779


def test_video_to_text_figures_are_lower_where_an_equal_score_counts_against_the_target(similarity):
    metrics = figures(similarity.T, "pessimistic")
    assert (metrics["R@1"], metrics["mean_rank"]) == (46.5, 9.791)
    grouped = best_in_group(similarity, torch.arange(1000))
    assert figures(grouped, "pessimistic") == metrics


def test_released_rule_adds_twelve_ranks_for_the_twelve_ties(similarity):
    assert len(target_ranks(similarity.T, torch.arange(1000), ties="released")) == 1012


def test_interval_of_r_at_1_is_about_three_points_either_way(similarity):
    ranks = target_ranks(similarity, torch.arange(1000))
    low, high = bootstrap_interval(ranks, numpy_generator(0, "test bootstrap"))
    assert low == pytest.approx(48.0 - 3.1, abs=0.3)
    assert high == pytest.approx(48.0 + 3.1, abs=0.3)
