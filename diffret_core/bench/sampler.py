"""The sampler: 50 levels for 1,000 queries in both directions, plain and prepared."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from diffret_core import sampler
from diffret_core.bench.clock import time_alternately
from diffret_core.bench.inputs import Case, Sizes, make_case, make_model
from diffret_core.bench.machine import ENTRY_BYTES, Machine, Work
from diffret_core.bench.rows import Row, compared_rows, largest_difference
from diffret_core.config import DIRECTIONS
from diffret_core.denoiser_compiled import can_walk
from diffret_core.prepared import generate_all
from diffret_core.retriever import Retriever, draw_query_noise

SIZES = Sizes(queries=1000, candidates=32, levels=50, dim=512, frames=12, words=32, videos=1000)
BATCH_SIZES = (8, 32, 128)
PART = 128  # queries of each direction that the plain ways are timed on by default; the fast way does them all

RELEASED, GATHERED = "released order of work", "candidates gathered once"
TENSORS, COMPILED = "prepared", "prepared, walk compiled"


@torch.inference_mode()
def bench_sampler(sizes: Sizes, machine: Machine, *, repeats: int = 3, full: bool = False) -> list[Row]:
    """Time the ways to the same samples, from frame and sentence features and given candidates.

    The released order of work gathers, pools and runs the whole network at every level; the second plain way gathers
    and pools once. Both run in batches of the size that suits them best. The fast ways' times have all preparation;
    the compiled one, on the CPU and with numba installed, is compiled beforehand.

    Args:
        sizes: Of the problem.
        machine: What the machine can do, and where to compute.
        repeats: How often each way is timed.
        full: Whether the plain ways do all queries; otherwise they do `PART` of them, and their time is scaled.
    """
    sizes, device = sizes.checked(), machine.device
    model = make_model(sizes, device)
    cases = [make_case(direction, sizes, device) for direction in DIRECTIONS]
    num_timed = sizes.queries if full else min(PART, sizes.queries)
    few_levels = sampler.noise_levels(sizes.levels, max(1, sizes.levels // 10))
    plain: dict[str, Callable[[], Tensor]] = {}
    batch_sizes = {}
    for name in (RELEASED, GATHERED):
        one = partial(_plain_samples, model, cases, num_queries=num_timed, at_each_level=name == RELEASED)
        tried: dict[str, Callable[[], Tensor]] = {
            str(size): partial(one, batch_size=size, levels=few_levels) for size in BATCH_SIZES
        }
        timed = time_alternately(tried, repeats=1, device=device)
        batch_sizes[name] = int(min(timed, key=lambda size: timed[size].seconds))
        plain[name] = partial(one, batch_size=batch_sizes[name], levels=sampler.noise_levels(sizes.levels))
    fast = {TENSORS: partial(_prepared_samples, model, cases, compiled=False)}
    if can_walk(cases[0].texts.sentence):
        fast[COMPILED] = partial(_prepared_samples, model, cases, compiled=True)
        fast[COMPILED]()  # what is compiled is kept on disk: no part of what a sample takes
    timings = time_alternately({**plain, **fast}, repeats=repeats, device=device)
    *_, fastest = timings.values()
    differences = {
        name: largest_difference(timing.result, fastest.result[:, :num_timed] if name in plain else fastest.result)
        for name, timing in timings.items()
        if timing is not fastest
    }
    scaled = {
        name: timing.scaled(sizes.queries / num_timed) if name in plain else timing for name, timing in timings.items()
    }
    works = {RELEASED: plain_work(sizes, pools=sizes.levels), GATHERED: plain_work(sizes, pools=1)}
    rows = compared_rows(scaled, {**dict.fromkeys(fast, prepared_work(sizes)), **works}, differences, machine, sizes)
    for row in rows:
        row["queries_timed"] = num_timed if row["name"] in plain else sizes.queries
        row["batch_size"] = batch_sizes.get(row["name"])
    return rows


def _plain_samples(
    model: Retriever,
    cases: Sequence[Case],
    *,
    num_queries: int,
    batch_size: int,
    levels: Sequence[int],
    at_each_level: bool,
) -> Tensor:
    """Sample the first queries of both directions with the plain network, in batches."""
    return torch.stack(
        [
            torch.cat([_plain_batch(model, case, queries, levels, at_each_level) for queries in batches])
            for case in cases
            for batches in [torch.arange(num_queries, device=case.items.device).split(batch_size)]
        ]
    )


def _plain_batch(model: Retriever, case: Case, queries: Tensor, levels: Sequence[int], at_each_level: bool) -> Tensor:
    items = case.items[queries]
    bind = partial(model.bind_denoiser, case.direction, case.texts, case.videos, queries, items)
    denoise = (lambda x_k, k: bind()(x_k, k)) if at_each_level else bind()
    noise = draw_query_noise(case.direction, queries, items.shape[1], seed=0).to(case.texts.sentence)
    *_, last = sampler.ddim_steps(denoise, noise, levels, model.alpha_bar)
    return last.x_k


def _prepared_samples(model: Retriever, cases: Sequence[Case], *, compiled: bool) -> Tensor:
    each = (
        generate_all(model, case.direction, case.texts, case.videos, case.items, compiled=compiled) for case in cases
    )
    return torch.stack([generated.sample for generated in each])


def plain_work(sizes: Sizes, *, pools: int) -> Work:
    """Count what the plain network does in both directions, with candidates gathered and pooled so many times.

    Products of D x D matrices, two operations an entry: in either direction key, value and decoder of every candidate
    (1 + 1 + 4), output and noise level (1 + 2) of every query; the query for each text, or for each candidate.
    """
    per_step = 2 * sizes.dim**2 * (2 * (6 * sizes.candidates + 3) + 1 + sizes.candidates)
    gathered = sizes.candidates * sizes.frames * sizes.dim
    pooling = 2 * 4 * gathered
    moved = ENTRY_BYTES * 2 * (sizes.levels * sizes.candidates * sizes.dim + pools * gathered)
    return Work(sizes.levels * per_step + pools * pooling, moved).times(sizes.queries)


def prepared_work(sizes: Sizes) -> Work:
    """Count what the prepared network does in both directions; what a step reads is in the cache and costs nothing."""
    products = 4 * sizes.dim + sizes.levels  # of every frame, and of every text beside M
    of_frames = 2 * sizes.videos * sizes.frames * sizes.dim * products
    of_texts = 2 * sizes.videos * sizes.dim * (products + sizes.dim)
    pair = sizes.candidates * sizes.frames
    condition = 2 * pair * (2 * sizes.dim + products) + 2 * pair * (2 * sizes.dim + sizes.levels)
    steps = 2 * sizes.levels * sizes.candidates * 2 * sizes.dim * 5  # two products and a maximum of 2D numbers
    written = sizes.videos * (sizes.frames + 1) * products
    read = sizes.queries * (pair * (products + sizes.dim) + sizes.candidates * (products + sizes.dim))
    return Work(of_frames + of_texts + sizes.queries * (condition + steps), ENTRY_BYTES * (written + read))
