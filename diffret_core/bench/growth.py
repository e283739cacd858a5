"""Search in growing galleries: all videos compared with the sentence, against a first cut on a memory-mapped file."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.bench.clock import time_alternately
from diffret_core.bench.machine import ENTRY_BYTES, Machine, Work
from diffret_core.bench.rows import Row, compared_rows
from diffret_core.bench.search import Gallery, search_work, sizes_of
from diffret_core.features import VideoFeatures
from diffret_core.first_cut import first_cut, open_first_cut, write_first_cut
from diffret_core.randomness import generator
from diffret_core.search import PreparedGallery, Search, prepare_gallery, search

GALLERY_SIZES = (1000, 3000, 10_000, 30_000, 100_000)
NUM_KEPT = 500
PART = 1000  # videos made and written at a time
OWN_SHARE = 0.7  # of a made video's frames in the first of the two videos that it is mixed from


class Large(NamedTuple):
    """A large gallery on disk.

    Attributes:
        videos: Its features, mapped into memory.
        vectors: Of the first cut, mapped into memory.
    """

    videos: VideoFeatures
    vectors: Float[Tensor, "V D"]


def bench_growth(
    gallery: Gallery,
    machine: Machine,
    *,
    gallery_sizes: Sequence[int] = GALLERY_SIZES,
    num_kept: int = NUM_KEPT,
    repeats: int = 2,
) -> list[Row]:
    """Time a warm search in galleries of several sizes, both ways, and say what the first cut loses.

    Further videos are mixtures of two of the gallery's own, slot by slot. Times are those of one sentence, from the
    words to the ranked list; what is computed once per gallery is not in them. `recall_of_candidates` is the share of
    the exact N candidates that the first cut keeps, `recall_of_best` how often it keeps the most similar video.

    Args:
        gallery: What is mixed, and what is asked.
        machine: What the machine can do.
        gallery_sizes: Numbers of videos.
        num_kept: Videos that are left to compare after the first cut.
        repeats: How often each way is timed with all sentences.
    """
    rows = []
    for num_videos in gallery_sizes:
        with tempfile.TemporaryDirectory() as folder:
            large = _write(gallery, num_videos, Path(folder))
            rows += _rows(gallery, large, machine, num_kept=num_kept, repeats=repeats)
            del large  # before its files go
    return rows


@torch.inference_mode()
def _rows(gallery: Gallery, large: Large, machine: Machine, *, num_kept: int, repeats: int) -> list[Row]:
    sentences, num_videos = gallery.sentences, len(large.vectors)
    whole = prepare_gallery(gallery.model, VideoFeatures(*(part.to(machine.device) for part in large.videos)))
    names = [str(number) for number in range(num_videos)]
    every, cut = f"{num_videos:,} videos: all compared", f"{num_videos:,} videos: first cut"
    ways = {
        every: partial(_for_all, sentences, partial(_search_all, gallery, whole, names)),
        cut: partial(_for_all, sentences, partial(search_after_cut, gallery, large, num_kept)),
    }
    timings = time_alternately(ways, repeats=repeats, device=machine.device)
    scaled = {way: timing.scaled(1 / len(sentences)) for way, timing in timings.items()}
    exact, found = timings[every].result, timings[cut].result
    sizes = sizes_of(Gallery(gallery.model, large.videos, sentences))
    kept = sizes._replace(videos=min(num_kept, num_videos))
    product = Work(2 * num_videos * sizes.dim, ENTRY_BYTES * num_videos * sizes.dim)
    after = search_work(kept)
    works = {
        every: search_work(sizes),
        cut: Work(product.operations + after.operations, product.num_bytes + after.num_bytes),
    }
    about = {**sizes._asdict(), "kept": kept.videos}
    rows = compared_rows(scaled, works, {every: _difference(exact, found)}, machine, about)
    rows[-1] |= _recall(exact, found)
    return rows


def _for_all(sentences: Sequence[str], ask: Callable[[str], Search]) -> list[Search]:
    return [ask(text) for text in sentences]


def _search_all(gallery: Gallery, whole: PreparedGallery, names: Sequence[str], text: str) -> Search:
    return search(gallery.model, whole, names, text)


def search_after_cut(gallery: Gallery, large: Large, num_kept: int, text: str) -> Search:
    """Search among the videos that the first cut leaves; ids are places in the large gallery."""
    texts = gallery.model.encode_texts([text])
    kept = first_cut(gallery.model, texts, large.vectors, num_kept)[0].sort().values  # in the order of the file
    few = VideoFeatures(*(part[kept].to(gallery.model.device) for part in large.videos))
    return search(gallery.model, few, [str(number) for number in kept.tolist()], text)


def _recall(exact: Sequence[Search], found: Sequence[Search]) -> Row:
    kept = [{one.video for one in answer.results} for answer in found]
    asked = list(zip(exact, kept, strict=True))
    shares = [len(videos & set(answer.candidates)) / len(answer.candidates) for answer, videos in asked]
    hits = [answer.candidates[0] in videos for answer, videos in asked]
    return {"recall_of_candidates": sum(shares) / len(shares), "recall_of_best": sum(hits) / len(hits)}


def _difference(exact: Sequence[Search], found: Sequence[Search]) -> float:
    """Give the largest difference in similarity of a video that both ways compared with the sentence."""
    largest = 0.0
    for one, other in zip(exact, found, strict=True):
        similarity = {result.video: result.similarity for result in one.results}
        largest = max(largest, *(abs(similarity[result.video] - result.similarity) for result in other.results))
    return largest


def _write(gallery: Gallery, num_videos: int, folder: Path) -> Large:
    """Write a gallery's features and the vectors of its first cut, part by part."""
    num_frames, dim = gallery.videos.frames.shape[1:]
    frames = np.lib.format.open_memmap(
        folder / "frames.npy", mode="w+", dtype=np.float32, shape=(num_videos, num_frames, dim)
    )
    masks = torch.empty(num_videos, num_frames, dtype=torch.bool)

    def written() -> Iterator[VideoFeatures]:
        for start in range(0, num_videos, PART):
            part = _mixed(gallery.videos, start, min(PART, num_videos - start))
            stop = start + len(part.frames)
            frames[start:stop], masks[start:stop] = part.frames.float().cpu().numpy(), part.frame_mask.cpu()
            yield part

    write_first_cut(folder / "cut.npy", gallery.model, written(), num_videos)
    frames.flush()
    mapped = torch.from_numpy(np.load(folder / "frames.npy", mmap_mode="c"))
    return Large(VideoFeatures(mapped, masks), open_first_cut(folder / "cut.npy"))


def _mixed(videos: VideoFeatures, start: int, num_videos: int) -> VideoFeatures:
    """Make some videos: the gallery's own come first, then mixtures of two, real where both have a frame."""
    place, num_own = torch.arange(start, start + num_videos), len(videos.frames)
    other = torch.randint(num_own, (num_videos,), generator=generator(0, "bench mixtures", start))
    share = torch.where(place < num_own, 1.0, OWN_SHARE)[:, None, None].to(videos.frames)
    one, other = place.to(videos.frames.device) % num_own, other.to(videos.frames.device)
    own_mask = videos.frame_mask[one]
    both = own_mask & (videos.frame_mask[other] | (share[..., 0] == 1))
    frame_mask = torch.where(both.any(dim=1, keepdim=True), both, own_mask)
    return VideoFeatures(share * videos.frames[one] + (1 - share) * videos.frames[other], frame_mask)
