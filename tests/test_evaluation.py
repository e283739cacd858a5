"""Evaluation: scores of both directions, ranks by three methods, and the choice of the score's two settings."""

import math

import pytest
import torch
from tiny_models import random_features, tiny_retriever

from diffret_core.config import DIRECTIONS, ScoringConfig
from diffret_core.evaluation import METHODS, DirectionScores, choose_scoring, direction_ranks, evaluate, score_all
from diffret_core.features import TextFeatures
from diffret_core.retriever import Generated

T2V, V2T = DIRECTIONS


@pytest.fixture(scope="module")
def model():
    return tiny_retriever()


@pytest.fixture(scope="module")
def gallery():
    """7 captions of 4 videos."""
    return *random_features(7, 4), torch.tensor([0, 1, 2, 3, 0, 0, 2])


def hand_made(similarity, candidates, sample):
    """The same generated numbers in both directions."""
    generated = Generated(torch.tensor(candidates), torch.tensor(sample))
    similarity = torch.tensor(similarity)
    return {T2V: DirectionScores(similarity, generated), V2T: DirectionScores(similarity.T.contiguous(), generated)}


HAND = hand_made(
    [[0.9, 0.1, 0.5], [0.8, 0.7, 0.6], [0.1, 0.2, 0.3]],
    [[0, 2], [1, 0], [2, 1]],
    [[-1.0, 1.0], [1.0, -1.0], [0.0, 0.5]],
)
OWN = torch.arange(3)


def test_scores_are_those_of_the_model(model, gallery):
    texts, videos, _ = gallery
    scores = score_all(model, texts, videos)
    with torch.no_grad():
        similarity = model.similarity(texts, videos)
    assert scores[T2V].similarity.equal(similarity) and scores[V2T].similarity.equal(similarity.T)
    for direction, num_queries in ((T2V, 7), (V2T, 4)):
        expected = model.generate(direction, texts, videos, similarity, queries=torch.arange(num_queries))
        assert scores[direction].generated.candidates.equal(expected.candidates)
        assert scores[direction].generated.sample.equal(expected.sample)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_scores_do_not_depend_on_the_batch_size(model, gallery, batch_size):
    texts, videos, _ = gallery
    scores, expected = (score_all(model, texts, videos, batch_size=size) for size in (batch_size, 128))
    for direction in DIRECTIONS:
        assert scores[direction].generated.candidates.equal(expected[direction].generated.candidates)
        torch.testing.assert_close(
            scores[direction].generated.sample, expected[direction].generated.sample, rtol=0, atol=1e-5
        )


def test_progress_counts_the_queries_of_both_directions(model, gallery):
    calls = []
    score_all(model, *gallery[:2], batch_size=3, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(3, 11), (6, 11), (7, 11), (10, 11), (11, 11)]


def test_ranks_of_texts_match_numbers_by_hand():
    def ranks(method, **scoring):
        return direction_ranks(HAND, T2V, method, OWN, ScoringConfig(**scoring)).tolist()

    assert ranks("similarity") == [1, 2, 1]
    assert ranks("generator") == [2, 1, 2]  # text 2: candidate 1 has 0.5, its own video 2 has 0
    # text 0: 0.9 + e^-1/(e + e^-1) = 1.02 against 0.5 + 0.88 = 1.38; text 1: 0.7 + 0.88 against 0.8 + 0.12
    assert ranks("combined") == [2, 1, 2]
    assert ranks("combined", alpha=0.0) == [1, 2, 1]
    assert ranks("combined", alpha=0.5) == [1, 1, 2]  # text 0: 0.96 against 0.94
    assert ranks("combined", alpha=0.5, temperature=20.0) == [2, 1, 2]  # text 0: 0.9 against 0.5 + 0.5


def test_ranks_of_videos_match_numbers_by_hand():
    ranks = direction_ranks(HAND, V2T, "similarity", OWN, ScoringConfig())
    assert ranks.tolist() == [1, 1, 3]  # columns of the similarity


