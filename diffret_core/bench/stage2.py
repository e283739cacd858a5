"""A training step of stage 2: forward and backward of both directions, plain and with work shared across the batch."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from diffret_core.bench.clock import time_alternately
from diffret_core.bench.inputs import Case, Sizes, make_case, make_model
from diffret_core.bench.machine import ENTRY_BYTES, Machine, Work
from diffret_core.bench.rows import Row, compared_rows
from diffret_core.config import DIRECTIONS
from diffret_core.losses import generation_loss
from diffret_core.randomness import generator
from diffret_core.retriever import Retriever
from diffret_core.schedule import Denoise
from diffret_core.training.shared import bind_shared

SIZES = Sizes(queries=128, candidates=128, levels=50, dim=512, frames=12, words=32, videos=2000)
PLAIN, SHARED = "plain network", "shared across the batch"


def bench_stage2(sizes: Sizes, machine: Machine, *, repeats: int = 3) -> list[Row]:
    """Time the loss of a batch and its gradients, from cached features and given candidates; the optimiser is left out.

    Twice: with candidates from the batch's own pairs, and with candidates from the whole collection.

    Args:
        sizes: Of the problem: B queries, N candidates.
        machine: What the machine can do, and where to compute.
        repeats: How often each way is timed.
    """
    sizes, device = sizes.checked(), machine.device
    model = make_model(sizes, device)
    for direction in DIRECTIONS:
        model.denoiser(direction).requires_grad_(True)
    rows = []
    own = sizes._replace(videos=sizes.queries, candidates=min(sizes.candidates, sizes.queries))
    for source, chosen in (("batch", own), ("collection", sizes)):
        cases = [make_case(direction, chosen, device) for direction in DIRECTIONS]
        ways = {name: partial(_gradients, model, cases, bind) for name, bind in ((PLAIN, _plain), (SHARED, _shared))}
        works = {name: _count(way, model, chosen) for name, way in ways.items()}
        timings = time_alternately(ways, repeats=repeats, device=device)
        difference = relative_difference(timings[PLAIN].result, timings[SHARED].result)
        about = {**chosen._asdict(), "candidates_from": source, "optimiser": "left out"}
        rows += compared_rows(timings, works, {PLAIN: difference}, machine, about)
    return rows


def _plain(model: Retriever, case: Case, queries: Tensor) -> Denoise:
    return model.bind_denoiser(case.direction, case.texts, case.videos, queries, case.items)


def _shared(model: Retriever, case: Case, queries: Tensor) -> Denoise:
    return bind_shared(model, case.direction, case.texts, case.videos, queries=queries, items=case.items)


def _gradients(
    model: Retriever, cases: list[Case], bind: Callable[[Retriever, Case, Tensor], Denoise]
) -> dict[str, Tensor]:
    """Give the loss of a batch, summed over both directions, and its gradients, by name."""
    learnt = {name: value for name, value in model.named_parameters() if value.requires_grad}
    losses = []
    for case in cases:
        draw = generator(0, f"bench {case.direction} noise")
        k = torch.randint(1, model.config.num_noise_levels + 1, (len(case.items),), generator=draw)
        epsilon = torch.randn(case.items.shape, generator=draw).to(case.texts.sentence)
        denoise = bind(model, case, torch.arange(len(case.items), device=epsilon.device))
        losses.append(generation_loss(denoise, k.to(epsilon.device), epsilon, model.alpha_bar))
    loss = torch.stack(losses).sum()
    gradients = torch.autograd.grad(loss, list(learnt.values()))
    return {"loss": loss.detach(), **dict(zip(learnt, gradients, strict=True))}


def relative_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Give the largest difference of any tensor, divided by its largest entry where that is above 1."""
    return max(float((other[name] - value).abs().max() / value.abs().max().clamp(min=1)) for name, value in one.items())


def _count(way: Callable[[], object], model: Retriever, sizes: Sizes) -> Work:
    """Count the operations of matrix products, and the bytes of features, weights and gradients."""
    with FlopCounterMode(display=False) as counter:
        way()
    num_weights = sum(value.numel() for value in model.parameters() if value.requires_grad)
    num_features = 2 * sizes.queries * (1 + sizes.frames) * sizes.dim
    return Work(counter.get_total_flops(), ENTRY_BYTES * (3 * num_weights + num_features))
