"""DDIM against diffusers, by its properties, and with networks that know the answer."""

import pytest
import torch
from diffusers import DDIMScheduler

from diffret_core.randomness import generator
from diffret_core.sampler import ddim_steps, draw_noise, noise_levels
from diffret_core.schedule import add_noise, noise_schedule


def own_generators(num_rows, purpose="step noise"):
    return [generator(0, purpose, row) for row in range(num_rows)]


def wavy(x_k, k):
    """Some smooth network whose estimates leave [-1, 1] at times."""
    return 1.5 * torch.sin(3 * x_k + 0.1 * k[:, None])


def walk(denoise, noise, levels, alpha_bar, **options):
    return list(ddim_steps(denoise, noise, levels, alpha_bar, **options))


def diffusers_walk(noise, alpha_bar, *, num_steps, eta, generators):
    num_noise_levels = len(alpha_bar) - 1
    theirs = DDIMScheduler(
        num_train_timesteps=num_noise_levels,
        prediction_type="sample",
        clip_sample=True,
        clip_sample_range=1.0,
        set_alpha_to_one=True,
        timestep_spacing="leading",
    )
    theirs.alphas_cumprod, theirs.final_alpha_cumprod = alpha_bar[1:], alpha_bar[0]
    theirs.set_timesteps(num_steps)
    x_k, states = noise, []
    for t in theirs.timesteps:
        estimate = wavy(x_k, torch.full((len(x_k),), int(t) + 1))
        last = int(t) == int(theirs.timesteps[-1])
        step_noise = torch.zeros_like(noise) if eta == 0 or last else draw_noise(generators, noise.shape[1])
        x_k = theirs.step(
            estimate, int(t), x_k, eta=eta, use_clipped_model_output=True, variance_noise=step_noise
        ).prev_sample
        states.append(x_k)
    return [int(t) + 1 for t in theirs.timesteps] + [0], torch.stack(states)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("kind", "num_steps"), [("cosine", 20), ("cosine", 5), ("linear", 20), ("linear", 4)])
def test_ddim_matches_diffusers(kind, num_steps, eta):
    alpha_bar = noise_schedule(40 if kind == "linear" else 20, kind)
    noise = draw_noise(own_generators(3, "start"), 6)
    levels, expected = diffusers_walk(noise, alpha_bar, num_steps=num_steps, eta=eta, generators=own_generators(3))
    steps = walk(wavy, noise, levels, alpha_bar, eta=eta, generators=own_generators(3))
    states = torch.stack([step.x_k for step in steps])
    assert states.dtype == torch.float32
    torch.testing.assert_close(states, expected.float(), rtol=0, atol=2e-6)


def test_first_step_matches_numbers_by_hand():
    alpha_bar = torch.tensor([1, 0.64, 0.36], dtype=torch.float64)
    first, last = walk(lambda x_k, k: torch.tensor([[0.5, 3.0]]), torch.tensor([[1.1, -0.2]]), [2, 1, 0], alpha_bar)
    # estimate clamped to 0.5 and 1; noise (1.1 - 0.6 * 0.5) / 0.8 = 1 and (-0.2 - 0.6) / 0.8 = -1
    torch.testing.assert_close(first.x_k, torch.tensor([[0.8 * 0.5 + 0.6, 0.8 * 1 - 0.6]]))
    assert first.x_0_hat.tolist() == [[0.5, 1.0]]
    assert (first.k, last.k) == (1, 0)


@pytest.mark.parametrize("levels", [[20, 0], [20, 13, 12, 1, 0], list(range(20, -1, -1)), [7, 3, 0], [1, 0]])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_oracle_is_returned_exactly_over_any_decreasing_levels(levels, eta):
    x_0 = torch.eye(4)[:3]
    steps = walk(
        lambda x_k, k: x_0, torch.randn(3, 4), levels, noise_schedule(20), eta=eta, generators=own_generators(3)
    )
    assert steps[-1].x_k.equal(x_0)
    assert [step.k for step in steps] == levels[1:]


def test_true_estimate_carries_the_same_noise_down_every_level():
    alpha_bar, x_0, epsilon = noise_schedule(20), torch.eye(4)[:2], torch.randn(2, 4)
    for step in walk(
        lambda x_k, k: x_0, add_noise(x_0, torch.tensor([20, 20]), epsilon, alpha_bar), [20, 9, 4, 0], alpha_bar
    ):
        expected = add_noise(x_0, torch.full((2,), step.k), epsilon, alpha_bar)
        torch.testing.assert_close(step.x_k, expected, rtol=0, atol=2e-6)


def test_full_noise_keeps_the_variance_of_the_forward_process():
    alpha_bar, x_0 = noise_schedule(20), torch.zeros(1, 40_000)
    levels = [20, 15, 10, 5]
    *_, last = walk(
        lambda x_k, k: x_0, torch.randn(1, 40_000), levels, alpha_bar, eta=1.0, generators=own_generators(1)
    )
    assert float(last.x_k.var()) == pytest.approx(1 - float(alpha_bar[5]), rel=0.05)


