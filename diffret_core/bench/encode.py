"""Encoding: frames per second of the image tower and texts per second, one at a time and in batches."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from diffret_core.bench.clock import time_alternately
from diffret_core.bench.machine import ENTRY_BYTES, Machine, Work
from diffret_core.bench.rows import Row, compared_rows, largest_difference
from diffret_core.encoders import encode_frames
from diffret_core.randomness import generator
from diffret_core.retriever import Retriever

NUM_VIDEOS, NUM_TEXTS = 32, 256


@torch.inference_mode()
def bench_encode(
    model: Retriever,
    sentences: Sequence[str],
    machine: Machine,
    *,
    num_videos: int = NUM_VIDEOS,
    repeats: int = 3,
) -> list[Row]:
    """Time both encoders of a model, on random pictures and given sentences.

    Args:
        model: The model.
        sentences: What to encode, tokenizing included.
        machine: What the machine can do.
        num_videos: Videos whose frames are encoded.
        repeats: How often each way is timed.
    """
    config = model.config
    side, num_frames = config.image_size, config.max_frames
    draw = generator(0, "bench pictures")
    images = torch.randn(num_videos, num_frames, 3, side, side, generator=draw).to(model.device)
    frame_mask = torch.ones(num_videos, num_frames, dtype=torch.bool, device=model.device)

    def frames(at_once: int) -> Tensor:
        parts = zip(images.split(at_once), frame_mask.split(at_once), strict=True)
        return torch.cat([encode_frames(model.clip, *part, mode=config.mode) for part in parts])

    def texts(at_once: int) -> Tensor:
        starts = range(0, len(sentences), at_once)
        return torch.cat([model.encode_texts(sentences[start : start + at_once]).sentence for start in starts])

    rows = []
    about = {"frames": num_frames, "dim": config.dim}
    for what, encode, num_items, per_item in (
        ("image tower", frames, num_videos, num_frames),
        ("text encoder", texts, len(sentences), 1),
    ):
        single, batch = f"{what}, one at a time", f"{what}, in batches"
        ways = {single: partial(encode, 1), batch: partial(encode, 16 if what == "image tower" else 64)}
        work = _count(ways[batch], model, images if what == "image tower" else images[:0])
        timings = time_alternately(ways, repeats=repeats, device=model.device)
        difference = largest_difference(timings[single].result, timings[batch].result)
        measured = compared_rows(timings, dict.fromkeys(ways, work), {single: difference}, machine, dict(about))
        for row in measured:
            row.update(items=num_items * per_item, items_per_second=num_items * per_item / row["seconds"])
        rows += measured
    return rows


def _count(way: Callable[[], Tensor], model: Retriever, inputs: Tensor) -> Work:
    """Count the operations of matrix products and convolutions, and the bytes of inputs and weights."""
    with FlopCounterMode(display=False) as counter:
        way()
    num_weights = sum(value.numel() for value in model.clip.parameters())
    return Work(counter.get_total_flops(), ENTRY_BYTES * (num_weights + inputs.numel()))
