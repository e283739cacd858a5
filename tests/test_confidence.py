"""Answers and what is claimed of them: against independent measures, by hand and by their properties."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error

from diffret_core import confidence


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_risk_rises_with_coverage_for_a_score_that_knows():
    wrong = torch.tensor([True, False, False, True])
    risk = confidence.risk_coverage(torch.tensor([3.0, 1.0, 2.0, 4.0]), wrong)
    torch.testing.assert_close(risk, torch.tensor([0, 0, 1 / 3, 2 / 4]))
    assert all(a <= b for a, b in pairwise(risk.tolist()))


def test_risk_ends_at_the_share_of_wrong_answers_and_ties_are_that_throughout():
    wrong = torch.rand(50, generator=torch.Generator().manual_seed(0)) < 0.3
    share = float(wrong.double().mean())
    assert float(confidence.risk_coverage(drawn(50), wrong)[-1]) == pytest.approx(share)
    torch.testing.assert_close(confidence.risk_coverage(torch.zeros(50), wrong), torch.full((50,), share))


def test_risk_of_tied_queries_is_the_mean_over_their_orders():
    score, wrong = torch.tensor([0.0, 1.0, 1.0, 1.0, 2.0]), torch.tensor([False, True, False, False, True])
    draws = np.random.default_rng(0)
    orders = [score + 1e-3 * torch.from_numpy(draws.random(5)).float() for _ in range(4000)]
    mean = torch.stack([confidence.risk_coverage(one, wrong) for one in orders]).mean(dim=0)
    torch.testing.assert_close(confidence.risk_coverage(score, wrong), mean, rtol=0, atol=0.02)


@pytest.mark.parametrize("num_bins", [5, 10, 15])
def test_calibration_error_is_that_of_torchmetrics(num_bins):
    claimed = torch.rand(200, generator=torch.Generator().manual_seed(1))
    right = torch.rand(200, generator=torch.Generator().manual_seed(2)) < claimed**2
    bins = confidence.calibration(claimed, right, num_bins=num_bins)
    expected = float(binary_calibration_error(claimed, right.int(), n_bins=num_bins))
    assert confidence.calibration_error(bins) == pytest.approx(expected, abs=1e-5)
    assert int(bins[:, 2].sum()) == 200


def test_certainty_that_is_right_is_calibrated():
    bins = confidence.calibration(torch.tensor([0.0, 1.0, 1.0]), torch.tensor([False, True, True]))
    assert confidence.calibration_error(bins) == 0.0
    assert confidence.calibration_error(confidence.calibration(torch.ones(4), torch.zeros(4).bool())) == 1.0


def test_bins_without_answers_count_nothing():
    bins = confidence.calibration(torch.tensor([0.95, 0.85]), torch.tensor([True, False]))
    assert bins[:8].count_nonzero() == 0 and bool(bins.isfinite().all())
    assert confidence.calibration_error(bins) == pytest.approx((0.05 + 0.85) / 2)
    assert confidence.calibration_error(bins[8:]) == confidence.calibration_error(bins)


@pytest.mark.parametrize(
    ("claimed", "right", "words"),
    [
        ([0.5, torch.nan], [True, True], "one finite number per query"),
        ([], [], "one finite number per query"),
        ([0.5, 1.5], [True, True], "outside 0..1"),
        ([0.5, -0.1], [True, True], "outside 0..1"),
    ],
)
def test_claims_that_are_no_probabilities_are_refused(claimed, right, words):
    with pytest.raises(ValueError, match=words):
        confidence.calibration(torch.tensor(claimed), torch.tensor(right, dtype=torch.bool))


def test_risk_calibration_and_error_refuse_what_they_cannot_measure():
    with pytest.raises(ValueError, match="one finite number per query"):
        confidence.risk_coverage(torch.tensor([torch.nan]), torch.tensor([True]))
    with pytest.raises(ValueError, match="num_bins is 0; give at least one"):
        confidence.calibration(torch.ones(1), torch.tensor([True]), num_bins=0)
    for bins in (torch.zeros(3, 3), torch.full((1, 3), torch.nan)):
        with pytest.raises(ValueError, match="must be finite and hold at least one answer"):
            confidence.calibration_error(bins)
