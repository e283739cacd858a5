"""Combined scores: only candidates gain, by the generated probability; the generator alone; the order of items."""

import inspect
import math

import pytest
import torch

from diffret_core.metrics import target_ranks
from diffret_core.randomness import generator
from diffret_core.ranking import combined_scores, generated_probability, generator_scores, order


@pytest.fixture
def inputs():
    """Six queries over nine items: similarity, four candidates each (best first) and a finished sample."""
    source = generator(0, "test ranking")
    similarity = torch.rand(6, 9, generator=source)
    candidates = similarity.topk(4, dim=1).indices
    sample = (2 * torch.rand(6, 4, generator=source) - 1).clamp(-1, 1)
    return similarity, candidates, sample


def test_combined_scores_match_an_example_worked_by_hand():
    similarity = torch.tensor([[0.5, 0.1, 0.4]])
    sample = torch.tensor([[math.log(3.0), 0.0]])  # probabilities 3/4 and 1/4
    combined = combined_scores(similarity, torch.tensor([[2, 0]]), sample, alpha=0.4)
    torch.testing.assert_close(combined, torch.tensor([[0.5 + 0.1, 0.1, 0.4 + 0.3]]))


def test_combined_scores_match_adding_one_number_at_a_time(inputs):
    similarity, candidates, sample = inputs
    combined = combined_scores(similarity, candidates, sample, alpha=0.7, temperature=3.0)
    expected = similarity.clone()
    for query in range(6):
        total = sum(math.exp(3 * value) for value in sample[query].tolist())
        for place in range(4):
            expected[query, candidates[query, place]] += 0.7 * math.exp(3 * float(sample[query, place])) / total
    torch.testing.assert_close(combined, expected)


def test_combined_scores_leave_the_inputs_and_all_other_items_unchanged(inputs):
    similarity, candidates, sample = inputs
    before = similarity.clone()
    combined = combined_scores(similarity, candidates, sample)
    others = torch.ones_like(similarity, dtype=torch.bool).scatter(1, candidates, False)
    assert similarity.equal(before)
    assert combined[others].equal(similarity[others])
    torch.testing.assert_close((combined - similarity).sum(dim=1), torch.ones(6))


def test_combined_scores_equal_similarity_when_alpha_is_zero(inputs):
    similarity, candidates, sample = inputs
    assert combined_scores(similarity, candidates, sample, alpha=0.0).equal(similarity)


def test_combined_scores_do_not_depend_on_the_order_of_candidates(inputs):
    similarity, candidates, sample = inputs
    shuffle = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(
        combined_scores(similarity, candidates[:, shuffle], sample[:, shuffle]),
        combined_scores(similarity, candidates, sample),
    )


def test_generated_probability_is_flat_at_most_0_193_for_32_candidates_at_temperature_1():
    sample = torch.full((1, 32), -1.0)
    sample[0, 5] = 1.0
    probability = generated_probability(sample)
    assert float(probability.sum()) == pytest.approx(1.0, abs=1e-6)
    assert float(probability.max()) == pytest.approx(math.e / (math.e + 31 / math.e))
    assert 0.192 < float(probability.max()) < 0.193
    assert float(generated_probability(sample, temperature=10.0).max()) > 0.999


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_generated_probability_refuses_a_temperature_that_is_not_positive(temperature):
    with pytest.raises(ValueError, match="temperature is .* expected a positive number"):
        generated_probability(torch.zeros(1, 2), temperature=temperature)


def test_generator_scores_put_candidates_first_by_probability_and_the_rest_by_similarity(inputs):
    similarity, candidates, sample = inputs
    ranking = order(generator_scores(similarity, candidates, sample))
    by_probability = candidates.gather(1, generated_probability(sample).argsort(dim=1, descending=True))
    assert ranking[:, :4].equal(by_probability)
    for query in range(6):
        rest = [item for item in similarity[query].argsort(descending=True).tolist() if item not in candidates[query]]
        assert ranking[query, 4:].tolist() == rest


