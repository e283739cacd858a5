"""The compiled walk follows the plain network's DDIM, whatever the sizes; without numba the tensors' walk serves."""

import pytest
import torch
from test_prepared import TOLERANCE, cases, drawn, random_denoiser

from diffret_core import denoiser_compiled
from diffret_core.denoiser_compiled import can_walk, sample, walk
from diffret_core.denoiser_prepared import PreparedDenoiser
from diffret_core.sampler import ddim_steps, noise_levels
from diffret_core.schedule import noise_schedule


@pytest.fixture(params=[1, 3], ids="{} threads".format)
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def plain_steps(network, query, candidates, noise, levels, alpha_bar):
    steps = list(ddim_steps(lambda x, k: network(x, k, query, candidates), noise, levels, alpha_bar))
    return torch.stack([noise, *(step.x_k for step in steps)]), torch.stack([step.x_0_hat for step in steps])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("dim", "num_queries", "num_candidates", "num_levels", "own_query"), list(cases()))
def test_compiled_walk_takes_the_plain_steps(dim, num_queries, num_candidates, num_levels, own_query, dtype, threads):
    for seed in range(2):
        network = random_denoiser(dim, dtype=dtype, seed=seed)
        query = drawn(num_queries, num_candidates if own_query else 1, dim, seed=seed, dtype=dtype)
        candidates = drawn(num_queries, num_candidates, dim, seed=seed + 10, dtype=dtype)
        noise = drawn(num_queries, num_candidates, seed=seed + 20, dtype=dtype)
        prepared, alpha_bar = PreparedDenoiser(network, num_levels), noise_schedule(num_levels)
        given = prepared.condition(query, candidates)
        for num_steps in {1, (num_levels + 1) // 2, num_levels}:
            levels = noise_levels(num_levels, num_steps)
            states, estimates = plain_steps(network, query, candidates, noise, levels, alpha_bar)
            found = walk(prepared, given, noise, levels, alpha_bar)
            torch.testing.assert_close(found.states, states, rtol=0, atol=TOLERANCE[dtype])
            torch.testing.assert_close(found.estimates, estimates, rtol=0, atol=TOLERANCE[dtype])
            torch.testing.assert_close(sample(prepared, given, noise, levels, alpha_bar), found.states[-1])


def one_walk(*, num_queries=3, scale=1.0, noise=None):
    network = random_denoiser(16, dtype=torch.float64)
    network.decoder[-1].weight *= scale
    query, candidates = (drawn(num_queries, size, 16, dtype=torch.float64, seed=size) for size in (1, 6))
    noise = drawn(num_queries, 6, dtype=torch.float64, seed=7) if noise is None else noise
    prepared, levels, alpha_bar = PreparedDenoiser(network, 10), noise_levels(10), noise_schedule(10)
    plain = plain_steps(network, query, candidates, noise, levels, alpha_bar)
    return plain, (prepared, prepared.condition(query, candidates), noise, levels, alpha_bar)


def test_compiled_walk_clamps_estimates_that_leave_the_range():
    (states, estimates), arguments = one_walk(scale=30)
    assert bool((estimates.abs() == 1).any())
    found = walk(*arguments)
    torch.testing.assert_close(found.states, states, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.estimates, estimates, rtol=0, atol=1e-10)


def test_compiled_walk_leaves_its_inputs_alone():
    _, (prepared, given, noise, *rest) = one_walk()
    before = [value.clone() for value in (*given, noise)]
    walk(prepared, given, noise, *rest)
    assert all(torch.equal(value, was) for value, was in zip((*given, noise), before, strict=True))


def test_compiled_walk_hides_no_nan():
    noise = torch.zeros(3, 6, dtype=torch.float64)
    noise[1, 2] = torch.nan
    _, arguments = one_walk(noise=noise)
    found = walk(*arguments)
    assert bool(found.states[-1][1].isnan().all())
    assert bool(found.states[:, [0, 2]].isfinite().all())


def test_compiled_walk_of_a_query_does_not_depend_on_its_batch(threads):
    _, (prepared, given, noise, *rest) = one_walk(num_queries=5)
    together = walk(prepared, given, noise, *rest)
    alone = type(given)(given.logits[:, 3:4], given.context[3:4], given.own[3:4])
    assert torch.equal(walk(prepared, alone, noise[3:4], *rest).states[:, 0], together.states[:, 3])


def test_the_projects_environment_has_the_compiler():
    assert denoiser_compiled.has_compiler()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_compiled_walk_is_for_single_and_double_precision(dtype):
    assert can_walk(torch.zeros(1, 2)) and can_walk(torch.zeros(1, 2).double())
    assert not can_walk(torch.zeros(1, 2, dtype=dtype))


@pytest.fixture
def without_numba(monkeypatch):
    monkeypatch.setattr(denoiser_compiled, "has_compiler", lambda: False)
    monkeypatch.setattr(denoiser_compiled, "_compiled", lambda: pytest.fail("compiled"))


def test_a_sample_without_numba_is_the_same(without_numba):
    (states, _), arguments = one_walk()
    torch.testing.assert_close(sample(*arguments), states[-1], rtol=0, atol=1e-10)
