"""Similarity at benchmark size: time, share of the machine's matrix-product rate, memory above the inputs."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from diffret_core.bench.clock import Timing, time_alternately
from diffret_core.bench.inputs import Sizes, make_model, make_texts, make_videos
from diffret_core.bench.machine import ENTRY_BYTES, Machine, PeakMemory, Work
from diffret_core.bench.rows import Row, compared_rows, largest_difference
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.retriever import Progress, Retriever
from diffret_core.similarity import TokenInteraction, masked_softmax

SIZES = Sizes(queries=4917, candidates=1, levels=1, dim=512, frames=64, words=64, videos=4917)
OTHER_SIZES = SIZES._replace(queries=27763, videos=670)
PART = 4  # of the texts and of the videos: a sixteenth of all pairs
AT_ONCE = (8, 32)  # texts and videos whose cosines the plain way holds at once
PLAIN, BLOCKS = "all cosines at once", "in blocks"


@torch.inference_mode()
def bench_similarity(
    sizes: Sizes, machine: Machine, *, repeats: int = 1, full: bool = False, progress: Progress | None = None
) -> list[Row]:
    """Time the similarity of all texts with all videos; the plain way is timed on a small piece and scaled.

    Args:
        sizes: Of the whole problem; for the default ones a second problem is measured too.
        machine: What the machine can do, and where to compute.
        repeats: How often.
        full: Whether to compare all pairs; otherwise a sixteenth of them.
        progress: Told how many texts are compared, and of how many.
    """
    problems = (OTHER_SIZES, SIZES) if sizes == SIZES else (sizes,)
    return [
        row for one in problems for row in _rows(one.checked(), machine, repeats=repeats, full=full, progress=progress)
    ]


def _rows(sizes: Sizes, machine: Machine, *, repeats: int, full: bool, progress: Progress | None) -> list[Row]:
    share = 1 if full else PART
    num_texts, num_videos = -(-sizes.queries // share), -(-sizes.videos // share)
    device = machine.device
    model = make_model(sizes._replace(candidates=1), device)
    texts = make_texts(num_texts, sizes.words, sizes.dim, device)
    videos = make_videos(num_videos, sizes.frames, sizes.dim, device)
    few_texts = TextFeatures(*(part[: AT_ONCE[0]] for part in texts))
    few_videos = VideoFeatures(*(part[: AT_ONCE[1]] for part in videos))
    ways: dict[str, Callable[[], Any]] = {
        PLAIN: partial(similarity_at_once, model.interaction, few_texts, few_videos),
        BLOCKS: partial(_similarity_and_memory, model, texts, videos, progress),
    }
    timings = time_alternately(ways, repeats=repeats, device=device)
    similarity, peak_bytes = timings[BLOCKS].result
    of_few = timings[PLAIN].result
    difference = largest_difference(of_few, similarity[: len(of_few), : of_few.shape[1]])
    scaled = {
        PLAIN: timings[PLAIN].scaled(num_texts * num_videos / of_few.numel()),
        BLOCKS: timings[BLOCKS],
    }
    done = sizes._replace(queries=num_texts, videos=num_videos)
    work = similarity_work(done)
    about = {
        **done._asdict(),
        "part": "all pairs" if full else f"a sixteenth of {sizes.queries} x {sizes.videos}",
    }
    rows = compared_rows(scaled, {PLAIN: work, BLOCKS: work}, {PLAIN: difference}, machine, about)
    for row in rows:
        row["rate_share"] = _rate_share(scaled[row["name"]], work, machine)
        row["bytes_above_inputs"] = peak_bytes if row["name"] == BLOCKS else None
    return rows


def _similarity_and_memory(
    model: Retriever, texts: TextFeatures, videos: VideoFeatures, progress: Progress | None
) -> tuple[Tensor, int | None]:
    memory = PeakMemory(texts.words.device)
    similarity = model.similarity(texts, videos, progress=progress)
    return similarity, memory.num_bytes()


def _rate_share(timing: Timing, work: Work, machine: Machine) -> float:
    return work.operations / timing.seconds / machine.operations_per_second


def similarity_at_once(
    interaction: TokenInteraction, texts: TextFeatures, videos: VideoFeatures
) -> Float[Tensor, "T V"]:
    """Compare texts and videos as SPEC section 5 reads: all cosines, masked, then both sums; the default mode."""
    of_words = masked_softmax(interaction.word_score(texts.words).squeeze(-1), texts.word_mask)
    of_frames = masked_softmax(interaction.frame_score(videos.frames).squeeze(-1), videos.frame_mask)
    words, frames = functional.normalize(texts.words, dim=-1), functional.normalize(videos.frames, dim=-1)
    cosine = torch.einsum("twd,vfd->tvwf", words, frames)
    real = texts.word_mask[:, None, :, None] & videos.frame_mask[None, :, None]
    cosine = cosine.masked_fill(~real, -2)  # below every cosine
    from_words = torch.einsum("tvw,tw->tv", cosine.amax(dim=3), of_words)
    from_frames = torch.einsum("tvf,vf->tv", cosine.amax(dim=2), of_frames)
    return (from_words + from_frames) / 2


def similarity_work(sizes: Sizes) -> Work:
    """Count cosines and the networks that weigh tokens; every feature is read once, every similarity written once."""
    num_words, num_frames = sizes.queries * sizes.words, sizes.videos * sizes.frames
    cosines = 2 * num_words * num_frames * sizes.dim
    weighing = 2 * (num_words + num_frames) * 2 * sizes.dim * (sizes.dim + 1)
    num_bytes = ENTRY_BYTES * ((num_words + num_frames) * sizes.dim + sizes.queries * sizes.videos)
    return Work(cosines + weighing, num_bytes)