def test_generator_scores_let_a_candidate_of_low_similarity_pass_all_others():
    similarity = torch.tensor([[0.9, 0.8, 0.1]])
    score = generator_scores(similarity, torch.tensor([[2, 1]]), torch.tensor([[1.0, -1.0]]))
    assert order(score).tolist() == [[2, 1, 0]]


def test_generator_scores_tie_exactly_where_the_inputs_tie():
    similarity = torch.tensor([[0.5, 0.3, 0.3, 0.9, 1e-30, 2e-30]])
    score = generator_scores(similarity, torch.tensor([[0, 3]]), torch.tensor([[1.0, 1.0]]))[0]
    assert score[0] == score[3]  # both samples are saturated
    assert score[1] == score[2]
    assert score[5] > score[4]  # adding an offset would have rounded this difference away
    assert len(score.unique()) == 4
    tiny = generator_scores(similarity, torch.tensor([[0, 3]]), torch.tensor([[1e-30, 2e-30]]))[0]
    assert tiny[3] > tiny[0]


def test_saturated_samples_count_against_the_target():
    score = generator_scores(torch.rand(1, 6), torch.tensor([[4, 2, 0]]), torch.tensor([[1.0, 1.0, 1.0]]))
    assert target_ranks(score, torch.tensor([4])).tolist() == [3]


def test_generator_scores_are_exact_places_when_every_item_is_a_candidate(inputs):
    similarity, _, _ = inputs
    score = generator_scores(similarity, order(similarity), similarity.sort(dim=1, descending=True).values)
    assert score.equal(similarity.argsort(dim=1).argsort(dim=1).float())


def test_order_is_descending_and_keeps_equal_scores_in_column_order():
    assert order(torch.tensor([[0.1, 0.7, 0.7, 0.9]])).tolist() == [[3, 1, 2, 0]]
    assert order(torch.zeros(2, 500)).equal(torch.arange(500).expand(2, 500))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("score_items", [combined_scores, generator_scores])
def test_scores_refuse_input_that_is_not_finite_and_name_it(inputs, score_items, value):
    similarity, candidates, sample = inputs
    faulty_sample, faulty_similarity = sample.clone(), similarity.clone()
    faulty_sample[1, 2], faulty_similarity[3, 0] = value, value
    with pytest.raises(ValueError, match=r"^sample\[1, 2\] is"):
        score_items(similarity, candidates, faulty_sample)
    with pytest.raises(ValueError, match=r"^similarity\[3, 0\] is"):
        score_items(faulty_similarity, candidates, sample)


def test_combined_scores_refuse_a_weight_that_is_not_finite(inputs):
    with pytest.raises(ValueError, match="alpha is nan"):
        combined_scores(*inputs, alpha=math.nan)


def test_order_refuses_a_score_that_is_not_finite():
    with pytest.raises(ValueError, match=r"^score\[0, 1\] is nan"):
        order(torch.tensor([[0.0, torch.nan]]))


@pytest.mark.parametrize("score_items", [combined_scores, generator_scores])
@pytest.mark.parametrize(
    ("candidates", "message"),
    [([[0, 3]], "0..3, expected .* 0 to 2"), ([[-1, 0]], "-1..0"), ([[1, 1]], "candidate 1 twice")],
)
def test_scores_refuse_candidates_that_do_not_fit(score_items, candidates, message):
    with pytest.raises(ValueError, match=message):
        score_items(torch.zeros(1, 3), torch.tensor(candidates), torch.zeros(1, 2))


@pytest.mark.parametrize("score_items", [combined_scores, generator_scores])
@pytest.mark.parametrize("num_queries", [1, 3])
def test_scores_refuse_shapes_that_do_not_fit_without_a_type_checker(score_items, num_queries):
    candidates = torch.tensor([[0, 1]]).expand(num_queries, 2)
    with pytest.raises(ValueError, match=r"do not fit; expected \[Q, V\], \[Q, N\], \[Q, N\]"):
        inspect.unwrap(score_items)(torch.zeros(2, 4), candidates, torch.zeros(num_queries, 2))


def test_scores_refuse_more_candidates_than_items():
    with pytest.raises(ValueError, match="at most 2 different candidates"):
        combined_scores(torch.zeros(1, 2), torch.tensor([[0, 1, 0]]), torch.zeros(1, 3))
