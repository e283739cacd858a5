"""The whole model: both directions against slow loops, with more texts than videos, and what it promises."""

import math
from dataclasses import replace

import pytest
import torch
from slow_denoiser import slow_estimate, slow_pool
from tiny_models import SMALL, WIDE, architecture, random_features, random_tokens, tiny_retriever

from diffret_core.config import DIRECTIONS, ScoringConfig
from diffret_core.encoders import encode_frames
from diffret_core.randomness import generator
from diffret_core.retriever import choose_device, take_settings
from diffret_core.sampler import ddim_steps, draw_noise, noise_levels
from diffret_core.schedule import noise_schedule

T2V, V2T = DIRECTIONS


@pytest.fixture(scope="module")
def model():
    return tiny_retriever()


@pytest.fixture(scope="module")
def wild():
    """Its estimates leave [-1, 1]."""
    return tiny_retriever(spread=4.0)


@pytest.fixture(scope="module")
def gallery():
    """5 texts, 4 videos: never square."""
    return random_features(5, 4)


def similarity_of(model, gallery):
    with torch.no_grad():
        return model.similarity(*gallery)


def every_query(direction, gallery):
    return torch.arange(5 if direction == T2V else 4)


def generate(model, gallery, direction, queries=None, seed=0):
    queries = every_query(direction, gallery) if queries is None else queries
    return model.generate(direction, *gallery, similarity_of(model, gallery), queries=queries, seed=seed)


