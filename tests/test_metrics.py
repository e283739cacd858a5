"""One rank per query, its summaries and intervals, against worked figures and a literal second implementation."""

import importlib
import inspect

import numpy as np
import pytest
import torch

from diffret_core.metrics import (
    best_in_group,
    bootstrap_interval,
    paired_bootstrap_interval,
    paired_bootstrap_interval_over_seeds,
    retrieval_metrics,
    shifted_captions,
    target_ranks,
)
from diffret_core.randomness import generator, numpy_generator

RULES = ["pessimistic", "optimistic", "released"]


def random_scores(num_queries, num_items, *, item=0):
    source = generator(0, "test scores", item)
    score = torch.randn(num_queries, num_items, generator=source)
    target = torch.randint(num_items, (num_queries,), generator=source)
    return score, target


def ranks_by_walking(score, target):
    """Independent reference: walk each row from its best item until nothing as good as the target is left."""
    ranks = []
    for row, column in zip(score.tolist(), target.tolist(), strict=True):
        others = row[:column] + row[column + 1 :]
        ranks.append(1 + len([value for value in others if not value < row[column]]))
    return ranks


def test_target_ranks_match_a_matrix_worked_by_hand():
    score = torch.tensor([[0.9, 0.1, 0.5], [0.2, 0.3, 0.4], [0.7, 0.7, 0.7]])
    target = torch.tensor([0, 0, 2])
    assert target_ranks(score, target).tolist() == [1, 3, 3]
    assert target_ranks(score, target, ties="optimistic").tolist() == [1, 3, 1]
    assert target_ranks(score, target, ties="released").tolist() == [1, 3, 1, 2, 3]


def test_released_rule_gives_half_of_three_queries_as_hits_where_one_tie_adds_a_rank():
    score = torch.tensor([[0.9, 0.1, 0.5], [0.6, 0.6, 0.2], [0.8, 0.1, 0.4]])
    target = torch.arange(3)
    released = target_ranks(score, target, ties="released")
    assert released.tolist() == [1, 1, 2, 2]  # four ranks of three queries
    assert retrieval_metrics(released)["R@1"] == 50.0
    assert retrieval_metrics(target_ranks(score, target))["R@1"] == pytest.approx(100 / 3)


def test_target_ranks_match_a_walk_over_rows_with_many_ties():
    score, target = random_scores(40, 25)
    score = (2 * score).round()
    assert target_ranks(score, target).tolist() == ranks_by_walking(score, target)


def test_rules_agree_when_no_score_is_tied():
    score, target = random_scores(30, 12)
    pessimistic, optimistic, released = (target_ranks(score, target, ties=rule).tolist() for rule in RULES)
    assert pessimistic == optimistic == released


def test_constant_scores_earn_nothing_under_the_pessimistic_rule():
    score, target = torch.zeros(5, 8), torch.arange(5)
    assert target_ranks(score, target).tolist() == [8] * 5
    assert target_ranks(score, target, ties="optimistic").tolist() == [1] * 5


@pytest.mark.parametrize("ties", RULES)
def test_ranks_do_not_depend_on_the_order_of_the_gallery(ties):
    score, target = random_scores(17, 30)
    score = score.round(decimals=1)
    shuffle = torch.randperm(30, generator=generator(0, "test shuffle"))
    place = shuffle.argsort()
    expected = target_ranks(score, target, ties=ties)
    assert target_ranks(score[:, shuffle], place[target], ties=ties).equal(expected)


@pytest.mark.parametrize("ties", RULES)
def test_ranks_do_not_change_when_each_row_is_mapped_by_an_increasing_function(ties):
    score, target = random_scores(17, 30)
    slope = torch.rand(17, 1, generator=generator(0, "test slope")) + 0.5
    mapped = torch.exp(slope.double() * score.double()) - 3
    assert target_ranks(mapped, target, ties=ties).equal(target_ranks(score, target, ties=ties))


@pytest.mark.parametrize(("num_queries", "num_items"), [(3, 50), (50, 3), (1, 1)])
def test_target_ranks_accept_galleries_of_another_size_than_the_queries(num_queries, num_items):
    score, target = random_scores(num_queries, num_items)
    assert target_ranks(score, target).tolist() == ranks_by_walking(score, target)


