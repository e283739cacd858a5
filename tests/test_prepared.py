"""The prepared denoiser and the prepared collections: the same numbers as the plain network, whatever the sizes."""

import pytest
import torch
from tiny_models import SMALL, WIDE, random_features, tiny_retriever

from diffret_core.candidates import top_candidates
from diffret_core.config import DIRECTIONS, ScoringConfig
from diffret_core.denoiser import Denoiser
from diffret_core.denoiser_prepared import PreparedDenoiser
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.prepared import PreparedTexts, PreparedVideos, generate_all
from diffret_core.sampler import ddim_steps, noise_levels
from diffret_core.schedule import noise_schedule

T2V, V2T = DIRECTIONS
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def drawn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def random_denoiser(dim, *, dtype=torch.float32, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Denoiser(dim).to(dtype).requires_grad_(False)


def cases():
    """Dimension, queries, candidates, levels; whether each candidate has a query of its own."""
    for own_query in (False, True):
        yield from (
            (8, 2, 3, 4, own_query),
            (64, 5, 1, 2, own_query),
            (32, 3, 2, 1, own_query),
            (128, 4, 32, 50, own_query),
            (512, 2, 9, 10, own_query),
        )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("dim", "num_queries", "num_candidates", "num_levels", "own_query"), list(cases()))
