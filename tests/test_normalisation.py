"""Query-bank normalisation and dual softmax: against exponentials taken literally, and what they must not do."""

import numpy as np
import pytest
import torch

from diffret_core.normalisation import dual_softmax_scores, joined_banks, query_bank, querybank_scores
from diffret_core.randomness import generator


def scores(num_queries, num_items, *, item=0):
    return torch.rand(num_queries, num_items, generator=generator(0, "test normalisation", item)) * 2 - 1


def order_of(score):
    return np.asarray(score).argsort(axis=1).tolist()


def querybank_by_exponentials(score, bank, beta):
    """Independent reference: SPEC section 14 word for word, query by query, in double precision."""
    score, bank = score.double().numpy(), bank.double().numpy()
    activation_set = {int(np.argmax(row)) for row in bank}
    rows = []
    for row in score:
        raised = np.exp(beta * row)
        if int(np.argmax(row)) in activation_set:
            raised = raised / np.exp(beta * bank).sum(axis=0)
        rows.append(raised)
    return np.stack(rows)


@pytest.mark.parametrize("beta", [1.0, 20.0])
@pytest.mark.parametrize(("num_queries", "num_items", "bank_size"), [(30, 20, 6), (5, 40, 100), (1, 2, 1)])
def test_querybank_scores_order_items_as_the_exponentials_do(num_queries, num_items, bank_size, beta):
    score, bank = scores(num_queries, num_items), scores(bank_size, num_items, item=1)
    expected = querybank_by_exponentials(score, bank, beta)
    found = querybank_scores(score, query_bank(bank, beta=beta))
    assert order_of(found) == order_of(expected)
    # within a row they are the logarithm over beta, up to one number
    difference = np.log(expected) / beta - found.double().numpy()
    np.testing.assert_allclose(difference, difference[:, :1].repeat(num_items, axis=1), rtol=0, atol=1e-6)


def test_hub_gives_way_to_what_the_query_means():
    bank = torch.tensor([[0.9, 0.1, 0.1], [0.9, 0.2, 0.1], [0.8, 0.1, 0.3]])  # item 0 is the best of every query
    score = torch.tensor([[0.50, 0.49, 0.10]])
    assert querybank_scores(score, query_bank(bank)).argsort(descending=True).tolist() == [[1, 2, 0]]


def test_query_whose_best_item_is_no_hub_keeps_its_scores():
    bank = torch.tensor([[0.9, 0.8, 0.1], [0.9, 0.8, 0.1]])  # only item 0 is ever the best
    score = torch.tensor([[0.10, 0.50, 0.49], [0.50, 0.49, 0.48]])
    found = querybank_scores(score, query_bank(bank))
    assert found[0].equal(score[0])  # though the bank likes item 1 well
    assert found[1].argsort(descending=True).tolist() == [2, 1, 0]


def test_bank_that_likes_all_items_equally_changes_nothing():
    score = scores(50, 8)
    equal = torch.full((16, 8), 0.3)
    assert querybank_scores(score, query_bank(equal)).equal(score)


def test_scores_of_a_query_do_not_depend_on_the_other_queries():
    score, bank = scores(12, 9), query_bank(scores(20, 9, item=1))
    assert querybank_scores(score, bank)[4:5].equal(querybank_scores(score[4:5], bank))
    assert not dual_softmax_scores(score)[4:5].equal(dual_softmax_scores(score[4:5]))


def test_parts_of_a_bank_are_the_whole_bank():
    bank = scores(23, 40)
    whole = query_bank(bank, beta=7.0)
    parts = [query_bank(part, beta=7.0) for part in bank.split(5)]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined_banks(joined, part)
    assert (joined.num_queries, joined.beta) == (23, 7.0)
    assert joined.is_hub.equal(whole.is_hub) and not bool(whole.is_hub.all())
    torch.testing.assert_close(joined.log_sum, whole.log_sum)


def test_large_temperatures_do_not_overflow():
    score, bank = 50 * scores(6, 5), 50 * scores(7, 5, item=1)
    assert bool(querybank_scores(score, query_bank(bank, beta=100.0)).isfinite().all())
    assert bool(dual_softmax_scores(score, beta=100.0).isfinite().all())


def test_dual_softmax_is_the_product_of_both_softmaxes():
    score = scores(7, 4)
    raised = np.exp(20 * score.double().numpy())
    expected = raised / raised.sum(axis=1, keepdims=True) * (raised / raised.sum(axis=0, keepdims=True))
    np.testing.assert_allclose(dual_softmax_scores(score).double().exp().numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("beta", [0.0, -1.0, float("nan"), float("inf")])
def test_temperature_that_is_none_is_refused(beta):
    for normalise in (query_bank, dual_softmax_scores):
        with pytest.raises(ValueError, match="beta is .*, expected a positive number such as 20"):
            normalise(scores(3, 3), beta=beta)


def test_what_cannot_be_scores_is_refused():
    bank, faulty = query_bank(scores(3, 4)), scores(3, 4)
    faulty[1, 2] = torch.nan
    for normalise in (query_bank, dual_softmax_scores, lambda score: querybank_scores(score, bank)):
        with pytest.raises(ValueError, match="must be finite"):
            normalise(faulty)
        with pytest.raises(ValueError, match="at least one of each"):
            normalise(torch.zeros(0, 4))


def test_banks_of_other_galleries_and_temperatures_are_refused():
    bank = query_bank(scores(3, 4))
    with pytest.raises(ValueError, match="5 items are scored, the bank is of 4"):
        querybank_scores(scores(2, 5), bank)
    with pytest.raises(ValueError, match="join only parts of one bank"):
        joined_banks(bank, query_bank(scores(3, 5)))
    with pytest.raises(ValueError, match="join only parts of one bank"):
        joined_banks(bank, query_bank(scores(3, 4), beta=3.0))
