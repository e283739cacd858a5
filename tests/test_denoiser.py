"""The denoising network: against the slow loops of slow_denoiser.py, by hand, and by its properties."""

import math

import pytest
import torch
from slow_denoiser import slow_estimate, slow_noise_level_code, slow_pool
from tiny_models import random_features

from diffret_core.denoiser import Denoiser, NoiseLevelCode, pool_frames, sinusoidal_code


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Denoiser(8).requires_grad_(False)


@pytest.fixture
def batch():
    """x_k, k, candidates: 3 rows of 5 candidates."""
    draw = torch.Generator().manual_seed(2)
    return torch.randn(3, 5, generator=draw), torch.tensor([1, 4, 50]), torch.randn(3, 5, 8, generator=draw)


def queries_of(num_queries):
    return torch.randn(3, num_queries, 8, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("num_queries", [1, 5])
def test_denoiser_matches_a_loop_over_candidates(network, batch, num_queries):
    x_k, k, candidates = batch
    queries = queries_of(num_queries)
    computed = network(x_k, k, queries, candidates)
    for row in range(3):
        of_candidate = [queries[row, j % num_queries] for j in range(5)]
        expected = slow_estimate(network, x_k[row], int(k[row]), of_candidate, candidates[row])
        torch.testing.assert_close(computed[row].double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("num_queries", [1, 5])
def test_denoiser_is_equivariant_to_candidate_order(network, batch, num_queries):
    x_k, k, candidates = batch
    queries, order = queries_of(num_queries), torch.tensor([3, 0, 4, 2, 1])
    moved = queries if num_queries == 1 else queries[:, order]
    expected = network(x_k, k, queries, candidates)[:, order]
    torch.testing.assert_close(network(x_k[:, order], k, moved, candidates[:, order]), expected)


def test_denoiser_rows_do_not_depend_on_one_another(network, batch):
    x_k, k, candidates = batch
    together = network(x_k, k, queries_of(1), candidates)
    alone = network(x_k[1:2], k[1:2], queries_of(1)[1:2], candidates[1:2])
    torch.testing.assert_close(alone, together[1:2])


def test_denoiser_ignores_a_constant_added_to_the_noisy_state(network, batch):
    x_k, k, candidates = batch  # x_k enters only as an attention logit
    torch.testing.assert_close(
        network(x_k + 7, k, queries_of(1), candidates), network(x_k, k, queries_of(1), candidates)
    )


def test_denoiser_of_one_candidate_gives_all_attention_to_it(network, batch):
    _, k, candidates = batch
    computed = network(torch.randn(3, 1), k, queries_of(1), candidates[:, :1])
    assert computed.equal(network(torch.zeros(3, 1), k, queries_of(1), candidates[:, :1]))


def test_denoiser_reads_the_noise_level(network, batch):
    x_k, k, candidates = batch
    other = network(x_k, k + 1, queries_of(1), candidates)
    assert not torch.allclose(other, network(x_k, k, queries_of(1), candidates), atol=1e-4)


def test_denoiser_has_2_63_million_parameters_at_512():
    assert sum(value.numel() for value in Denoiser(512).parameters()) == 2_625_025


def test_denoiser_trains_every_parameter(batch):
    x_k, k, candidates = batch
    fresh = Denoiser(8)
    fresh(x_k, k, queries_of(1), candidates).square().sum().backward()
    assert all(value.grad is not None and float(value.grad.abs().sum()) > 0 for value in fresh.parameters())


def test_denoiser_refuses_another_number_of_queries(network, batch):
    x_k, k, candidates = batch
    with pytest.raises(ValueError, match="2 vectors a row; expected 1 or 5"):
        network(x_k, k, queries_of(2), candidates)


def test_denoiser_refuses_the_clean_level(network, batch):
    x_k, _, candidates = batch
    with pytest.raises(ValueError, match="noise level 0 cannot be denoised"):
        network(x_k, torch.tensor([3, 0, 1]), queries_of(1), candidates)


def test_denoiser_refuses_an_odd_size():
    with pytest.raises(ValueError, match="dim is 7"):
        Denoiser(7)


def test_sinusoidal_code_matches_numbers_by_hand():
    code = sinusoidal_code(torch.tensor([1, 2, 4]), 4)
    expected = [[math.sin(p), math.cos(p), math.sin(p / 100), math.cos(p / 100)] for p in (0, 1, 3)]
    torch.testing.assert_close(code, torch.tensor(expected), rtol=0, atol=1e-6)
    assert code.dtype == torch.float32


def test_noise_level_code_matches_the_slow_one(network):
    computed = network.noise_level_code(torch.tensor([17]))[0]
    torch.testing.assert_close(computed.double(), slow_noise_level_code(network, 17), rtol=0, atol=1e-6)


def test_noise_level_code_follows_the_weights_precision():
    assert NoiseLevelCode(8).double()(torch.tensor([3])).dtype == torch.float64


def test_pooled_video_matches_numbers_by_hand():
    frames = torch.tensor([[[math.log(3.0), 0.0], [0.0, 2.0]]])
    pooled = pool_frames(torch.tensor([[1.0, 0.0]]), frames, torch.tensor([[True, True]]))
    torch.testing.assert_close(pooled, torch.tensor([[0.75 * math.log(3.0), 0.25 * 2]]))  # weights 3/4 and 1/4


@pytest.mark.parametrize("mode", ["default", "reference"])
def test_pooled_videos_match_a_loop_over_frames(mode):
    texts, videos = random_features(3, 4, dim=8)
    pooled = pool_frames(texts.sentence[:, None], videos.frames[None], videos.frame_mask[None], mode=mode)  # [T, V, D]
    for t, sentence in enumerate(texts.sentence):
        for v in range(4):
            expected = slow_pool(sentence, videos.frames[v], videos.frame_mask[v], mode=mode)
            torch.testing.assert_close(pooled[t, v].double(), expected, rtol=0, atol=1e-5)


def test_pooled_video_does_not_depend_on_padding():
    texts, videos = random_features(2, 2, dim=8)
    more = torch.cat([videos.frames, 100 * torch.ones(2, 3, 8)], dim=1)
    more_mask = torch.cat([videos.frame_mask, torch.zeros(2, 3, dtype=torch.bool)], dim=1)
    expected = pool_frames(texts.sentence, videos.frames, videos.frame_mask)
    torch.testing.assert_close(pool_frames(texts.sentence, more, more_mask), expected)


def test_pooled_video_loses_weight_to_padding_only_in_reference_mode():
    sentence, frames = torch.zeros(1, 4), torch.ones(1, 4, 4)  # every score is 0: a softmax over 4 slots gives 1/4
    frame_mask = torch.tensor([[True, False, False, False]])
    torch.testing.assert_close(pool_frames(sentence, frames, frame_mask), torch.ones(1, 4))
    torch.testing.assert_close(pool_frames(sentence, frames, frame_mask, mode="reference"), torch.full((1, 4), 0.25))