@pytest.mark.parametrize("mode", ["default", "reference"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_bound_network_matches_loops_over_candidates(gallery, direction, mode):
    model = tiny_retriever(mode=mode)
    texts, videos = gallery
    queries, k, x_k = torch.tensor([2, 0]), torch.tensor([1, 6]), torch.randn(2, 3)
    items = torch.tensor([[3, 0, 1], [1, 2, 0]])
    with torch.no_grad():
        computed = model.bind_denoiser(direction, texts, videos, queries, items)(x_k, k)
    for row in range(2):
        pairs = [(queries[row], j) if direction == T2V else (j, queries[row]) for j in items[row]]
        sentences = [texts.sentence[t] for t, _ in pairs]
        pooled = [slow_pool(texts.sentence[t], videos.frames[v], videos.frame_mask[v], mode=mode) for t, v in pairs]
        asking, asked = (sentences, pooled) if direction == T2V else (pooled, sentences)
        network = model.text_query_denoiser if direction == T2V else model.video_query_denoiser
        expected = slow_estimate(network, x_k[row], int(k[row]), asking, asked)
        torch.testing.assert_close(computed[row].double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_each_direction_has_its_own_network(gallery, direction):
    model = tiny_retriever()
    before = generate(model, gallery, direction).sample
    other = model.video_query_denoiser if direction == T2V else model.text_query_denoiser
    with torch.no_grad():
        for value in other.parameters():
            value.zero_()
    assert generate(model, gallery, direction).sample.equal(before)
    assert model.denoiser(direction) is not other


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_candidates_are_the_most_similar_of_the_own_row(model, gallery, direction):
    similarity = similarity_of(model, gallery)
    rows = similarity if direction == T2V else similarity.T
    assert generate(model, gallery, direction).candidates.equal(rows.argsort(dim=1, descending=True)[:, :3])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_sample_is_the_end_of_a_walk_from_the_querys_own_noise(wild, gallery, direction):
    queries = torch.tensor([3, 1])
    candidates, sample = generate(wild, gallery, direction, queries, seed=7)
    noise = draw_noise([generator(7, f"{direction} noise", q) for q in (3, 1)], 3)
    network = wild.bind_denoiser(direction, *gallery, queries, candidates)
    with torch.no_grad():
        *_, last = ddim_steps(network, noise, noise_levels(6), noise_schedule(6))
        assert float(network(noise, torch.tensor([6, 6])).abs().max()) > 1  # so the clamp has something to do
    torch.testing.assert_close(sample, last.x_k)
    assert float(sample.abs().max()) <= 1


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_sample_does_not_depend_on_the_batch(model, gallery, direction):
    together = generate(model, gallery, direction)
    backwards = generate(model, gallery, direction, every_query(direction, gallery).flip(0))
    torch.testing.assert_close(backwards.sample.flip(0), together.sample, rtol=0, atol=1e-5)
    for query in every_query(direction, gallery):
        alone = generate(model, gallery, direction, query[None])
        assert alone.candidates[0].equal(together.candidates[query])
        torch.testing.assert_close(alone.sample[0], together.sample[query], rtol=0, atol=1e-5)


def with_draws(model, num_draws):
    return replace(model.config, scoring=replace(model.config.scoring, num_draws=num_draws))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_sample_of_several_draws_is_their_mean(gallery, direction):
    model = tiny_retriever(spread=2.0)
    queries = every_query(direction, gallery)
    single = generate(model, gallery, direction, seed=7)
    walks = []
    for purpose in (f"{direction} noise", f"{direction} noise, draw 1", f"{direction} noise, draw 2"):
        noise = draw_noise([generator(7, purpose, int(query)) for query in queries], 3)
        network = model.bind_denoiser(direction, *gallery, queries, single.candidates)
        with torch.no_grad():
            *_, last = ddim_steps(network, noise, noise_levels(6), noise_schedule(6))
        walks.append(last.x_k)
    torch.testing.assert_close(single.sample, walks[0])
    model.config = with_draws(model, 3)
    mean = generate(model, gallery, direction, seed=7)
    assert mean.candidates.equal(single.candidates)
    torch.testing.assert_close(mean.sample, sum(walks) / 3)
    assert not any(torch.allclose(mean.sample, walk, atol=1e-4) for walk in walks)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_sample_of_several_draws_does_not_depend_on_the_batch(gallery, direction):
    model = tiny_retriever(scoring=ScoringConfig(num_candidates=3, num_draws=3))
    together = generate(model, gallery, direction)
    for query in every_query(direction, gallery):
        alone = generate(model, gallery, direction, query[None])
        torch.testing.assert_close(alone.sample[0], together.sample[query], rtol=0, atol=1e-5)


def generate_from_larger(model, gallery, direction, size):
    """Generate among the same candidates from features that are `size` times as large."""
    texts, videos = gallery
    larger = texts._replace(sentence=texts.sentence * size), videos._replace(frames=videos.frames * size)
    similarity = similarity_of(model, gallery)
    return model.generate(direction, *larger, similarity, queries=every_query(direction, gallery)).sample


@pytest.mark.parametrize("mode", ["default", "reference"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_size_of_features_matters_unless_they_are_normalised(gallery, direction, mode):
    for is_normalised in (False, True):
        model = tiny_retriever(spread=2.0, mode=mode, normalise_for_denoiser=is_normalised)
        as_given = generate(model, gallery, direction).sample
        for size in (0.01, 3.0, 1000.0):
            same = torch.allclose(generate_from_larger(model, gallery, direction, size), as_given, rtol=0, atol=1e-4)
            assert same == is_normalised, (is_normalised, size)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_normalised_features_are_what_the_denoiser_reads_of_size_root_dim(gallery, direction):
    texts, videos = gallery
    plain, normalising = tiny_retriever(spread=2.0), tiny_retriever(spread=2.0, normalise_for_denoiser=True)
    sentence, frames = (8 * one / one.norm(dim=-1, keepdim=True) for one in (texts.sentence, videos.frames))  # D = 64
    by_hand = texts._replace(sentence=sentence), videos._replace(frames=frames)
    queries, similarity = every_query(direction, gallery), similarity_of(plain, gallery)
    expected = plain.generate(direction, *by_hand, similarity, queries=queries)
    found = normalising.generate(direction, *gallery, similarity, queries=queries)
    torch.testing.assert_close(found.sample, expected.sample, rtol=0, atol=1e-4)


@pytest.mark.parametrize("mode", ["default", "reference"])
def test_normalised_frames_enter_the_temporal_transformer_at_size_root_dim(mode):
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    images = torch.randn(2, 4, 3, 16, 16) * mask[..., None, None, None]
    plain, normalising = (tiny_retriever(mode=mode, normalise_frames=normalise) for normalise in (False, True))
    with torch.no_grad():
        frames = encode_frames(plain.clip, images, mask, mode=mode)
        size = frames.norm(dim=-1, keepdim=True)
        by_hand = torch.where(size > 0, 8 * frames / size, 0.0)  # D = 64
        found = normalising.encode_videos(images, mask).frames
        torch.testing.assert_close(found, normalising.temporal(by_hand, mask))
        assert not torch.allclose(plain.encode_videos(images, mask).frames, found, atol=1e-2)


def test_sample_depends_on_the_seed(model, gallery):
    assert generate(model, gallery, T2V).sample.equal(generate(model, gallery, T2V).sample)
    assert not generate(model, gallery, T2V, seed=1).sample.equal(generate(model, gallery, T2V).sample)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("num_candidates", [1, 32])
def test_number_of_candidates_may_be_one_or_more_than_there_are(gallery, direction, num_candidates):
    model = tiny_retriever(scoring=ScoringConfig(num_candidates=num_candidates))
    candidates, sample = generate(model, gallery, direction)
    num_items = 4 if direction == T2V else 5
    assert candidates.shape == sample.shape == (9 - num_items, min(num_candidates, num_items))
    assert bool(sample.isfinite().all())


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_linear_schedule_reaches_the_walk(gallery, direction):
    sizes = {"num_noise_levels": 20, "spread": 2.0}
    linear = tiny_retriever(schedule="linear", **sizes)
    assert linear.alpha_bar.equal(noise_schedule(20, "linear"))
    candidates, sample = generate(linear, gallery, direction)
    noise = draw_noise([generator(0, f"{direction} noise", int(q)) for q in every_query(direction, gallery)], 3)
    network = linear.bind_denoiser(direction, *gallery, every_query(direction, gallery), candidates)
    with torch.no_grad():
        *_, last = ddim_steps(network, noise, list(range(20, -1, -1)), noise_schedule(20, "linear"))
    torch.testing.assert_close(sample, last.x_k)
    assert not torch.allclose(sample, generate(tiny_retriever(**sizes), gallery, direction).sample, atol=1e-4)


def test_number_of_steps_chooses_the_levels(gallery):
    model = tiny_retriever(scoring=ScoringConfig(num_candidates=3, num_steps=2))
    visited = []

    def watching(x_k, k):
        visited.append(int(k[0]))
        return x_k

    assert [step.k for step in model.denoising_steps(watching, torch.zeros(1, 3))] == [3, 0]
    assert visited == [6, 3]


def test_more_steps_than_levels_are_refused():
    with pytest.raises(ValueError, match="num_steps is 7"):
        list(tiny_retriever(scoring=ScoringConfig(num_steps=7)).denoising_steps(lambda x, k: x, torch.zeros(1, 3)))


@pytest.mark.parametrize(
    ("stored", "expected"), [(math.log(1 / 0.07), 1 / 0.07), (math.log(99), 99), (5.0, 100), (50.0, 100)]
)
def test_logit_scale_is_capped_at_a_hundred(stored, expected):
    model = tiny_retriever()
    with torch.no_grad():
        model.clip.logit_scale.fill_(stored)
    assert float(model.logit_scale.detach()) == pytest.approx(expected, rel=1e-5)


def encode(model, seed=0):
    """3 texts of 3 to 8 tokens, 2 videos of 1 and 4 frames."""
    ids, word_mask = random_tokens([8, 3, 5], 8, vocab_size=model.config.clip["text_cfg"]["vocab_size"], seed=seed)
    size = model.config.image_size
    images = torch.randn(2, 4, 3, size, size, generator=torch.Generator().manual_seed(seed))
    frame_mask = torch.tensor([[True, False, False, False], [True] * 4])
    images[~frame_mask] = 0
    with torch.no_grad():
        return model.encode_tokens(ids, word_mask), model.encode_videos(images, frame_mask)


def test_model_runs_from_tokens_and_pixels_to_scores():
    model = tiny_retriever(WIDE)
    texts, videos = encode(model)
    similarity = similarity_of(model, (texts, videos))
    assert similarity.shape == (3, 2)
    for direction, rows in ((T2V, similarity), (V2T, similarity.T)):
        generated = model.generate(direction, texts, videos, similarity, queries=torch.arange(len(rows)))
        assert generated.sample.shape == (len(rows), min(3, rows.shape[1]))
        assert bool(generated.sample.isfinite().all())


def test_default_and_reference_mode_differ_where_there_is_padding_only():
    default, reference = tiny_retriever(), tiny_retriever(mode="reference")
    frames = torch.randn(2, 4, 3, 16, 16)
    full, half = torch.ones(2, 4, dtype=torch.bool), torch.tensor([[True, True, False, False]] * 2)
    with torch.no_grad():
        for mask, same in ((full, True), (half, False)):
            images = frames * mask[..., None, None, None]
            ours, theirs = (one.encode_videos(images, mask) for one in (default, reference))
            torch.testing.assert_close(ours.frames[mask], theirs.frames[mask], rtol=0, atol=1e-5)  # masked as keys
            texts, _ = encode(default)
            queries, items, k = torch.arange(2), torch.tensor([[0, 1]] * 2), torch.tensor([3, 3])
            estimates = [
                one.bind_denoiser(T2V, texts, videos, queries, items)(torch.zeros(2, 2), k)
                for one, videos in ((default, ours), (reference, theirs))
            ]
            assert torch.allclose(*estimates, atol=1e-5) == same


def test_texts_are_tokenized_and_encoded():
    model = tiny_retriever(architecture(SMALL, text_cfg={"vocab_size": 49408}))
    with torch.no_grad():
        features = model.encode_texts(["a cat", "two dogs play with " * 10])
        single = model.encode_texts(["a cat"])
    assert features.words.shape == (2, 8, 64)
    assert features.word_mask.sum(dim=1).tolist() == [4, 8]
    torch.testing.assert_close(single.sentence[0], features.sentence[0], rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="text 0 is empty"):
        model.encode_texts([" "])


def test_text_for_a_model_with_another_vocabulary_is_refused(model):
    with pytest.raises(ValueError, match="300"):
        model.encode_texts(["a cat"])


def test_video_without_frames_is_refused(model):
    with pytest.raises(ValueError, match="video 0 has no real frame"):
        model.encode_videos(torch.zeros(1, 4, 3, 16, 16), torch.zeros(1, 4, dtype=torch.bool))
    mask = torch.tensor([[True] * 4, [False] * 4])
    with pytest.raises(ValueError, match="video 1 has no real frame"):
        model.encode_videos(torch.zeros(2, 4, 3, 16, 16), mask)


def test_no_draw_of_the_model_touches_the_global_generator(model, gallery):
    torch.manual_seed(3)
    expected = torch.randn(3)
    torch.manual_seed(3)
    generate(model, gallery, T2V)
    assert torch.randn(3).equal(expected)


def test_device_is_the_cpu_or_what_is_asked_for():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("requested", ["gpu", "", "cuda:99"])
def test_device_that_is_not_there_is_refused(requested):
    if requested.startswith("cuda") and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(ValueError, match=f"device '{requested}' is not available here; choose one of: auto, cpu"):
        choose_device(requested)


def test_scoring_can_be_replaced_without_touching_weights(model):
    changed = replace(model.config, scoring=replace(model.config.scoring, alpha=0.25))
    assert changed.scoring.alpha == 0.25 and model.config.scoring.alpha == 1.0


# without noise, and with noise at every step


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_model_without_noise_answers_in_one_pass_from_zeros_whatever_the_seed(gallery, direction):
    model = tiny_retriever(spread=2.0, num_noise_levels=1, noise=False)
    queries = every_query(direction, gallery)
    candidates, sample = generate(model, gallery, direction, seed=5)
    denoise = model.bind_denoiser(direction, *gallery, queries, candidates)
    with torch.no_grad():
        expected = denoise(torch.zeros(sample.shape), torch.ones(len(queries), dtype=torch.long)).clamp(-1, 1)
    torch.testing.assert_close(sample, expected)
    assert generate(model, gallery, direction, seed=6).sample.equal(sample)
    noisy = tiny_retriever(spread=2.0, num_noise_levels=1)
    assert not generate(noisy, gallery, direction, seed=5).sample.equal(sample)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_eta_adds_the_noise_of_each_querys_own_generator(gallery, direction):
    model = tiny_retriever(spread=2.0, scoring=ScoringConfig(num_candidates=3, eta=0.7))
    queries = every_query(direction, gallery)
    candidates, sample = generate(model, gallery, direction)
    own = [generator(0, f"{direction} noise", int(query)) for query in queries]
    noise = draw_noise(own, 3)
    network = model.bind_denoiser(direction, *gallery, queries, candidates)
    with torch.no_grad():
        *_, last = ddim_steps(network, noise, noise_levels(6), noise_schedule(6), eta=0.7, generators=own)
    torch.testing.assert_close(sample, last.x_k)
    assert not torch.allclose(sample, generate(tiny_retriever(spread=2.0), gallery, direction).sample, atol=1e-4)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_walk_can_start_from_the_similarity(gallery, direction):
    """Against the formulas: x_4 = sqrt(alpha_bar[4]) softmax(S / tau) + sqrt(1 - alpha_bar[4]) noise, then DDIM."""
    model = tiny_retriever(spread=2.0, scoring=ScoringConfig(num_candidates=3, start_level=4))
    queries = every_query(direction, gallery)
    candidates, sample = generate(model, gallery, direction, seed=7)
    similarity = similarity_of(model, gallery)
    rows = similarity if direction == T2V else similarity.T
    odds = (float(model.clip.logit_scale.detach().exp()) * rows.gather(1, candidates)).exp()
    noise = draw_noise([generator(7, f"{direction} noise", int(query)) for query in queries], 3)
    kept = float(noise_schedule(6)[4])
    start = kept**0.5 * odds / odds.sum(dim=1, keepdim=True) + (1 - kept) ** 0.5 * noise
    network = model.bind_denoiser(direction, *gallery, queries, candidates)
    with torch.no_grad():
        *_, last = ddim_steps(network, start, [4, 3, 2, 1, 0], noise_schedule(6))
    torch.testing.assert_close(sample, last.x_k)
    assert not torch.allclose(
        sample, generate(tiny_retriever(spread=2.0), gallery, direction, seed=7).sample, atol=1e-4
    )


def test_model_takes_other_noise_levels_as_if_it_had_been_made_with_them():
    model = tiny_retriever()
    take_settings(model, replace(model.config, num_noise_levels=20, schedule="linear"))
    assert model.alpha_bar.equal(noise_schedule(20, "linear"))
