"""Which items the generator looks at, in use and in training."""

import pytest
import torch

from diffret_core.candidates import top_candidates, training_candidates
from diffret_core.randomness import generator


def draw(item=0):
    return generator(0, "negatives", item)


def test_top_candidates_are_the_most_similar_best_first():
    similarity = torch.tensor([[0.1, 0.9, 0.5, 0.7], [0.4, 0.3, 0.2, 0.1]])
    assert top_candidates(similarity, 3).tolist() == [[1, 3, 2], [0, 1, 2]]


def test_top_candidates_with_equal_scores_keep_the_order_of_the_collection():
    similarity = torch.zeros(1, 200)
    similarity[0, 150] = 1
    assert top_candidates(similarity, 5).tolist() == [[150, 0, 1, 2, 3]]


def test_top_candidates_are_the_whole_collection_when_it_is_smaller():
    assert top_candidates(torch.tensor([[0.1, 0.3]]), 32).tolist() == [[1, 0]]


def test_top_candidates_may_be_one():
    assert top_candidates(torch.tensor([[0.1, 0.3, 0.2]]), 1).tolist() == [[1]]


@pytest.mark.parametrize("num_candidates", [0, -2])
def test_top_candidates_refuse_a_number_below_one(num_candidates):
    with pytest.raises(ValueError, match=f"num_candidates is {num_candidates}"):
        top_candidates(torch.zeros(2, 3), num_candidates)


def choose(similarity, positive, same, *, num_candidates, negative_pool, item=0):
    return training_candidates(
        similarity,
        torch.tensor(positive),
        same,
        num_candidates=num_candidates,
        negative_pool=negative_pool,
        generator=draw(item),
    )


def matches(rows, num_items):
    same = torch.zeros(len(rows), num_items, dtype=torch.bool)
    for row, items in enumerate(rows):
        same[row, items] = True
    return same


def test_training_candidates_are_the_positive_and_the_hardest_others():
    similarity = torch.tensor([[0.9, 0.8, 0.1, 0.7, 0.6], [0.1, 0.2, 0.3, 0.4, 0.5]])
    chosen = choose(similarity, [2, 4], matches([[2], [4]], 5), num_candidates=3, negative_pool=2)
    assert chosen[:, 0].tolist() == [2, 4]
    assert [sorted(row) for row in chosen[:, 1:].tolist()] == [[0, 1], [2, 3]]


def test_training_candidates_never_hold_another_match_as_negative():
    similarity = torch.tensor([[0.9, 0.8, 0.7, 0.6, 0.5]])  # items 0, 1 and 3 all describe the query
    chosen = choose(similarity, [3], matches([[0, 1, 3]], 5), num_candidates=3, negative_pool=4)
    assert chosen[0, 0] == 3 and sorted(chosen[0, 1:].tolist()) == [2, 4]


def test_training_candidates_are_fewer_when_there_are_not_enough_negatives():
    chosen = choose(torch.rand(2, 4), [0, 1], matches([[0], [1, 2]], 4), num_candidates=32, negative_pool=31)
    assert chosen.shape == (2, 3)
    assert set(chosen[1].tolist()) == {1, 0, 3}


def test_training_candidates_are_the_positive_alone_when_all_items_match():
    assert choose(torch.rand(1, 2), [1], matches([[0, 1]], 2), num_candidates=3, negative_pool=2).tolist() == [[1]]


def test_training_candidates_are_drawn_from_the_pool_without_repetition():
    similarity = -torch.arange(50.0).expand(40, 50)  # the hardest negatives are 1, 2, 3, ...
    chosen = choose(similarity, [0] * 40, matches([[0]] * 40, 50), num_candidates=4, negative_pool=9)
    assert all(len(set(row)) == 4 for row in chosen.tolist())
    assert set(chosen[:, 1:].flatten().tolist()) == set(range(1, 10))  # 120 draws find all nine, and no tenth


def test_training_candidates_are_the_generators_choice():
    similarity, same = torch.rand(5, 30), matches([[0]] * 5, 30)
    options = {"num_candidates": 4, "negative_pool": 20}
    first = choose(similarity, [0] * 5, same, **options)
    assert first.equal(choose(similarity, [0] * 5, same, **options))
    assert not first.equal(choose(similarity, [0] * 5, same, item=1, **options))
