"""Off the map: each score against its definition, each measure against an independent one and by its properties."""

import math

import pytest
import torch
from torch.nn.functional import kl_div
from torchmetrics.functional.classification import binary_auroc, binary_roc

from diffret_core import detection
from diffret_core.randomness import numpy_generator


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def drawn_scores(seed, *, num_matched=57, num_unmatched=43, rounded=False):
    matched, unmatched = drawn(num_matched, seed=seed), drawn(num_unmatched, seed=seed + 100) + 0.7
    return (matched.round(), unmatched.round()) if rounded else (matched, unmatched)


def of_all(matched, unmatched):
    """Scores of all queries, and 1 where a query is unmatched."""
    return torch.cat([matched, unmatched]), torch.cat([torch.zeros(len(matched)), torch.ones(len(unmatched))]).int()


# scores


def test_each_score_is_higher_where_nothing_stands_out():
    clear, unclear = torch.tensor([[0.9, 0.1, 0.0]]), torch.tensor([[0.4, 0.3, 0.3]])
    scores = [
        detection.low_maximum,
        detection.low_margin,
        lambda rows: detection.energy(rows, temperature=0.1),
        lambda rows: detection.low_softmax(rows, temperature=0.1),
        detection.entropy,
    ]
    assert all(float(score(clear)) < float(score(unclear)) for score in scores)


