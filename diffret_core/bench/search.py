"""Search: one sentence against a gallery made ready, from the words to the ranked list."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from diffret_core import sampler
from diffret_core.bench.clock import time_alternately
from diffret_core.bench.inputs import VOCABULARY, Sizes, make_model, make_videos
from diffret_core.bench.machine import ENTRY_BYTES, Machine, Work
from diffret_core.bench.rows import Row, compared_rows, largest_difference
from diffret_core.candidates import top_candidates
from diffret_core.features import VideoFeatures
from diffret_core.randomness import generator
from diffret_core.ranking import combined_scores, order
from diffret_core.retriever import Retriever
from diffret_core.search import PreparedGallery, Search, prepare_gallery, search

SIZES = Sizes(queries=8, candidates=32, levels=50, dim=512, frames=12, words=32, videos=1000)
NUM_TEXT_LAYERS = 12  # of CLIP ViT-B/32
PLAIN, UNPREPARED, WARM = "plain network", "gallery not prepared", "warm search"


class Gallery(NamedTuple):
    """A model, videos and sentences to look for.

    Attributes:
        model: The model.
        videos: Features of the videos.
        sentences: What is asked, one after the other.
    """

    model: Retriever
    videos: VideoFeatures
    sentences: Sequence[str]


def made_gallery(sizes: Sizes, sentences: Sequence[str], device: torch.device) -> Gallery:
    """Make a gallery of features of CLIP's size, and a model with a text tower of CLIP's depth and random weights."""
    sizes = sizes.checked()
    model = make_model(sizes, device, num_text_layers=NUM_TEXT_LAYERS, vocabulary=VOCABULARY)
    return Gallery(model, make_videos(sizes.videos, sizes.frames, sizes.dim, device), sentences)


@torch.inference_mode()
def bench_search(gallery: Gallery, name: str, machine: Machine, *, repeats: int = 5) -> list[Row]:
    """Time a search, from the sentence to the ranked list, three ways; seconds are those of one sentence.

    Args:
        gallery: What is searched, and for what.
        name: Of the gallery; it is put before the names of the ways.
        machine: What the machine can do.
        repeats: How often each way is timed with all sentences.
    """
    model, videos, sentences = gallery
    prepared = prepare_gallery(model, videos)
    ways: dict[str, Callable[[], Tensor]] = {
        f"{name}: {PLAIN}": lambda: torch.stack([plain_search(model, videos, text) for text in sentences]),
        f"{name}: {UNPREPARED}": partial(_scores, model, videos, sentences),
        f"{name}: {WARM}": partial(_scores, model, prepared, sentences),
    }
    timings = time_alternately(ways, repeats=repeats, device=model.device)
    *slow, fast = timings
    differences = {way: largest_difference(timings[way].result, timings[fast].result) for way in slow}
    scaled = {way: timing.scaled(1 / len(sentences)) for way, timing in timings.items()}
    sizes = sizes_of(gallery)
    work = search_work(sizes)
    return compared_rows(scaled, dict.fromkeys(ways, work), differences, machine, sizes)


def sizes_of(gallery: Gallery) -> Sizes:
    """Give the sizes of a gallery and of its model."""
    config, (num_videos, num_frames) = gallery.model.config, gallery.videos.frame_mask.shape
    num_candidates = min(config.scoring.num_candidates, num_videos)
    return Sizes(
        queries=len(gallery.sentences),
        candidates=num_candidates,
        levels=config.num_noise_levels,
        dim=config.dim,
        frames=num_frames,
        words=config.max_words,
        videos=num_videos,
    )


def _scores(model: Retriever, videos: VideoFeatures | PreparedGallery, sentences: Sequence[str]) -> Tensor:
    num_videos = len(videos.videos.frames if isinstance(videos, PreparedGallery) else videos.frames)
    names = [str(number) for number in range(num_videos)]
    return torch.stack([_by_video(search(model, videos, names, text)) for text in sentences])


def _by_video(found: Search) -> Tensor:
    """Give the combined score of every video, in the order of the gallery."""
    scores = {int(one.video): one.combined_score for one in found.results}
    return torch.tensor([scores[number] for number in range(len(scores))])


def plain_search(model: Retriever, videos: VideoFeatures, text: str) -> Tensor:
    """Search with nothing prepared and the network as it is defined, and give the combined score of every video."""
    texts = model.encode_texts([text])
    similarity = model.similarity(texts, videos)
    items = top_candidates(similarity, model.config.scoring.num_candidates)
    denoise = model.bind_denoiser("text_to_video", texts, videos, torch.zeros_like(items[:, 0]), items)
    noise = sampler.draw_noise([generator(0, "search noise", text)], items.shape[1]).to(similarity)
    *_, last = model.denoising_steps(denoise, noise)
    scoring = model.config.scoring
    score = combined_scores(similarity, items, last.x_k, alpha=scoring.alpha, temperature=scoring.temperature)
    order(score)  # part of an answer, though only the scores are compared
    return score[0].cpu()


def search_work(sizes: Sizes) -> Work:
    """Count the comparison of one text with all videos, and the steps: what is left when a gallery is ready."""
    num_frames = sizes.videos * sizes.frames
    compare = 2 * sizes.words * num_frames * sizes.dim
    steps = 2 * sizes.levels * sizes.candidates * 2 * sizes.dim * 2.5
    tables = sizes.candidates * sizes.frames * (4 * sizes.dim + sizes.levels)
    return Work(compare + steps, ENTRY_BYTES * (num_frames * sizes.dim + tables))
