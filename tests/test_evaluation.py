"""Evaluation: scores of both directions, ranks by three methods, and the choice of the score's two settings."""

import math

import pytest
import torch
from tiny_models import random_features, tiny_retriever

from diffret_core.config import DIRECTIONS, ScoringConfig
from diffret_core.evaluation import (
    Normalisation,
    choose_scoring,
    direction_ranks,
    evaluate,
    over_seeds,
    similarity_ranks,
)
from diffret_core.features import TextFeatures
from diffret_core.normalisation import query_bank
from diffret_core.retriever import Generated
from diffret_core.scores import METHODS, DirectionScores, score_all

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


def test_similarity_alone_is_ranked_as_beside_a_generator():
    similarity = torch.tensor([[0.1, 0.9], [0.8, 0.3], [0.2, 0.4]])  # texts 0 and 1 are of video 0, text 2 of video 1
    own = torch.tensor([0, 0, 1])
    assert similarity_ranks(similarity, T2V, own).tolist() == [2, 1, 1]
    assert similarity_ranks(similarity, V2T, own).tolist() == [1, 2]
    assert similarity_ranks(HAND[V2T].similarity.T, V2T, OWN).tolist() == [1, 1, 3]


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


# released rules


def several_captions():
    """Three videos with three captions each; every caption likes its own video best."""
    video_of_text = torch.arange(3).repeat_interleave(3)
    similarity = torch.eye(3)[video_of_text] + torch.linspace(0, 0.1, 27).view(9, 3)
    generated = [Generated(torch.zeros(number, 1, dtype=torch.long), torch.zeros(number, 1)) for number in (9, 3)]
    return dict(
        zip(DIRECTIONS, map(DirectionScores, (similarity, similarity.T), generated), strict=True)
    ), video_of_text


def test_released_rules_score_each_last_caption_against_the_next_video():
    scores, video_of_text = several_captions()
    ours = evaluate(scores, video_of_text, ScoringConfig())[T2V]["similarity"]
    released = evaluate(scores, video_of_text, ScoringConfig(), rules="reference")[T2V]["similarity"]
    assert (ours["R@1"], ours["mean_rank"]) == (100, 1)
    assert released["R@1"] == pytest.approx(100 * 6 / 8)  # captions 2 and 5 count for videos 1 and 2, 8 for none
    assert released["mean_rank"] > 1


def test_released_rules_group_captions_the_same_way_for_video_queries():
    scores, video_of_text = several_captions()
    ranks = {
        rules: direction_ranks(scores, V2T, "similarity", video_of_text, ScoringConfig(), rules=rules).tolist()
        for rules in ("corrected", "reference")
    }
    # group 1 then holds caption 2, which is of video 0 and comes after captions 0 and 1 of the same video
    assert ranks == {"corrected": [1, 1, 1], "reference": [2, 2, 1]}


def test_released_rules_leave_captions_alone_where_each_video_has_one():
    for direction in DIRECTIONS:
        ranks = direction_ranks(HAND, direction, "similarity", OWN, ScoringConfig(), rules="reference")
        assert ranks.equal(direction_ranks(HAND, direction, "similarity", OWN, ScoringConfig()))


def test_released_rules_add_a_rank_for_every_tie_and_have_no_gain():
    tied = hand_made([[0.5, 0.5], [0.1, 0.9]], [[0], [1]], [[0.0], [0.0]])
    own = torch.arange(2)
    assert direction_ranks(tied, T2V, "similarity", own, ScoringConfig(), rules="reference").tolist() == [1, 2, 1]
    assert "R@1_gain" not in evaluate(tied, own, ScoringConfig(), rules="reference")[T2V]["combined"]


# normalised rows


def test_normalised_rows_stand_behind_the_methods_where_there_is_a_bank():
    similarity = torch.tensor([[0.9, 0.1, 0.5], [0.9, 0.7, 0.6], [0.1, 0.2, 0.3]])
    bank = query_bank(similarity, beta=20.0)
    normalisation = Normalisation(20.0, {T2V: {"similarity": bank, "combined": bank}})
    plain, found = (evaluate(HAND, OWN, ScoringConfig(), normalisation=one) for one in (None, normalisation))
    dual = ["similarity + dual softmax", "combined + dual softmax"]
    assert list(found[V2T]) == [*METHODS, *dual]
    assert set(found[T2V]) == {*METHODS, *dual, "similarity + QB-norm", "combined + QB-norm"}
    assert list(found[T2V])[:3] == list(METHODS)
    for direction in DIRECTIONS:
        assert {method: found[direction][method] for method in METHODS} == plain[direction]
        assert [name for name, one in found[direction].items() if one.get("transductive")] == dual
    # text 1 likes video 0 a little more than its own, as everything does
    assert plain[T2V]["similarity"]["R@1"] == pytest.approx(200 / 3)
    assert found[T2V]["similarity + QB-norm"]["R@1"] == 100


def test_normalised_rows_rank_caption_groups():
    scores, video_of_text = several_captions()
    groups = query_bank(torch.tensor([[0.9, 0.1, 0.1]]))  # a bank of one video, which likes the captions of video 0
    normalisation = Normalisation(20.0, {V2T: {"similarity": groups, "combined": groups}})
    found = evaluate(scores, video_of_text, ScoringConfig(), normalisation=normalisation)[V2T]
    assert found["similarity + QB-norm"]["R@1"] == 100
    assert found["similarity + QB-norm"]["gallery_size"] == 9


# seeds of the noise


def test_mean_and_spread_over_seeds_match_numbers_by_hand():
    other = hand_made(HAND[T2V].similarity.tolist(), [[0, 2], [1, 0], [2, 1]], [[1.0, -1.0], [1.0, -1.0], [0.5, 0.0]])
    found = over_seeds([HAND, other], OWN, ScoringConfig())
    assert list(found) == list(DIRECTIONS) and list(found[T2V]) == ["generator", "combined"]
    generator = found[T2V]["generator"]  # ranks 2, 1, 2 and 1, 1, 1
    assert generator["mean"]["R@1"] == pytest.approx((100 / 3 + 100) / 2)
    assert generator["spread"]["R@1"] == pytest.approx((200 / 3) / 2**0.5)
    assert generator["mean"]["mean_rank"] == pytest.approx((5 / 3 + 1) / 2)
    same = over_seeds([HAND] * 3, OWN, ScoringConfig())
    assert {value for one in same.values() for two in one.values() for value in two["spread"].values()} == {0}
    with pytest.raises(ValueError, match="1 seeds have no spread"):
        over_seeds([HAND], OWN, ScoringConfig())