@pytest.mark.parametrize("ties", RULES)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_target_ranks_refuse_scores_that_are_not_finite(ties, value):
    score = torch.zeros(3, 4)
    score[1, 2] = value
    with pytest.raises(ValueError, match=r"score\[1, 2\] is .*must be finite"):
        target_ranks(score, torch.zeros(3, dtype=torch.long), ties=ties)


@pytest.mark.parametrize("column", [-1, 4])
def test_target_ranks_refuse_a_target_outside_the_gallery(column):
    with pytest.raises(ValueError, match=rf"query 2 has target {column}, expected 0 to 3"):
        target_ranks(torch.zeros(3, 4), torch.tensor([0, 1, column]))


def test_target_ranks_refuse_an_unknown_rule_and_shapes_that_do_not_fit_without_a_type_checker():
    unchecked = inspect.unwrap(target_ranks)  # as users call it: the tests' shape check would refuse these first
    with pytest.raises(ValueError, match="'lucky', expected"):
        unchecked(torch.zeros(1, 2), torch.zeros(1, dtype=torch.long), ties="lucky")
    with pytest.raises(ValueError, match=r"target has shape \(2,\) for 3 queries"):
        unchecked(torch.zeros(3, 4), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match=r"score has shape \(4,\)"):
        unchecked(torch.zeros(4), torch.zeros(1, dtype=torch.long))


def test_target_ranks_refuse_an_empty_gallery():
    with pytest.raises(ValueError, match="at least one of each"):
        target_ranks(torch.zeros(2, 0), torch.zeros(2, dtype=torch.long))


def test_retrieval_metrics_match_figures_worked_by_hand():
    expected = {"R@1": 25.0, "R@5": 50.0, "R@10": 75.0, "median_rank": 6.0, "mean_rank": 7.0}
    assert retrieval_metrics(torch.tensor([10, 1, 15, 2])) == expected
    assert retrieval_metrics(torch.tensor([7, 1, 5]))["median_rank"] == 5.0


@pytest.mark.parametrize("depth", [1, 5, 10])
def test_recall_matches_the_hit_rate_of_torchmetrics(depth):
    importlib.import_module("diffret_core.torchvision_operators")  # torchmetrics imports torchvision
    retrieval = pytest.importorskip("torchmetrics.retrieval")
    score, target = random_scores(60, 40)
    query = torch.arange(60)[:, None].expand_as(score)
    relevant = torch.arange(40) == target[:, None]
    hit_rate = retrieval.RetrievalHitRate(top_k=depth)(score.flatten(), relevant.flatten(), indexes=query.flatten())
    recall = retrieval_metrics(target_ranks(score, target))[f"R@{depth}"]
    assert recall == pytest.approx(100 * float(hit_rate), abs=1e-4)
    assert 0 < recall < 100


@pytest.mark.parametrize("ranks", [[], [0, 1]])
def test_retrieval_metrics_refuse_ranks_that_are_none(ranks):
    with pytest.raises(ValueError, match="rank"):
        retrieval_metrics(torch.tensor(ranks, dtype=torch.long))


def test_bootstrap_interval_matches_a_literal_resampling_of_queries():
    ranks = torch.tensor([1] * 23 + [4] * 27)
    interval = bootstrap_interval(ranks, numpy_generator(0, "test bootstrap"), num_resamples=40_000)
    drawn = numpy_generator(1, "test bootstrap").integers(50, size=(40_000, 50))
    recall = 100 * (ranks.numpy()[drawn] == 1).mean(axis=1)
    np.testing.assert_allclose(interval, np.percentile(recall, [2.5, 97.5]), atol=1e-9)
    # by hand, with n = 50 and p = 0.46: P(X <= 15, 16, 29, 30) = 0.0156, 0.0313, 0.9673, 0.9833
    assert interval == pytest.approx((32.0, 60.0))


def test_bootstrap_interval_is_two_standard_errors_wide_on_either_side():
    ranks = torch.tensor([1] * 480 + [2] * 520)  # SPEC section 11: one standard error is 1.6 points
    low, high = bootstrap_interval(ranks, numpy_generator(0, "test bootstrap"), num_resamples=20_000)
    assert low == pytest.approx(48 - 1.96 * 1.58, abs=0.15)
    assert high == pytest.approx(48 + 1.96 * 1.58, abs=0.15)


