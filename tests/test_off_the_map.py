"""What the generator says about queries as numbers: the same as the plain network's, and of each query alone."""

from dataclasses import replace

import pytest
import torch
from tiny_models import random_features, tiny_retriever
from torch.nn import functional

from diffret_core import detection
from diffret_core.config import DIRECTIONS, ScoringConfig
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.off_the_map import (
    NUM_DRAWS,
    SIMILARITY_SCORES,
    generator_scores,
    reconstruction_levels,
    similarity_scores,
)
from diffret_core.prepared import generate_all
from diffret_core.randomness import generator
from diffret_core.ranking import generated_probability
from diffret_core.sampler import draw_noise
from diffret_core.schedule import add_noise

SCORING = ScoringConfig(num_candidates=4, num_draws=2, temperature=3.0)


@pytest.fixture(scope="module")
def model():
    return tiny_retriever(spread=3.0, scoring=SCORING)


@pytest.fixture(scope="module")
def asked(model):
    texts, videos = random_features(5, 7)
    return texts, videos, model.similarity(texts, videos)


def rows_of(asked, direction):
    return asked[2] if direction == "text_to_video" else asked[2].T


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_scores_are_those_of_what_is_generated(model, asked, direction):
    texts, videos, _ = asked
    scores, found = generator_scores(model, direction, texts, videos, rows_of(asked, direction), seed=3)
    generated = generate_all(model, direction, texts, videos, found.candidates, seed=3)
    torch.testing.assert_close(found.sample, generated.sample)
    probability = generated_probability(generated.sample, temperature=3.0)
    torch.testing.assert_close(scores["probability"], -probability.amax(dim=1))
    torch.testing.assert_close(scores["entropy"], -(probability * probability.log()).sum(dim=1))
    assert (scores["disagreement"] >= 0).all() and scores["disagreement"].any()
    assert all(len(value) == len(found.sample) for value in scores.values())


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_scores_are_those_of_what_is_generated_from_the_similarity(asked, direction):
    model = tiny_retriever(spread=3.0, scoring=replace(SCORING, start_level=2))
    texts, videos, _ = asked
    rows = rows_of(asked, direction)
    _, found = generator_scores(model, direction, texts, videos, rows, seed=3)
    proposed = rows.gather(1, found.candidates)
    generated = generate_all(model, direction, texts, videos, found.candidates, similarity=proposed, seed=3)
    torch.testing.assert_close(found.sample, generated.sample)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_answer_is_reconstructed_as_by_the_plain_network(model, asked, direction):
    texts, videos, _ = asked
    scores, found = generator_scores(model, direction, texts, videos, rows_of(asked, direction), seed=3)
    queries = torch.arange(len(found.sample))
    denoise = model.bind_denoiser(direction, texts, videos, queries, found.candidates)
    x_0 = functional.one_hot(found.sample.argmax(dim=1), 4).float()
    levels = reconstruction_levels(model.config.num_noise_levels)
    assert set(scores) == {"probability", "entropy", "disagreement", *(f"reconstruction {k}" for k in levels)}
    for k in levels:
        noises = [generator(3, f"{direction} reconstruction from level {k}", query) for query in queries.tolist()]
        level, errors = torch.full((len(x_0),), k), []
        for _ in range(NUM_DRAWS):
            x_k = add_noise(x_0, level, draw_noise(noises, 4), model.alpha_bar)
            errors.append(detection.reconstruction_error(x_0, denoise(x_k, level)))
        torch.testing.assert_close(
            scores[f"reconstruction {k}"], torch.stack(errors).mean(dim=0).detach(), rtol=1e-4, atol=1e-5
        )


def test_score_of_a_query_does_not_depend_on_the_others(model, asked):
    texts, videos, rows = asked
    scores, _ = generator_scores(model, "text_to_video", texts, videos, rows)
    few, _ = generator_scores(model, "text_to_video", TextFeatures(*(one[:2] for one in texts)), videos, rows[:2])
    for name, value in few.items():
        torch.testing.assert_close(value, scores[name][:2])


def test_absent_item_is_no_candidate_and_all_queries_have_as_many(model):
    texts, videos = random_features(4, 3)
    own = torch.eye(3, 4).bool()
    rows = model.similarity(texts, videos).T.masked_fill(own, -torch.inf)
    _, found = generator_scores(model, "video_to_text", texts, videos, rows)
    assert found.candidates.shape == (3, 3)
    assert not own.gather(1, found.candidates).any()
    assert all(value.isfinite().all() for value in similarity_scores(rows, temperature=0.1).values())


def test_levels_are_spread_and_each_is_there_once():
    assert reconstruction_levels(50) == [5, 15, 25, 35, 45]
    assert reconstruction_levels(1) == [1]
    assert all(1 <= k <= 6 for k in reconstruction_levels(6))


def test_video_queries_may_repeat_a_video(model, asked):
    texts, videos, rows = asked
    twice = VideoFeatures(*(torch.cat([one, one]) for one in videos))
    scores, _ = generator_scores(model, "video_to_text", texts, twice, torch.cat([rows.T, rows.T]))
    once, _ = generator_scores(model, "video_to_text", texts, videos, rows.T)
    for name, value in once.items():
        torch.testing.assert_close(scores[name][: len(value)], value)


def test_names_of_the_scores_that_need_no_generator_are_those_of_the_similarities():
    assert tuple(similarity_scores(torch.rand(2, 3), temperature=0.1)) == SIMILARITY_SCORES