def test_scores_are_their_definitions():
    rows = drawn(4, 6)
    first, second = rows.sort(dim=1, descending=True).values[:, :2].T
    torch.testing.assert_close(detection.low_maximum(rows), -first)
    torch.testing.assert_close(detection.low_margin(rows), second - first)
    torch.testing.assert_close(
        detection.energy(rows, temperature=0.5), -0.5 * (rows / 0.5).exp().sum(dim=1).log(), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(
        detection.low_softmax(rows, temperature=0.5), -(rows / 0.5).softmax(dim=1).max(dim=1).values
    )


def test_item_that_is_absent_changes_no_score_of_similarities():
    rows = drawn(3, 5)
    with_absent = torch.cat([rows[:, :2], torch.full((3, 1), -torch.inf), rows[:, 2:]], dim=1)
    torch.testing.assert_close(detection.low_margin(with_absent), detection.low_margin(rows))
    for score in (detection.energy, detection.low_softmax):
        torch.testing.assert_close(score(with_absent, temperature=0.1), score(rows, temperature=0.1))


def test_entropy_runs_from_0_to_that_of_the_uniform_distribution():
    rows = torch.stack([torch.eye(8)[0], torch.full((8,), 1 / 8)])
    torch.testing.assert_close(detection.entropy(rows), torch.tensor([0.0, math.log(8)]))


def test_disagreement_is_the_mean_divergence_of_all_pairs_of_draws():
    draws = drawn(3, 4, 6).softmax(dim=-1)
    expected = torch.zeros(4)
    for one, other in ((draws[0], draws[1]), (draws[0], draws[2]), (draws[1], draws[2])):
        middle = ((one + other) / 2).log()
        for side in (one, other):
            expected += kl_div(middle, side, reduction="none").sum(dim=1) / 2 / 3
    torch.testing.assert_close(detection.disagreement(draws), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(detection.disagreement(draws[:1].expand(3, -1, -1)), torch.zeros(4), rtol=0, atol=1e-6)
    torch.testing.assert_close(detection.disagreement(torch.eye(2)[:, None]), torch.tensor([math.log(2)]))


def test_reconstruction_error_is_that_of_the_clamped_estimate():
    x_0, x_0_hat = torch.tensor([[1.0, 0.0]]), torch.tensor([[3.0, 0.5]])
    torch.testing.assert_close(detection.reconstruction_error(x_0, x_0_hat), torch.tensor([0.125]))


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(ValueError, match="no margin to a second; give at least two"):
        detection.low_margin(torch.ones(2, 1))
    with pytest.raises(ValueError, match="nothing to agree with; give at least two"):
        detection.disagreement(torch.ones(1, 2, 3))


# measures


@pytest.mark.parametrize("rounded", [False, True], ids=["distinct", "with ties"])
@pytest.mark.parametrize("seed", range(5))
def test_auroc_is_that_of_torchmetrics(seed, rounded):
    matched, unmatched = drawn_scores(seed, rounded=rounded)
    value, is_unmatched = of_all(matched, unmatched)
    expected = float(binary_auroc(torch.sigmoid(value.double()), is_unmatched))
    assert detection.auroc(matched, unmatched) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("rounded", [False, True], ids=["distinct", "with ties"])
@pytest.mark.parametrize("seed", range(5))
def test_false_positive_rate_is_that_of_torchmetrics(seed, rounded):
    matched, unmatched = drawn_scores(seed, rounded=rounded)
    value, is_unmatched = of_all(matched, unmatched)
    passed_wrongly, recalled, _ = binary_roc(torch.sigmoid(-value.double()), 1 - is_unmatched)
    expected = float(passed_wrongly[recalled >= 0.95 - 1e-6][0])
    assert detection.false_positive_rate(matched, unmatched) == pytest.approx(expected, abs=1e-6)


def test_measures_by_hand():
    matched, unmatched = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([3.0, 5.0])
    assert detection.auroc(matched, unmatched) == (2 + 0.5 + 4) / 8
    assert detection.threshold_at_recall(matched, recall=0.75) == 3.0
    assert detection.false_positive_rate(matched, unmatched, recall=0.75) == 0.5
    assert detection.false_positive_rate(matched, unmatched, recall=0.5) == 0.0


def test_only_the_order_of_scores_counts():
    matched, unmatched = drawn_scores(3, rounded=True)
    for bend in (lambda score: 5 * score - 2, lambda score: score.exp(), lambda score: score**3):
        assert detection.auroc(bend(matched), bend(unmatched)) == detection.auroc(matched, unmatched)
        assert detection.false_positive_rate(bend(matched), bend(unmatched)) == detection.false_positive_rate(
            matched, unmatched
        )


def test_turned_scores_and_exchanged_queries_give_the_complement():
    matched, unmatched = drawn_scores(4, rounded=True)
    auroc = detection.auroc(matched, unmatched)
    assert detection.auroc(-matched, -unmatched) == pytest.approx(1 - auroc)
    assert detection.auroc(unmatched, matched) == pytest.approx(1 - auroc)


def test_scores_that_are_all_equal_tell_nothing():
    same = torch.zeros(7)
    assert detection.auroc(same, same[:4]) == 0.5
    assert detection.false_positive_rate(same, same[:4]) == 1.0


def test_threshold_lets_the_recall_pass_and_none_lower_does():
    for number in (1, 19, 20, 21, 100):
        matched = drawn(number, seed=number)
        threshold = detection.threshold_at_recall(matched)
        assert (matched <= threshold).double().mean() >= 0.95
        assert (matched < threshold).double().mean() < 0.95


def test_resamples_are_measured_as_the_drawn_queries_are():
    matched, unmatched = drawn_scores(5, rounded=True)
    counts = [detection.resampled(len(one), numpy_generator(0, "test", len(one)), 20) for one in (matched, unmatched)]
    aurocs, rates = detection.detection_measures(matched, unmatched, *counts)
    assert (aurocs[0], rates[0]) == (
        detection.auroc(matched, unmatched),
        detection.false_positive_rate(matched, unmatched),
    )
    for number in range(20):
        own = [
            one.repeat_interleave(torch.from_numpy(count[number]))
            for one, count in zip((matched, unmatched), counts, strict=True)
        ]
        assert aurocs[number + 1] == pytest.approx(detection.auroc(*own))
        assert rates[number + 1] == pytest.approx(detection.false_positive_rate(*own))


def test_interval_holds_the_true_value_about_as_often_as_it_says():
    truth = 0.5 * (1 + math.erf(0.7 / 2))  # of two normal distributions, 0.7 apart
    held = 0
    for seed in range(100):
        matched, unmatched = drawn_scores(1000 + seed)
        counts = [
            detection.resampled(len(one), numpy_generator(seed, "test", len(one)), 200) for one in (matched, unmatched)
        ]
        interval = detection.interval_of(detection.detection_measures(matched, unmatched, *counts)[0])
        assert interval.low <= interval.value <= interval.high
        held += interval.low <= truth <= interval.high
    assert 86 <= held <= 100


def test_measures_refuse_what_they_cannot_measure():
    with pytest.raises(ValueError, match="one finite number per query"):
        detection.auroc(torch.tensor([1.0, torch.nan]), torch.ones(2))
    with pytest.raises(ValueError, match="at least one"):
        detection.auroc(torch.ones(2), torch.ones(0))
    with pytest.raises(ValueError, match="recall is 0.0; it must be above 0"):
        detection.threshold_at_recall(torch.ones(2), recall=0.0)
    for bad in (torch.tensor([1.0, torch.nan]), torch.ones(0)):
        with pytest.raises(ValueError, match="one finite number per query"):
            detection.threshold_at_recall(bad)
    with pytest.raises(ValueError, match="holds no unmatched query"):
        nobody = torch.tensor([[1, 1]]).numpy(), torch.tensor([[0, 0]]).numpy()
        detection.detection_measures(torch.ones(2), torch.ones(2), *nobody)