def test_bootstrap_interval_is_the_same_for_the_same_generator_and_has_no_width_without_variation():
    ranks = torch.tensor([1, 2, 3, 1, 9])
    first, second = (bootstrap_interval(ranks, numpy_generator(3, "test bootstrap")) for _ in range(2))
    assert first == second
    assert bootstrap_interval(torch.tensor([2, 3]), numpy_generator(0, "test bootstrap")) == (0.0, 0.0)


def test_bootstrap_interval_refuses_no_resamples():
    with pytest.raises(ValueError, match="num_resamples is 0"):
        bootstrap_interval(torch.tensor([1, 2]), numpy_generator(0, "test bootstrap"), num_resamples=0)


def test_paired_interval_matches_a_literal_resampling_of_pairs():
    ranks_a = torch.tensor([1] * 30 + [2] * 20)
    ranks_b = torch.tensor([1] * 21 + [5] * 25 + [1] * 4)
    interval = paired_bootstrap_interval(ranks_a, ranks_b, numpy_generator(0, "test pairs"), num_resamples=40_000)
    drawn = numpy_generator(1, "test pairs").integers(50, size=(40_000, 50))
    difference = (ranks_a.numpy()[drawn] == 1).mean(axis=1) - (ranks_b.numpy()[drawn] == 1).mean(axis=1)
    np.testing.assert_allclose(interval, 100 * np.percentile(difference, [2.5, 97.5]), atol=1e-9)


def test_paired_interval_excludes_zero_although_the_separate_intervals_overlap():
    ranks_a = torch.tensor([1] * 500 + [2] * 500)
    ranks_b = torch.tensor([1] * 480 + [2] * 520)  # b fails wherever a fails, and 20 times more
    low_a, _ = bootstrap_interval(ranks_a, numpy_generator(0, "a"))
    _, high_b = bootstrap_interval(ranks_b, numpy_generator(0, "b"))
    low, high = paired_bootstrap_interval(ranks_a, ranks_b, numpy_generator(0, "pairs"))
    assert low_a < high_b
    assert 0 < low < 2 < high


def test_paired_interval_refuses_different_numbers_of_ranks():
    with pytest.raises(ValueError, match="2 ranks are paired with 3"):
        paired_bootstrap_interval(torch.tensor([1, 2]), torch.tensor([1, 2, 3]), numpy_generator(0, "pairs"))


def test_best_in_group_takes_each_videos_best_caption_wherever_it_stands():
    score = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.4]])
    assert best_in_group(score, torch.tensor([0, 1, 0])).tolist() == score.new_tensor([[0.3, 0.8], [0.9, 0.2]]).tolist()


def test_best_in_group_matches_a_loop_over_groups_and_keeps_scores_below_zero():
    score, video_of_text = random_scores(60, 7)
    video_of_text[:5] = torch.arange(5)
    video_of_text.clamp_(max=4)  # seven query videos, five of them with captions
    score = score - 100
    best = best_in_group(score, video_of_text)
    expected = torch.stack([score[video_of_text == group].max(dim=0).values for group in range(5)], dim=1)
    assert best.equal(expected)


def test_best_in_group_is_the_transpose_when_every_video_has_one_caption():
    score, _ = random_scores(6, 6)
    assert best_in_group(score, torch.arange(6)).equal(score.T)


@pytest.mark.parametrize(
    ("video_of_text", "message"), [([0, 0, 2], "video 1 has no caption"), ([0, -1, 1], "holds -1")]
)
def test_best_in_group_refuses_groups_that_do_not_fit(video_of_text, message):
    with pytest.raises(ValueError, match=message):
        best_in_group(torch.zeros(3, 3), torch.tensor(video_of_text))


def test_best_in_group_refuses_another_number_of_captions():
    with pytest.raises(ValueError, match=r"shape \(2,\) for 3 rows"):
        inspect.unwrap(best_in_group)(torch.zeros(3, 2), torch.tensor([0, 1]))


def test_best_in_group_refuses_a_score_that_is_not_finite():
    with pytest.raises(ValueError, match=r"score\[2, 0\] is nan"):
        best_in_group(torch.tensor([[0.0], [1.0], [torch.nan]]), torch.tensor([0, 0, 0]))


