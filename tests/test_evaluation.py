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
        torch.testing.assert_close(scores[direction].generated.sample, expected.sample, rtol=0, atol=1e-5)


@pytest.mark.parametrize("queries_at_once", [1, 3, 100])
def test_scores_do_not_depend_on_how_many_queries_are_walked_at_once(model, gallery, queries_at_once, monkeypatch):
    texts, videos, _ = gallery
    expected = score_all(model, texts, videos)
    monkeypatch.setattr("diffret_core.prepared.QUERIES_AT_ONCE", queries_at_once)
    scores = score_all(model, texts, videos)
    for direction in DIRECTIONS:
        assert scores[direction].generated.candidates.equal(expected[direction].generated.candidates)
        torch.testing.assert_close(
            scores[direction].generated.sample, expected[direction].generated.sample, rtol=0, atol=1e-6
        )


def test_progress_counts_the_queries_of_both_directions_after_the_texts_compared(model, gallery, monkeypatch):
    monkeypatch.setattr("diffret_core.prepared.QUERIES_AT_ONCE", 3)
    monkeypatch.setattr("diffret_core.similarity.TEXTS_AT_ONCE", 4)
    calls = []
    score_all(
        model,
        *gallery[:2],
        progress=lambda done, total: calls.append((done, total)),
        comparing=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(4, 7), (7, 7), (3, 11), (6, 11), (7, 11), (10, 11), (11, 11)]


def test_features_that_no_encoder_gave_are_refused_before_any_work(model, gallery, monkeypatch):
    texts, videos, _ = gallery
    monkeypatch.setattr(model.interaction, "forward", None)  # not to be called
    frames = videos.frames.clone()
    frames[2, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="videos: number 2 has a feature that is not finite"):
        score_all(model, texts, videos._replace(frames=frames))
    with pytest.raises(ValueError, match="texts have features of size 32"):
        score_all(model, random_features(7, 4, dim=32)[0], videos)


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
        for method, metrics in found[direction].items():
            more = {"R@1_gain", "R@1_gain_interval"} if method == "combined" else set()
            usual = {"R@1", "R@5", "R@10", "median_rank", "mean_rank", "R@1_interval", "gallery_size"}
            assert set(metrics) == usual | more
            assert metrics["gallery_size"] == (len(videos.frames) if direction == T2V else len(texts.words))
            low, high = metrics["R@1_interval"]
            assert 0 <= low <= metrics["R@1"] <= high <= 100
            assert metrics["R@10"] == 100 and 1 <= metrics["median_rank"] <= 7


def test_evaluation_matches_numbers_by_hand_and_repeats_itself():
    found = evaluate(HAND, OWN, ScoringConfig())
    assert found[T2V]["similarity"]["R@1"] == pytest.approx(200 / 3)
    assert found[T2V]["combined"]["R@1"] == pytest.approx(100 / 3)
    assert found[T2V]["combined"]["mean_rank"] == pytest.approx(5 / 3)
    assert evaluate(HAND, OWN, ScoringConfig()) == found


def test_gain_matches_numbers_by_hand():
    found = evaluate(HAND, OWN, ScoringConfig())
    # texts: similarity finds 0 and 2, both together only 1; videos: either finds 0 and 1
    assert found[T2V]["combined"]["R@1_gain"] == pytest.approx(-100 / 3)
    assert found[V2T]["similarity"]["R@1"] == found[V2T]["combined"]["R@1"] == pytest.approx(200 / 3)
    assert found[V2T]["combined"]["R@1_gain"] == 0
    # every query is as it was, whichever are drawn: pairs know what two separate intervals cannot
    assert found[V2T]["combined"]["R@1_gain_interval"] == [0, 0]
    assert found[V2T]["combined"]["R@1_interval"] == [0, 100]


def test_interval_of_the_gain_contains_it():
    draw = torch.Generator().manual_seed(0)
    similarity = torch.randn(40, 40, generator=draw) + 2 * torch.eye(40)
    scores = {}
    for direction, rows in ((T2V, similarity), (V2T, similarity.T.contiguous())):
        sample = torch.rand(40, 10, generator=draw) * 2 - 1
        scores[direction] = DirectionScores(rows, Generated(rows.argsort(dim=1, descending=True)[:, :10], sample))
    for alpha in (1.0, 5.0):
        found = evaluate(scores, torch.arange(40), ScoringConfig(alpha=alpha))
        for direction in DIRECTIONS:
            combined, by_similarity = found[direction]["combined"], found[direction]["similarity"]
            low, high = combined["R@1_gain_interval"]
            assert combined["R@1_gain"] == combined["R@1"] - by_similarity["R@1"]
            assert -100 <= low <= combined["R@1_gain"] <= high <= 100
            assert low < high


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


def side_by_side(*cases):
    """Cases of two texts and two videos in one gallery, so unlike each other that only the own case competes."""
    similarity = torch.full((2 * len(cases), 2 * len(cases)), -9.0)
    candidates, sample = [], []
    for place, (own, other, own_sample) in enumerate(cases):
        rows = slice(2 * place, 2 * place + 2)
        similarity[rows, rows] = torch.tensor([[own, other], [other, own]])
        candidates += [[2 * place, 2 * place + 1], [2 * place + 1, 2 * place]]
        sample += [[own_sample, 0.0]] * 2
    return hand_made(similarity.tolist(), candidates, sample)


@pytest.mark.parametrize(
    ("cases", "works"),
    [
        # The similarity is wrong by 0.15 and the estimates differ by 0.02: weight 1 helps from temperature 20 on.
        ([(0.50, 0.65, 0.02)], {20.0, 50.0}),
        # Two are to be put right by more than 0.3, which takes a weight of 0.5 or 1. Two are right by 0.2 and their
        # estimates wrong by 0.2, which outweighs that at either weight from temperature 5 on.
        ([(0.0, 0.3, 1.0), (0.7, 0.5, -0.2)], {2.0}),
    ],
)
@pytest.mark.parametrize("given", [1.0, 20.0])
def test_temperature_is_chosen_with_the_weight(cases, works, given, monkeypatch):
    alphas, temperatures = (0.01, 0.1, 0.3, 0.5, 1.0), (2.0, 5.0, 20.0, 50.0)
    monkeypatch.setattr("diffret_core.evaluation.ALPHAS", alphas)
    monkeypatch.setattr("diffret_core.evaluation.TEMPERATURES", temperatures)
    scores, own = side_by_side(*cases), torch.arange(2 * len(cases))

    def all_found(scoring):
        ranks = [direction_ranks(scores, direction, "combined", own, scoring) for direction in DIRECTIONS]
        return all(bool((one == 1).all()) for one in ranks)

    trials = [ScoringConfig(alpha=alpha, temperature=one) for alpha in alphas for one in temperatures]
    assert {trial.temperature for trial in trials if all_found(trial)} == works
    chosen = choose_scoring(scores, own, ScoringConfig(temperature=given, num_draws=3))
    assert all_found(chosen)
    assert chosen.temperature in works
    assert chosen.num_draws == 3


def test_scoring_is_chosen_small_when_the_generator_is_wrong():
    scores = hand_made([[0.6, 0.5], [0.5, 0.6]], [[0, 1], [1, 0]], [[-1.0, 1.0], [-1.0, 1.0]])
    chosen = choose_scoring(scores, torch.arange(2), ScoringConfig())
    assert direction_ranks(scores, T2V, "combined", torch.arange(2), chosen).tolist() == [1, 1]
    assert chosen.alpha <= 0.1
