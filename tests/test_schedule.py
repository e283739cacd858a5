"""The noise schedule and the forward process, against worked numbers, diffusers, and 50-digit arithmetic."""

import inspect
import math

import mpmath
import pytest
import torch
from diffusers import DDPMScheduler

from diffret_core.schedule import add_noise, noise_schedule

BOTH_KINDS = [(kind, levels) for kind in ("cosine", "linear") for levels in (20, 50, 100, 1000)]


def test_cosine_schedule_matches_numbers_by_hand():
    def kept(u):
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    expected = [1, kept(0.5) / kept(0), kept(0.5) / kept(0) * 0.001]  # the last beta is capped at 0.999
    assert noise_schedule(2, "cosine").tolist() == pytest.approx(expected, rel=1e-12)


def test_linear_schedule_matches_numbers_by_hand():
    alpha_bar = noise_schedule(20, "linear")  # betas from 0.005 to 1 in 19 equal steps
    step = (1 - 0.005) / 19
    expected = [1, 0.995, 0.995 * (0.995 - step), 0.995 * (0.995 - step) * (0.995 - 2 * step)]
    assert alpha_bar[:4].tolist() == pytest.approx(expected, rel=1e-12)
    assert float(alpha_bar[20]) == pytest.approx(0, abs=1e-18)


def test_schedule_is_cosine_by_default():
    assert noise_schedule(50).equal(noise_schedule(50, "cosine"))


@pytest.mark.parametrize(("kind", "num_noise_levels"), [*BOTH_KINDS, ("cosine", 1), ("cosine", 2)])
def test_schedule_starts_at_one_and_decreases_in_float64(kind, num_noise_levels):
    alpha_bar = noise_schedule(num_noise_levels, kind)
    assert alpha_bar.dtype == torch.float64
    assert len(alpha_bar) == num_noise_levels + 1
    assert float(alpha_bar[0]) == 1
    assert bool((alpha_bar.diff() < 0).all()) and float(alpha_bar[-1]) >= 0


@pytest.mark.parametrize(("kind", "num_noise_levels"), BOTH_KINDS)
def test_schedule_matches_diffusers(kind, num_noise_levels):
    stretch = 1000 / num_noise_levels
    form = {"cosine": "squaredcos_cap_v2", "linear": "linear"}[kind]
    theirs = DDPMScheduler(
        num_train_timesteps=num_noise_levels, beta_schedule=form, beta_start=1e-4 * stretch, beta_end=0.02 * stretch
    ).alphas_cumprod
    torch.testing.assert_close(noise_schedule(num_noise_levels, kind)[1:].float(), theirs, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_schedule_keeps_the_digits_of_float64_at_a_thousand_levels(kind):
    mpmath.mp.dps = 50
    kept, exact = mpmath.mpf(1), []
    for k in range(1, 1001):
        beta = mpmath.mpf("1e-4") + (k - 1) * (mpmath.mpf("0.02") - mpmath.mpf("1e-4")) / 999
        if kind == "cosine":
            a, b = (mpmath.cos((mpmath.mpf(i) / 1000 + 0.008) / 1.008 * mpmath.pi / 2) ** 2 for i in (k, k - 1))
            beta = min(1 - a / b, mpmath.mpf("0.999"))
        kept *= 1 - beta
        exact.append(float(mpmath.sqrt(1 - kept)))
    ours = (1 - noise_schedule(1000, kind)[1:]).sqrt()
    torch.testing.assert_close(ours, torch.tensor(exact, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("num_noise_levels", [1, 10, 19])
def test_linear_schedule_is_refused_when_a_beta_would_exceed_one(num_noise_levels):
    with pytest.raises(ValueError, match=f"{num_noise_levels}.*linear.*at least 20.*cosine"):
        noise_schedule(num_noise_levels, "linear")


@pytest.mark.parametrize("num_noise_levels", [0, -3])
def test_schedule_is_refused_without_levels(num_noise_levels):
    with pytest.raises(ValueError, match=f"num_noise_levels is {num_noise_levels}"):
        noise_schedule(num_noise_levels, "cosine")


def test_schedule_of_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'quadratic'.*'cosine' or 'linear'"):
        inspect.unwrap(noise_schedule)(50, "quadratic")  # unwrapped: the tests' type check would refuse it first


def test_forward_process_matches_numbers_by_hand():
    alpha_bar = torch.tensor([1, 0.64, 0.25], dtype=torch.float64)
    x_0, epsilon = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[2.0, -1.0], [2.0, -1.0]])
    x_k = add_noise(x_0, torch.tensor([1, 2]), epsilon, alpha_bar)
    expected = [[0.8 + 0.6 * 2, -0.6], [0.5 + 0.75**0.5 * 2, -(0.75**0.5)]]
    torch.testing.assert_close(x_k, torch.tensor(expected))


def test_forward_process_at_level_zero_gives_the_clean_distribution():
    x_0 = torch.rand(3, 4)
    assert add_noise(x_0, torch.zeros(3, dtype=torch.long), torch.randn(3, 4), noise_schedule(10)).equal(x_0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_forward_process_keeps_dtype_and_takes_the_square_root_first(dtype):
    alpha_bar = noise_schedule(1000, "linear")  # 1 - 1e-4 at level 1: float32 before the root would lose digits
    x_k = add_noise(torch.zeros(1, 1, dtype=dtype), torch.tensor([1]), torch.ones(1, 1, dtype=dtype), alpha_bar)
    assert x_k.dtype == dtype
    assert float(x_k) == pytest.approx(0.01, rel=3e-7 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("level", [-1, 11])
def test_forward_process_refuses_levels_outside_the_schedule(level):
    with pytest.raises(ValueError, match=rf"{level}.*0 to 10"):
        add_noise(torch.zeros(2, 3), torch.tensor([5, level]), torch.zeros(2, 3), noise_schedule(10))
