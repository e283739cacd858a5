"""The two losses, by hand and against torch's own cross-entropy and divergence."""

import math

import pytest
import torch
from torch.nn import functional

from diffret_core.losses import contrastive_loss, generation_loss
from diffret_core.schedule import add_noise, noise_schedule

ALPHA_BAR = noise_schedule(10)


def scale(value):
    return torch.tensor(float(value))


def test_contrastive_loss_matches_numbers_by_hand():
    similarity = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    # rows: 3/4 and 1/2; columns: 3/4 and 1/2
    expected = -(math.log(3 / 4) + math.log(1 / 2)) / 2
    assert float(contrastive_loss(similarity, scale(1))) == pytest.approx(expected)


def test_contrastive_loss_matches_torch_and_is_symmetric():
    similarity = torch.randn(6, 6)
    target = torch.arange(6)
    expected = (
        functional.cross_entropy(20 * similarity, target) + functional.cross_entropy(20 * similarity.T, target)
    ) / 2
    torch.testing.assert_close(contrastive_loss(similarity, scale(20)), expected)
    torch.testing.assert_close(contrastive_loss(similarity.T, scale(20)), expected)


def test_contrastive_loss_of_a_batch_without_duplicates_ignores_the_mask():
    similarity = torch.randn(4, 4)
    own = torch.eye(4, dtype=torch.bool)
    expected = contrastive_loss(similarity, scale(5))
    torch.testing.assert_close(contrastive_loss(similarity, scale(5), same_video=own), expected)
    torch.testing.assert_close(contrastive_loss(similarity, scale(5), same_video=torch.zeros_like(own)), expected)


def test_contrastive_loss_leaves_out_a_second_caption_of_the_same_video():
    similarity = torch.zeros(3, 3)
    same = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    # pairs 0 and 1 compete with one negative, pair 2 with two
    expected = (math.log(2) + math.log(2) + math.log(3)) / 3
    assert float(contrastive_loss(similarity, scale(1), same_video=same)) == pytest.approx(expected)


def test_contrastive_loss_counts_a_second_caption_as_negative_when_no_mask_is_given_as_released():
    similarity = torch.tensor([[0.9, 0.9, 0.1], [0.9, 0.9, 0.2], [0.1, 0.0, 0.8]])  # 0 and 1 are one video
    same = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    released = contrastive_loss(similarity, scale(10))
    ours = contrastive_loss(similarity, scale(10), same_video=same)
    assert float(released) > float(ours) + 0.4  # the false negative costs up to ln 2 in two of three rows


def test_contrastive_loss_gives_no_gradient_to_a_false_negative():
    similarity = torch.randn(3, 3, requires_grad=True)
    same = torch.eye(3, dtype=torch.bool)
    same[0, 1] = True
    contrastive_loss(similarity, scale(3), same_video=same).backward()
    assert bool(similarity.grad.isfinite().all())
    assert float(similarity.grad[0, 1]) == 0 and float(similarity.grad[1, 0]) != 0


def constant_estimate(values):
    return lambda x_k, k: torch.tensor(values).expand(len(x_k), -1)


def test_generation_loss_matches_numbers_by_hand():
    denoise = constant_estimate([0.02, 0.01, 0.0])
    k, epsilon = torch.tensor([1, 5]), torch.zeros(2, 3)
    expected = -math.log(math.exp(2) / (math.exp(2) + math.exp(1) + 1))
    assert float(generation_loss(denoise, k, epsilon, ALPHA_BAR)) == pytest.approx(expected, rel=1e-5)
    smaller = -math.log(math.exp(0.2) / (math.exp(0.2) + math.exp(0.1) + 1))
    assert float(generation_loss(denoise, k, epsilon, ALPHA_BAR, loss_scale=10.0)) == pytest.approx(smaller, rel=1e-5)


def test_generation_loss_is_the_divergence_from_the_clean_distribution():
    estimate, k = 0.05 * torch.randn(4, 5), torch.tensor([1, 2, 3, 10])
    one_hot = functional.one_hot(torch.zeros(4, dtype=torch.long), 5).float()
    divergence = functional.kl_div((100 * estimate).log_softmax(dim=1), one_hot, reduction="batchmean")
    torch.testing.assert_close(generation_loss(lambda x_k, k: estimate, k, torch.randn(4, 5), ALPHA_BAR), divergence)


def test_generation_loss_as_squared_error_matches_numbers_by_hand():
    loss = generation_loss(constant_estimate([0.5, 0.5]), torch.tensor([3]), torch.zeros(1, 2), ALPHA_BAR, kind="mse")
    assert float(loss) == pytest.approx(0.25)


def test_generation_loss_shows_the_network_the_noised_clean_distribution():
    seen = {}

    def denoise(x_k, k):
        seen.update(x_k=x_k, k=k)
        return x_k

    k, epsilon = torch.tensor([2, 9]), torch.randn(2, 3)
    generation_loss(denoise, k, epsilon, ALPHA_BAR)
    x_0 = torch.tensor([[1.0, 0, 0], [1.0, 0, 0]])
    torch.testing.assert_close(seen["x_k"], add_noise(x_0, k, epsilon, ALPHA_BAR))
    assert seen["k"].equal(k)


def test_generation_loss_of_a_perfect_network_is_zero():
    assert (
        float(generation_loss(constant_estimate([1.0, 0.0]), torch.tensor([4]), torch.randn(1, 2), ALPHA_BAR)) < 1e-30
    )


def test_generation_loss_refuses_a_level_outside_the_schedule():
    with pytest.raises(ValueError, match="0 to 10"):
        generation_loss(constant_estimate([1.0, 0.0]), torch.tensor([11]), torch.zeros(1, 2), ALPHA_BAR)


def test_generation_loss_sees_an_offset_only_with_its_penalty():
    k, epsilon = torch.tensor([4]), torch.zeros(1, 4)
    near, far = constant_estimate([1.0, 0.0, 0.0, 0.0]), constant_estimate([6.0, 5.0, 5.0, 5.0])  # means 1/4, 1/4 + 5
    plain = [float(generation_loss(one, k, epsilon, ALPHA_BAR, loss_scale=2.0)) for one in (near, far)]
    assert plain[0] == pytest.approx(plain[1], abs=1e-5)
    held = [
        float(generation_loss(one, k, epsilon, ALPHA_BAR, loss_scale=2.0, offset_penalty=0.5)) for one in (near, far)
    ]
    assert held[0] == pytest.approx(plain[0], abs=1e-5)
    assert held[1] == pytest.approx(plain[1] + 0.5 * 25, rel=1e-5)