def test_ranks_of_a_video_are_those_of_its_best_caption():
    similarity = torch.tensor([[0.1, 0.9], [0.8, 0.3], [0.2, 0.4]])  # texts 0 and 1 are of video 0, text 2 of video 1
    generated = Generated(torch.tensor([[0], [0]]), torch.zeros(2, 1))
    scores = {V2T: DirectionScores(similarity.T.contiguous(), generated)}
    ranks = direction_ranks(scores, V2T, "similarity", torch.tensor([0, 0, 1]), ScoringConfig())
    assert ranks.tolist() == [1, 2]  # video 0: 0.8 against 0.2; video 1: its 0.4 against 0.9


def test_equal_scores_count_against_the_target():
    tied = hand_made([[0.5, 0.5], [0.5, 0.5]], [[0], [1]], [[0.0], [0.0]])
    assert direction_ranks(tied, T2V, "similarity", torch.arange(2), ScoringConfig()).tolist() == [2, 2]


def test_ranks_by_an_unknown_method_are_refused():
    with pytest.raises(ValueError, match="generatr"):
        direction_ranks(HAND, T2V, "generatr", OWN, ScoringConfig())


def test_evaluation_gives_every_metric_of_both_directions_and_three_methods(model, gallery):
    texts, videos, video_of_text = gallery
    found = evaluate(score_all(model, texts, videos), video_of_text, model.config.scoring)
    assert list(found) == list(DIRECTIONS)
    for direction in DIRECTIONS:
        assert list(found[direction]) == list(METHODS)
        for metrics in found[direction].values():
            assert set(metrics) == {"R@1", "R@5", "R@10", "median_rank", "mean_rank", "R@1_interval"}
            low, high = metrics["R@1_interval"]
            assert 0 <= low <= metrics["R@1"] <= high <= 100
            assert metrics["R@10"] == 100 and 1 <= metrics["median_rank"] <= 7


def test_evaluation_matches_numbers_by_hand_and_repeats_itself():
    found = evaluate(HAND, OWN, ScoringConfig())
    assert found[T2V]["similarity"]["R@1"] == pytest.approx(200 / 3)
    assert found[T2V]["combined"]["R@1"] == pytest.approx(100 / 3)
    assert found[T2V]["combined"]["mean_rank"] == pytest.approx(5 / 3)
    assert evaluate(HAND, OWN, ScoringConfig()) == found


def test_metrics_do_not_depend_on_the_order_of_the_gallery(model, gallery):
    texts, videos, video_of_text = gallery
    order = torch.tensor([4, 2, 6, 0, 1, 5, 3])
    moved = TextFeatures(*(part[order] for part in texts))
    scoring = model.config.scoring
    for method in ("similarity",):  # noise is named by a query's place: generated numbers follow it
        for direction in DIRECTIONS:
            before = direction_ranks(score_all(model, texts, videos), direction, method, video_of_text, scoring)
            after = direction_ranks(score_all(model, moved, videos), direction, method, video_of_text[order], scoring)
            assert after.tolist() == (before[order] if direction == T2V else before).tolist()


def test_scoring_is_chosen_by_recall_over_both_directions():
    # the generator is right in every row and the similarity wrong by 0.15: only enough weight helps
    similarity = [[0.5, 0.65], [0.65, 0.5]]
    scores = hand_made(similarity, [[1, 0], [0, 1]], [[-1.0, 1.0], [-1.0, 1.0]])
    chosen = choose_scoring(scores, torch.arange(2), ScoringConfig(num_candidates=7, num_steps=4))
    assert (chosen.num_candidates, chosen.num_steps) == (7, 4)
    high = 1 / (1 + math.exp(-2 * chosen.temperature))
    assert chosen.alpha * (2 * high - 1) > 0.15
    for direction in DIRECTIONS:
        assert direction_ranks(scores, direction, "combined", torch.arange(2), chosen).tolist() == [1, 1]


def test_scoring_is_chosen_small_when_the_generator_is_wrong():
    scores = hand_made([[0.6, 0.5], [0.5, 0.6]], [[0, 1], [1, 0]], [[-1.0, 1.0], [-1.0, 1.0]])
    chosen = choose_scoring(scores, torch.arange(2), ScoringConfig())
    assert direction_ranks(scores, T2V, "combined", torch.arange(2), chosen).tolist() == [1, 1]
    assert chosen.alpha <= 0.1
