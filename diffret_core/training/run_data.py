"""What a run reads of a collection: captions with the place of their video, and the files."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from diffret_core.datasets import Collection


def captions_of(collection: Collection, videos: Sequence[str]) -> tuple[list[str], Tensor]:
    """Captions of some training videos, and which of those videos each describes."""
    position = {video: i for i, video in enumerate(videos)}
    pairs = [(caption, position[video]) for caption, video in collection.pairs("train") if video in position]
    return [caption for caption, _ in pairs], torch.tensor([video for _, video in pairs])


def like_the_test(collection: Collection) -> Collection:
    """Give the collection with validation pairs like those of the test: one caption a video where the test has one."""
    on_pairs = len(collection.pairs("test")) == len(collection.video_ids("test"))
    return collection.with_one_caption("validation") if on_pairs else collection


def paths_of(collection: Collection, videos: Sequence[str]) -> list[Path]:
    """Give the files of training or validation videos.

    Raises:
        FileNotFoundError: If some are missing, naming the first.
    """
    missing = {*collection.missing_videos("train"), *collection.missing_videos("validation")} & set(videos)
    if missing:
        raise FileNotFoundError(
            f"{collection.name}: {len(missing)} of {len(videos)} videos to train or validate with are missing in "
            f"{collection.videos_folder}, the first is {min(missing)}; for the sample collection, "
            "'diffret samples render --split all' makes them"
        )
    return [collection.video_path(video) for video in videos]