def test_prepared_denoiser_is_the_plain_one(dim, num_queries, num_candidates, num_levels, own_query, dtype):
    for seed in range(3):
        network = random_denoiser(dim, dtype=dtype, seed=seed)
        query = drawn(num_queries, num_candidates if own_query else 1, dim, seed=seed, dtype=dtype)
        candidates = drawn(num_queries, num_candidates, dim, seed=seed + 10, dtype=dtype)
        x_k = drawn(num_queries, num_candidates, seed=seed + 20, dtype=dtype)
        k = torch.randint(1, num_levels + 1, (num_queries,), generator=torch.Generator().manual_seed(seed))
        prepared = PreparedDenoiser(network, num_levels)
        given = prepared.condition(query, candidates)
        tolerance = {"rtol": 0, "atol": TOLERANCE[dtype]}
        torch.testing.assert_close(prepared.estimate(given, x_k, k), network(x_k, k, query, candidates), **tolerance)
        alpha_bar = noise_schedule(num_levels)
        for num_steps in {1, (num_levels + 1) // 2, num_levels}:
            levels = noise_levels(num_levels, num_steps)
            *_, last = ddim_steps(lambda x, k: network(x, k, query, candidates), x_k, levels, alpha_bar)  # noqa: B023
            torch.testing.assert_close(prepared.walk(given, x_k, levels, alpha_bar), last.x_k, **tolerance)


def test_prepared_walk_follows_estimates_that_leave_the_range():
    network = random_denoiser(16, dtype=torch.float64)
    network.decoder[-1].weight *= 30
    query, candidates, x_k = (drawn(3, size, 16, dtype=torch.float64, seed=size) for size in (1, 6, 7))
    x_k = x_k[:, :6, 0].contiguous()
    prepared, levels, alpha_bar = PreparedDenoiser(network, 10), noise_levels(10), noise_schedule(10)
    steps = list(ddim_steps(lambda x, k: network(x, k, query, candidates), x_k, levels, alpha_bar))
    assert any(bool((step.x_0_hat.abs() == 1).any()) for step in steps)
    found = prepared.walk(prepared.condition(query, candidates), x_k, levels, alpha_bar)
    torch.testing.assert_close(found, steps[-1].x_k, rtol=0, atol=1e-10)


def test_prepared_walk_leaves_its_inputs_alone():
    prepared = PreparedDenoiser(random_denoiser(8), 4)
    given, noise = prepared.condition(drawn(2, 1, 8), drawn(2, 3, 8, seed=1)), drawn(2, 3, seed=2)
    before = [value.clone() for value in (*given, noise)]
    first = prepared.walk(given, noise, noise_levels(4), noise_schedule(4))
    assert all(torch.equal(value, was) for value, was in zip((*given, noise), before, strict=True))
    assert torch.equal(prepared.walk(given, noise, noise_levels(4), noise_schedule(4)), first)


def test_prepared_denoiser_keeps_the_weights_it_was_made_from():
    network = random_denoiser(8)
    prepared = PreparedDenoiser(network, 4)
    given, x_k, k = prepared.condition(drawn(2, 1, 8), drawn(2, 3, 8)), drawn(2, 3), torch.tensor([1, 4])
    before = prepared.estimate(given, x_k, k)
    for weight in network.parameters():
        weight.zero_()
    assert torch.equal(prepared.estimate(given, x_k, k), before)


def test_prepared_denoiser_refuses_a_wrong_number_of_queries():
    with pytest.raises(ValueError, match="query has 2 vectors a row; expected 1 or 3"):
        PreparedDenoiser(random_denoiser(8), 4).condition(drawn(1, 2, 8), drawn(1, 3, 8))


def everything(model, direction, texts, videos, num_candidates):
    """All candidates and samples the plain way, and the candidates of each query."""
    similarity = model.similarity(texts, videos)
    queries = torch.arange(len(texts.sentence) if direction == T2V else len(videos.frames))
    plain = model.generate(direction, texts, videos, similarity, queries=queries, seed=3)
    rows = similarity if direction == T2V else similarity.T
    assert torch.equal(plain.candidates, top_candidates(rows, num_candidates))
    return plain


@pytest.mark.parametrize("largest_table", [2**30, 0], ids=["shared products", "no table"])
@pytest.mark.parametrize("is_normalised", [False, True])
@pytest.mark.parametrize("mode", ["default", "reference"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_generating_for_all_queries_is_generating_for_each(direction, mode, is_normalised, largest_table, monkeypatch):
    monkeypatch.setattr("diffret_core.prepared.LARGEST_TABLE", largest_table)
    monkeypatch.setattr("diffret_core.prepared.QUERIES_AT_ONCE", 3)
    for clip, num_texts, num_videos, num_candidates in ((SMALL, 7, 4, 3), (WIDE, 4, 11, 32), (SMALL, 1, 5, 1)):
        scoring = ScoringConfig(num_candidates=num_candidates, num_steps=None if num_candidates > 1 else 2)
        model = tiny_retriever(clip, mode=mode, normalise_for_denoiser=is_normalised, scoring=scoring)
        texts, videos = random_features(num_texts, num_videos, dim=model.config.dim)
        assert not bool(videos.frame_mask.all())  # some are padded
        with torch.no_grad():
            plain = everything(model, direction, texts, videos, num_candidates)
            found = generate_all(model, direction, texts, videos, plain.candidates, seed=3)
        assert torch.equal(found.candidates, plain.candidates)
        torch.testing.assert_close(found.sample, plain.sample, rtol=0, atol=1e-5)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_generating_for_some_queries_gives_what_all_would_give_them(direction):
    model, (texts, videos) = tiny_retriever(), random_features(7, 5)
    items = torch.tensor([[0, 3], [4, 1], [2, 0], [1, 2], [3, 4], [0, 1], [4, 2]])[: 7 if direction == T2V else 5]
    everything_generated = generate_all(model, direction, texts, videos, items, seed=3).sample
    some = torch.tensor([4, 1, 4])
    found = generate_all(model, direction, texts, videos, items[some], queries=some, seed=3)
    torch.testing.assert_close(found.sample, everything_generated[some], rtol=0, atol=1e-6)
    with pytest.raises((ValueError, TypeError)):  # TypeError where the tests' type check comes first
        generate_all(model, direction, texts, videos, items[some], queries=some[:2])


def test_generating_for_all_queries_reports_how_far_it_is(monkeypatch):
    monkeypatch.setattr("diffret_core.prepared.QUERIES_AT_ONCE", 3)
    texts, videos = random_features(7, 4)
    calls = []
    items = torch.zeros(7, 1, dtype=torch.long)
    generate_all(tiny_retriever(), T2V, texts, videos, items, progress=lambda *done: calls.append(done))
    assert calls == [(3, 7), (6, 7), (7, 7)]


def spoiled(features, name, place, value):
    changed = getattr(features, name).clone()
    changed[place] = value
    return features._replace(**{name: changed})


def bad_inputs():
    """What is wrong, and what the complaint says of it."""
    texts, videos = random_features(5, 4)
    other_texts, other_videos = random_features(5, 4, dim=32)
    yield texts, other_videos, "videos have features of size 32; this model's have 64"
    yield other_texts, videos, "texts have features of size 32; this model's have 64"
    yield texts, spoiled(videos, "frames", (2, 1, 3), float("nan")), "videos: number 2 has a feature that is not finite"
    yield texts, spoiled(videos, "frames", (1, 0, 0), float("inf")), "videos: number 1 has a feature that is not finite"
    yield spoiled(texts, "words", (3, 0, 0), -float("inf")), videos, "texts: number 3 has a feature that is not finite"
    yield spoiled(texts, "sentence", (4, 9), float("nan")), videos, "sentences: number 4 has a feature that is not"
    yield texts, spoiled(videos, "frame_mask", 3, False), "videos: number 3 has nothing real in it"
    yield spoiled(texts, "word_mask", 0, False), videos, "texts: number 0 has nothing real in it"
    yield texts, videos._replace(frame_mask=videos.frame_mask[:, :2]), r"videos are \(4, 4\) features with a mask of"
    yield texts, videos._replace(frame_mask=videos.frame_mask[:3]), r"videos are \(4, 4\) features with a mask of"
    yield texts._replace(sentence=texts.sentence[:4]), videos, r"sentences are \(4, 1\) features with a mask of"
    yield texts, VideoFeatures(*(part[:0] for part in videos)), "there are no videos"
    yield TextFeatures(*(part[:0] for part in texts)), videos, "there are no texts"


def refuse_to_prepare(*_):
    raise AssertionError("work was done before the input was checked")


@pytest.mark.parametrize(("texts", "videos", "complaint"), list(bad_inputs()))
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_features_that_no_encoder_gave_are_refused_before_any_work(direction, texts, videos, complaint, monkeypatch):
    monkeypatch.setattr("diffret_core.prepared.PreparedDenoiser", refuse_to_prepare)
    items = torch.zeros(len(texts.sentence) if direction == T2V else len(videos.frames), 1, dtype=torch.long)
    with pytest.raises(ValueError, match=complaint):
        generate_all(tiny_retriever(), direction, texts, videos, items)


@pytest.mark.parametrize("item", [-1, 4])
def test_prepared_videos_refuse_candidates_that_do_not_exist(item):
    texts, videos = random_features(2, 4)
    prepared = PreparedVideos(tiny_retriever(), videos)
    with pytest.raises(ValueError, match="there are only 0 to 3"):
        prepared.condition(texts.sentence, torch.tensor([[0, 1], [2, item]]))


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([[0, 1], [2, 4], [0, 1], [0, 1], [0, 1]], "candidates range over 0..4; there are only 0 to 3"),
        ([[0, 1], [2, -1], [0, 1], [0, 1], [0, 1]], "candidates range over -1..2; there are only 0 to 3"),
        ([[0, 1], [2, 3]], r"candidates are \(2, 2\); give each of the 5 queries a row"),
        ([[], [], [], [], []], r"candidates are \(5, 0\); give each of the 5 queries a row"),
    ],
)
def test_candidates_that_do_not_exist_are_refused_before_any_work(rows, complaint, monkeypatch):
    monkeypatch.setattr("diffret_core.prepared.PreparedDenoiser", refuse_to_prepare)
    with pytest.raises(ValueError, match=complaint):
        generate_all(tiny_retriever(), T2V, *random_features(5, 4), torch.tensor(rows, dtype=torch.long))
    with pytest.raises(ValueError, match="candidates"):  # 4 videos ask among 5 texts
        items = torch.full((4, 1), 5)
        generate_all(tiny_retriever(), V2T, *random_features(5, 4), items)


@pytest.mark.parametrize(("texts", "videos", "complaint"), list(bad_inputs()))
def test_collections_are_refused_before_they_are_prepared(texts, videos, complaint, monkeypatch):
    monkeypatch.setattr("diffret_core.prepared.PreparedDenoiser", refuse_to_prepare)
    is_of_videos = "videos" in complaint
    with pytest.raises(ValueError, match=complaint):
        (PreparedVideos if is_of_videos else PreparedTexts)(tiny_retriever(), videos if is_of_videos else texts)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(
    "settings",
    [
        {"num_noise_levels": 1, "noise": False},
        {"scoring": ScoringConfig(num_candidates=3, eta=0.5, num_draws=2)},
        {"scoring": ScoringConfig(num_candidates=3, eta=1.0, num_steps=3)},
        {"scoring": ScoringConfig(num_candidates=3, num_draws=2, start_level=4)},
        {"scoring": ScoringConfig(num_candidates=3, eta=0.5, num_steps=2, start_level=4)},
    ],
    ids=["without noise", "some noise at every step", "ancestral", "from similarity", "from similarity, some noise"],
)
def test_generating_for_all_is_generating_for_each_however_noise_is_used(direction, settings, monkeypatch):
    monkeypatch.setattr("diffret_core.prepared.QUERIES_AT_ONCE", 3)
    model, (texts, videos) = tiny_retriever(spread=2.0, **settings), random_features(7, 5)
    with torch.no_grad():
        plain = everything(model, direction, texts, videos, 3)
        similarity = model.similarity(texts, videos)
        proposed = (similarity if direction == T2V else similarity.T).gather(1, plain.candidates)
        found = generate_all(model, direction, texts, videos, plain.candidates, similarity=proposed, seed=3)
    torch.testing.assert_close(found.sample, plain.sample, rtol=0, atol=1e-5)


def test_walk_from_the_similarity_is_refused_without_it():
    model = tiny_retriever(scoring=ScoringConfig(num_candidates=3, start_level=4))
    with pytest.raises(ValueError, match="walks start from the similarity; give that of the candidates"):
        generate_all(model, T2V, *random_features(2, 5), torch.tensor([[0, 1, 2], [3, 4, 0]]))