def test_released_grouping_gives_each_last_caption_to_the_next_video():
    score = torch.arange(12.0).view(6, 2)
    shifted, video_of_text = shifted_captions(score, torch.tensor([0, 0, 1, 2, 2, 2]))
    assert video_of_text.tolist() == [0, 1, 2, 2, 2]  # the second caption counts for video 1, the third for video 2
    assert shifted.equal(score[:-1])  # the last one of all for none


def test_released_grouping_lists_captions_video_by_video():
    score = torch.arange(5.0)[:, None]
    shifted, video_of_text = shifted_captions(score, torch.tensor([1, 0, 1, 0, 0]))
    assert shifted.flatten().tolist() == [1, 3, 4, 0]  # captions 1, 3, 4 of video 0, then 0 and 2 of video 1
    assert video_of_text.tolist() == [0, 0, 1, 1]


def test_released_grouping_costs_hits_where_each_last_caption_is_scored_against_the_next_video():
    num_videos, num_captions = 30, 4
    video_of_text = torch.arange(num_videos).repeat_interleave(num_captions)
    score = torch.eye(num_videos)[video_of_text] + 0.01 * random_scores(num_videos * num_captions, num_videos)[0]
    shifted, slipped = shifted_captions(score, video_of_text)
    # as released: every boundary between videos lies one caption early, and the last caption of all is dropped
    assert slipped.equal((torch.arange(num_videos * num_captions - 1) + 1).div(num_captions, rounding_mode="floor"))
    ours = retrieval_metrics(target_ranks(score, video_of_text))
    released = retrieval_metrics(target_ranks(shifted, slipped))
    assert (ours["R@1"], ours["mean_rank"]) == (100.0, 1.0)
    assert released["R@1"] == pytest.approx(100 * (1 - 29 / 119))  # 29 of 119 captions have the wrong target
    assert released["mean_rank"] > 3
    videos = torch.arange(num_videos)
    assert retrieval_metrics(target_ranks(best_in_group(score, video_of_text), videos))["R@1"] == 100.0
    assert retrieval_metrics(target_ranks(best_in_group(shifted, slipped), videos))["R@1"] < 90


def test_interval_over_seeds_is_that_of_one_seed_where_all_agree():
    ranks_a, ranks_b = (torch.randint(1, 4, (80,), generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    one = paired_bootstrap_interval(ranks_a, ranks_b, numpy_generator(0, "seeds"))
    thrice = (torch.stack([ranks] * 3) for ranks in (ranks_a, ranks_b))
    assert paired_bootstrap_interval_over_seeds(*thrice, numpy_generator(0, "seeds")) == pytest.approx(one)
    as_queries = (torch.cat([ranks] * 3) for ranks in (ranks_a, ranks_b))
    low, high = paired_bootstrap_interval(*as_queries, numpy_generator(0, "seeds"))
    assert high - low < 0.7 * (one[1] - one[0])  # what counting each seed's queries as others would claim


def test_interval_over_seeds_matches_a_literal_resampling_of_queries():
    draw = torch.Generator().manual_seed(3)
    ranks_a, ranks_b = (torch.randint(1, 3, (2, 60), generator=draw) for _ in range(2))
    found = paired_bootstrap_interval_over_seeds(ranks_a, ranks_b, numpy_generator(0, "seeds"), num_resamples=40_000)
    difference = 100 * ((ranks_a == 1).double().mean(0) - (ranks_b == 1).double().mean(0)).numpy()
    drawn = numpy_generator(1, "seeds").integers(60, size=(40_000, 60))
    assert found == pytest.approx(np.percentile(difference[drawn].mean(axis=1), [2.5, 97.5]), abs=1.0)


def test_end_of_an_interval_over_three_seeds_that_is_nothing_is_exactly_nothing():
    draw, ends = torch.Generator().manual_seed(5), []
    for _ in range(300):
        ranks = torch.randint(1, 3, (2, 3, 30), generator=draw)
        ends += paired_bootstrap_interval_over_seeds(*ranks, numpy_generator(0, "seeds"), num_resamples=201)
    assert 0.0 in ends and not [end for end in ends if 0 < abs(end) < 1e-6]


def test_interval_over_seeds_refuses_other_seeds():
    with pytest.raises((ValueError, TypeError), match=r"\(2, 3\)|ranks_b"):
        ranks = torch.ones(2, 3, dtype=torch.long)
        paired_bootstrap_interval_over_seeds(ranks, ranks[:1], numpy_generator(0, "seeds"))
