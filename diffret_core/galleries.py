"""From files to features: decode, encode once, and keep what was encoded."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from diffret_core.config import ComputePrecision, ModelConfig
from diffret_core.datasets import Collection, Split, refuse_missing
from diffret_core.extraction import extractor_of, read_one
from diffret_core.feature_cache import How, cached_video_features
from diffret_core.features import TextFeatures, VideoFeatures, load_features, save_features
from diffret_core.frames import View
from diffret_core.retriever import Progress, Retriever

TEXTS_AT_ONCE = 256


class Gallery(NamedTuple):
    """One split of a collection as features.

    Attributes:
        video_ids: Id of each video.
        videos: Features of the videos.
        captions: Every caption.
        texts: Features of the captions.
        video_of_text: Which of the videos each caption describes.
    """

    video_ids: list[str]
    videos: VideoFeatures
    captions: list[str]
    texts: TextFeatures
    video_of_text: Int[Tensor, " T"]


def read_videos(
    paths: Sequence[Path], config: ModelConfig, *, progress: Progress | None = None
) -> tuple[UInt8[Tensor, "V F 3 H H"], Bool[Tensor, "V F"]]:
    """Decode videos into memory, as bytes: resized and cropped for the image encoder, padded with zeros.

    Args:
        paths: Video files.
        config: Says how many frames are taken, how often, and their size.
        progress: Called with the number of videos done and of all videos.

    Returns:
        The frames, and the mask that is True for real ones.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged or no video.
    """
    side = config.image_size
    images = torch.zeros(len(paths), config.max_frames, 3, side, side, dtype=torch.uint8)
    frame_mask = torch.zeros(len(paths), config.max_frames, dtype=torch.bool)
    for i, path in enumerate(paths):
        frames = read_one(path, config)
        images[i, : len(frames)], frame_mask[i, : len(frames)] = frames, True
        if progress is not None:
            progress(i + 1, len(paths))
    return images, frame_mask


def encode_video_files(
    model: Retriever,
    paths: Sequence[Path],
    *,
    cache_folder: Path | str,
    view: View | None = None,
    precision: ComputePrecision = "float32",
    all_processes: bool = False,
    progress: Progress | None = None,
) -> VideoFeatures:
    """Give the features of video files; only those this model has not seen are decoded and encoded.

    Videos are decoded by several threads, ahead of their being encoded; see `feature_cache`.

    Args:
        model: The model.
        paths: Video files.
        cache_folder: Where features are kept between runs.
        view: Changes the videos first; None takes them as they are.
        precision: Of the products inside the encoder; features of each precision are kept apart.
        all_processes: Each process that torchrun has started encodes its share, and all of them have to ask.
        progress: Called with the number of videos that this process has done and has to do.

    Returns:
        The features, on the model's device.

    Raises:
        FileNotFoundError: If a file is missing.
        OSError: If there is no room for the features.
        ValueError: If a file is damaged or no video.
    """
    videos = cached_video_features(
        paths,
        extractor_of(model, view=view, precision=precision),
        folder=cache_folder,
        how=How(
            all_processes=all_processes,
            listen=lambda done: progress(done.num_encoded, done.num_to_encode) if progress is not None else None,
        ),
    )
    return VideoFeatures(videos.frames.to(model.device), videos.frame_mask.to(model.device))


def keep_gallery(path: Path, model: Retriever, gallery: Gallery) -> None:
    """Write the video features of a gallery to a file of its own, which can be used without the videos.

    Args:
        path: The file.
        model: What encoded them.
        gallery: The gallery.
    """
    half = VideoFeatures(gallery.videos.frames.half().cpu(), gallery.videos.frame_mask.cpu())
    save_features(path, half, ids=gallery.video_ids, metadata={"key": extractor_of(model).key})


def kept_gallery(path: Path, model: Retriever, collection: Collection, split: Split) -> Gallery:
    """Read a gallery whose videos need not be there: those of a split that `keep_gallery` has kept.

    Args:
        path: The file.
        model: What encoded them; it encodes the captions.
        collection: Says which captions the videos have.
        split: Which split they are of.

    Returns:
        The gallery, all captions of each video included.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, was encoded by another model, or holds videos of another split.
    """
    features, video_ids, metadata = load_features(path, VideoFeatures)
    mend = f"run `git checkout -- {path}` for the shipped model's, or `diffret samples features` to make them again"
    if metadata.get("key") != extractor_of(model).key:
        raise ValueError(f"{path}: features of another model or another version; {mend}")
    position = {video_id: index for index, video_id in enumerate(video_ids)}
    if unknown := set(video_ids) - set(collection.video_ids(split)):
        raise ValueError(f"{path}: {min(unknown)} is no {split} video of this collection; {mend}")
    pairs = [caption for caption in collection.pairs(split) if caption.video_id in position]
    captions = [caption.text for caption in pairs]
    return Gallery(
        video_ids=video_ids,
        videos=VideoFeatures(features.frames.float().to(model.device), features.frame_mask.to(model.device)),
        captions=captions,
        texts=encode_captions(model, captions),
        video_of_text=torch.tensor([position[caption.video_id] for caption in pairs], device=model.device),
    )


@torch.no_grad()
def encode_captions(model: Retriever, captions: Sequence[str]) -> TextFeatures:
    """Give the features of many captions, encoded some at a time, without ever holding them twice.

    Raises:
        ValueError: If no captions are given.
    """
    if not captions:
        raise ValueError("no captions are given; name at least one")
    first = model.encode_texts(captions[:TEXTS_AT_ONCE])
    whole = TextFeatures(*(rows.new_empty(len(captions), *rows.shape[1:]) for rows in first))
    for start in range(0, len(captions), TEXTS_AT_ONCE):
        part = model.encode_texts(captions[start : start + TEXTS_AT_ONCE]) if start else first
        for column, rows in zip(whole, part, strict=True):
            column[start : start + len(rows)] = rows
    return whole


def encode_gallery(
    model: Retriever,
    collection: Collection,
    split: Split,
    *,
    cache_folder: Path | str,
    allow_missing: int = 0,
    precision: ComputePrecision = "float32",
    progress: Progress | None = None,
) -> Gallery:
    """Encode one split of a collection; of several processes each encodes a share, so all of them have to ask.

    Args:
        model: The model.
        collection: The collection.
        split: Which of its splits.
        cache_folder: Where video features are kept between runs.
        allow_missing: So many videos that are not there may be left out, with their captions: a smaller gallery is an
            easier one, and its numbers compare with no others. See `datasets.refuse_missing`.
        precision: Of the products inside the video encoder.
        progress: Called with the number of videos done and to do.

    Raises:
        FileNotFoundError: If more videos are missing.
        ValueError: If a video is damaged.
    """
    collection = refuse_missing(collection, [split], allowed=allow_missing)
    paths = [collection.video_path(video) for video in collection.video_ids(split)]
    captions = [caption.text for caption in collection.pairs(split)]
    videos = encode_video_files(
        model, paths, cache_folder=cache_folder, precision=precision, all_processes=True, progress=progress
    )
    return Gallery(
        video_ids=list(collection.video_ids(split)),
        videos=videos,
        captions=captions,
        texts=encode_captions(model, captions),
        video_of_text=torch.tensor(collection.video_of_caption(split), device=model.device),
    )


def feature_folder(collection: Collection, split: Split) -> Path:
    """Give the folder beside a collection's videos in which a split's features are kept.

    Each split has its own, so that the shipped features of the sample test videos stay as they are.
    """
    return collection.videos_folder.parent / "features" / split
