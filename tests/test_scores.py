"""Scores of both directions: those of the model, however many queries are done at once, and by how many processes."""

import pytest
import torch
from test_processes import run_workers
from tiny_models import random_features, tiny_retriever

from diffret_core.config import DIRECTIONS
from diffret_core.scores import method_scores, score_all

T2V, V2T = DIRECTIONS


@pytest.fixture(scope="module")
def model():
    return tiny_retriever()


@pytest.fixture(scope="module")
def gallery():
    """7 captions of 4 videos."""
    return *random_features(7, 4), torch.tensor([0, 1, 2, 3, 0, 0, 2])


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


def test_known_similarity_is_not_computed_again(model, gallery, monkeypatch):
    texts, videos, _ = gallery
    scores = score_all(model, texts, videos, seed=4)
    similarity = scores[T2V].similarity
    monkeypatch.setattr(model.interaction, "forward", None)  # not to be called
    again = score_all(model, texts, videos, similarity=similarity, seed=4)
    other = score_all(model, texts, videos, similarity=similarity, seed=5)
    for direction in DIRECTIONS:
        assert again[direction].generated.sample.equal(scores[direction].generated.sample)
        assert other[direction].generated.candidates.equal(scores[direction].generated.candidates)
        assert not other[direction].generated.sample.equal(scores[direction].generated.sample)


def test_unknown_method_is_refused(model, gallery):
    scores = score_all(model, *gallery[:2])[T2V]
    with pytest.raises(ValueError, match="'generatr'; it must be one of similarity, generator, combined"):
        method_scores(scores, "generatr", model.config.scoring)


# several processes

WORKER = """
import sys, torch
from torch import distributed
from tiny_models import random_features, tiny_retriever
from diffret_core.scores import score_all

rank, num_processes, num_texts, num_videos = map(int, sys.argv[1:5])
folder = sys.argv[5]
distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=num_processes)
done = []
scores = score_all(
    tiny_retriever(), *random_features(num_texts, num_videos), seed=2, progress=lambda *one: done.append(one)
)
result = {name: [one.similarity, one.generated.candidates, one.generated.sample] for name, one in scores.items()}
torch.save({"scores": result, "done": done}, f"{folder}/{rank}.pt")
distributed.destroy_process_group()
"""


@pytest.mark.parametrize(
    ("num_processes", "num_texts", "num_videos"),
    [(2, 7, 4), (3, 7, 4), (3, 2, 5)],
    ids=["uneven texts", "uneven texts and videos", "fewer texts than processes"],
)
def test_every_process_gets_the_scores_of_one_process(tmp_path, num_processes, num_texts, num_videos):
    run_workers(num_processes, ["-c", WORKER], num_processes, num_texts, num_videos, tmp_path)
    expected = score_all(tiny_retriever(), *random_features(num_texts, num_videos), seed=2)
    share = sum(-(-num_queries // num_processes) for num_queries in (num_texts, num_videos))
    for rank in range(num_processes):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found["done"][-1] == (share, share)  # no process did all of it
        for direction in DIRECTIONS:
            similarity, candidates, sample = found["scores"][direction]
            torch.testing.assert_close(similarity, expected[direction].similarity, rtol=0, atol=1e-6)
            assert candidates.equal(expected[direction].generated.candidates)
            torch.testing.assert_close(sample, expected[direction].generated.sample, rtol=0, atol=1e-6)