@pytest.mark.parametrize("estimate", [5.0, -5.0])
def test_sample_is_clamped_and_is_the_last_estimate(estimate):
    *_, last = walk(lambda x_k, k: torch.full_like(x_k, estimate), torch.randn(2, 3), [10, 4, 0], noise_schedule(10))
    assert last.x_k.equal(last.x_0_hat)
    assert last.x_k.unique().tolist() == [1.0 if estimate > 0 else -1.0]


def test_sample_of_one_candidate_exists():
    *_, last = walk(wavy, torch.randn(2, 1), [10, 5, 0], noise_schedule(10))
    assert last.x_k.shape == (2, 1) and bool(last.x_k.isfinite().all())


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_row_does_not_depend_on_its_batch(eta):
    noise, alpha_bar = torch.randn(4, 5), noise_schedule(10)
    levels = noise_levels(10)
    *_, together = walk(wavy, noise, levels, alpha_bar, eta=eta, generators=own_generators(4))
    for row in range(4):
        one = [own_generators(4)[row]]
        *_, alone = walk(wavy, noise[row : row + 1], levels, alpha_bar, eta=eta, generators=one)
        torch.testing.assert_close(alone.x_k[0], together.x_k[row], rtol=0, atol=1e-6)


def test_walk_yields_each_step_when_it_is_taken():
    calls = []

    def counting(x_k, k):
        calls.append(k.tolist())
        return x_k

    steps = ddim_steps(counting, torch.zeros(2, 3), [6, 4, 0], noise_schedule(6))
    assert calls == []
    next(steps)
    assert calls == [[6, 6]]
    assert len(list(steps)) == 1 and calls == [[6, 6], [4, 4]]


def test_walk_leaves_the_start_untouched():
    noise = torch.randn(2, 3)
    before = noise.clone()
    walk(wavy, noise, [6, 3, 0], noise_schedule(6))
    assert noise.equal(before)


@pytest.mark.parametrize("levels", [[3, 3, 0], [0, 3], [5, 6, 0]])
def test_walk_refuses_levels_that_do_not_decrease(levels):
    with pytest.raises(ValueError, match="must decrease"):
        walk(wavy, torch.zeros(1, 2), levels, noise_schedule(6))


@pytest.mark.parametrize("levels", [[], [3], [7, 0], [3, -1]])
def test_walk_refuses_levels_outside_the_schedule(levels):
    with pytest.raises(ValueError, match="within 0..6"):
        walk(wavy, torch.zeros(1, 2), levels, noise_schedule(6))


def test_walk_refuses_noise_without_generators():
    with pytest.raises(ValueError, match="one generator per query"):
        walk(wavy, torch.zeros(1, 2), [6, 0], noise_schedule(6), eta=0.5)


@pytest.mark.parametrize("eta", [-0.1, 1.5])  # above 1 the direction to x_k would get an imaginary weight
def test_walk_refuses_an_eta_outside_zero_to_one(eta):
    with pytest.raises(ValueError, match=f"eta is {eta}"):
        walk(wavy, torch.zeros(1, 2), [6, 3, 0], noise_schedule(6), eta=eta, generators=own_generators(1))


def test_walk_from_the_level_that_keeps_nothing_stays_real():
    alpha_bar = noise_schedule(20, "linear")  # alpha_bar[20] = 0
    for step in walk(wavy, torch.randn(2, 3), noise_levels(20), alpha_bar, eta=1.0, generators=own_generators(2)):
        assert step.x_k.dtype == torch.float32 and bool(step.x_k.isfinite().all())


def test_levels_of_a_walk_by_hand():
    assert noise_levels(4) == [4, 3, 2, 1, 0]
    assert noise_levels(50, 5) == [50, 40, 30, 20, 10, 0]
    assert noise_levels(50, 1) == [50, 0]


def test_levels_of_every_walk_decrease_from_the_top_to_zero():
    for num_noise_levels in range(1, 61):
        for num_steps in range(1, num_noise_levels + 1):
            levels = noise_levels(num_noise_levels, num_steps)
            assert (levels[0], levels[-1], len(levels)) == (num_noise_levels, 0, num_steps + 1)
            gaps = [k - k_next for k, k_next in zip(levels, levels[1:], strict=False)]
            assert min(gaps) >= 1 and max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("num_steps", [0, -1, 51])
def test_levels_are_refused_when_there_are_not_that_many(num_steps):
    with pytest.raises(ValueError, match=f"num_steps is {num_steps}"):
        noise_levels(50, num_steps)


def test_noise_of_a_query_comes_from_its_own_generator():
    noise = draw_noise(own_generators(3), 4)
    assert noise[1].equal(torch.randn(4, generator=own_generators(3)[1]))
    assert noise[2:].equal(draw_noise(own_generators(3)[2:], 4))


def test_noise_depends_on_the_batch_only_where_one_generator_serves_all_as_released():
    def released(num_rows):
        return torch.randn(num_rows, 4, generator=generator(0, "global"))

    assert not released(2)[1].equal(released(1)[0])  # query 1 in a batch, and on its own
    assert draw_noise(own_generators(2), 4)[1].equal(draw_noise(own_generators(2)[1:], 4)[0])
