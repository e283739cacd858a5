"""A first cut through a large gallery: one matrix product on a memory-mapped file tells which videos to compare.

The similarity takes the best frame for every word and the best word for every frame. With weighted means in place of
both maxima it is a single product of two vectors, and never larger:

    <sum over t of w_t word_t, sum over v of w_v frame_v>  <=  similarity        words and frames scaled to size 1

So a gallery of any size needs one vector a video on disk; only the videos kept are compared word by frame. A plain CLIP
model compares by one vector each anyway.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.retriever import Retriever
from diffret_core.similarity import TokenBlock
from diffret_core.zero_shot import ZeroShot


@torch.no_grad()
def write_first_cut(
    path: Path | str, model: Retriever | ZeroShot, parts: Iterable[VideoFeatures], num_videos: int
) -> None:
    """Write the vectors of a gallery, which comes in parts so that it need not fit into memory.

    Args:
        path: The file to write, in NumPy's own format, name ending in .npy.
        model: The model; its weights of frames are used.
        parts: Features of the videos, part by part.
        num_videos: How many videos there are in all.

    Raises:
        ValueError: If the parts hold more or fewer videos, or a video has no frame.
    """
    vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(num_videos, model.config.dim))
    num_written = 0
    for part in parts:
        if num_written + len(part.frames) > num_videos:
            raise ValueError(f"the parts hold more than the {num_videos} videos announced")
        for block in _video_vectors(model, part):
            vectors[num_written : num_written + len(block)] = block.float().cpu().numpy()
            num_written += len(block)
    if num_written < num_videos:
        raise ValueError(f"the parts hold {num_written} videos, not the {num_videos} announced")
    vectors.flush()


def open_first_cut(path: Path | str) -> Float[Tensor, "V D"]:
    """Open what `write_first_cut` wrote, without reading it: the file's pages come into memory as they are used.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is something else.
    """
    vectors = np.load(path, mmap_mode="c")  # "c": torch wants memory it could write to; the file is never changed
    if vectors.ndim != 2 or vectors.dtype != np.float32:
        raise ValueError(f"{path}: holds {vectors.dtype} {vectors.shape}, expected float32 [V, D]; write it again")
    return torch.from_numpy(vectors)


@torch.no_grad()
def first_cut(
    model: Retriever | ZeroShot, texts: TextFeatures, vectors: Float[Tensor, "V D"], num_kept: int
) -> Int[Tensor, "T M"]:
    """Choose the videos that are worth comparing with each text.

    Args:
        model: The model; its weights of words are used.
        texts: Features of the texts.
        vectors: From `open_first_cut`.
        num_kept: M; the whole gallery if it holds fewer.

    Returns:
        Video indices on the CPU, best first.

    Raises:
        ValueError: If num_kept is below 1, or the vectors have another size than the model's features.
    """
    if num_kept < 1:
        raise ValueError(f"num_kept is {num_kept}; it must be at least 1")
    if vectors.shape[1] != model.config.dim:
        raise ValueError(f"the gallery's vectors have size {vectors.shape[1]}; this model's have {model.config.dim}")
    if isinstance(model, ZeroShot):
        pooled = model.text_vectors(texts)
    else:
        pooled = torch.cat([_pool(block) for block in model.interaction.prepare_texts(texts.words, texts.word_mask)])
    return (pooled.float().cpu() @ vectors.T).topk(min(num_kept, len(vectors)), dim=1).indices


def _video_vectors(model: Retriever | ZeroShot, videos: VideoFeatures) -> Iterator[Float[Tensor, "B D"]]:
    if isinstance(model, ZeroShot):
        yield model.video_vectors(videos)
    else:
        yield from map(_pool, model.interaction.prepare_videos(videos.frames, videos.frame_mask))


def _pool(block: TokenBlock) -> Float[Tensor, "B D"]:
    return (block.weight[:, None] @ block.features).squeeze(1)
