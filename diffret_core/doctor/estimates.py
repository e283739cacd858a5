"""What the extraction of features will cost, from doing it with a few of the videos."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffret_core.config import ModelConfig
from diffret_core.features import VideoFeatures, save_features
from diffret_core.frames import normalise_frames, pad_frames, read_frames
from diffret_core.retriever import Retriever

MEASURED_ON = 5


@dataclass
class Estimate:
    """Cost of the features of all videos, on this machine: decoding and encoding each on its own.

    `diffret features` decodes with several workers while it encodes, so it takes about the longer of the encoding and
    of the decoding divided among the processors.

    Attributes:
        measured_on: How many of the videos were decoded and encoded for it.
        device: Where they were encoded.
        decoding_seconds: To read the frames of all videos, by one worker.
        encoding_seconds: To encode them, one after the other, by a model of the recipe's size with random weights.
        feature_bytes: Disk that the features take.
        free_bytes: Disk that is free beside the videos.
    """

    measured_on: int
    device: str
    decoding_seconds: float
    encoding_seconds: float
    feature_bytes: int
    free_bytes: int


def estimate_extraction(
    paths: Sequence[Path], config: ModelConfig, *, num_videos: int, device: torch.device
) -> tuple[Estimate, dict[Path, str]]:
    """Decode and encode a few videos, and multiply.

    Args:
        paths: Some videos that could be opened, in the order in which they are tried; `MEASURED_ON` of them are used.
        config: The recipe's model.
        num_videos: How many the whole collection has.
        device: Where to encode.

    Returns:
        The estimate, and why videos could not be decoded after all.

    Raises:
        ValueError: If no video could be decoded.
    """
    videos, decoding_seconds, faults = _decode(paths, config)
    if not videos:
        raise ValueError(f"none of {len(paths)} videos could be decoded, the first: {next(iter(faults.values()), '')}")
    encoded, encoding_seconds = _encode(videos, config, device)
    each = num_videos / len(videos)
    estimate = Estimate(
        measured_on=len(videos),
        device=str(device),
        decoding_seconds=decoding_seconds * each,
        encoding_seconds=encoding_seconds * each,
        feature_bytes=round(_bytes_on_disk(encoded) * each),
        free_bytes=shutil.disk_usage(paths[0].parent).free,
    )
    return estimate, faults


def _decode(paths: Sequence[Path], config: ModelConfig) -> tuple[list[Tensor], float, dict[Path, str]]:
    videos: list[Tensor] = []
    faults: dict[Path, str] = {}
    seconds = 0.0
    for path in paths:
        if len(videos) == MEASURED_ON:
            break
        start = time.perf_counter()
        try:
            frames = read_frames(
                path,
                max_frames=config.max_frames,
                frames_per_second=config.frames_per_second,
                image_size=config.image_size,
            ).frames
        except (ValueError, OSError) as error:
            faults[path] = " ".join(str(error).split())
            continue
        videos.append(normalise_frames(frames, config.image_mean, config.image_std))
        seconds += time.perf_counter() - start
    return videos, seconds, faults


@torch.no_grad()
def _encode(videos: Sequence[Tensor], config: ModelConfig, device: torch.device) -> tuple[VideoFeatures, float]:
    model = Retriever(config).eval().to(device)
    frames, frame_mask = (tensor.to(device) for tensor in pad_frames(videos, config.max_frames))
    model.encode_videos(frames[:1], frame_mask[:1]).frames.cpu()  # the first time is slower
    start = time.perf_counter()
    encoded = [model.encode_videos(frames[i : i + 1], frame_mask[i : i + 1]).frames.cpu() for i in range(len(videos))]
    seconds = time.perf_counter() - start
    return VideoFeatures(torch.cat(encoded), frame_mask.cpu()), seconds


def _bytes_on_disk(features: VideoFeatures) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.safetensors"
        ids = [str(number) for number in range(len(features.frames))]
        save_features(path, VideoFeatures(features.frames.half(), features.frame_mask), ids=ids, metadata={})
        return path.stat().st_size
