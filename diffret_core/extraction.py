"""From a video file to features: how a model does it, and what names that way."""

from pathlib import Path
from typing import get_args

import torch
from jaxtyping import UInt8
from torch import Tensor

from diffret_core.checkpoints import video_encoder_fingerprint
from diffret_core.config import ComputePrecision, ModelConfig
from diffret_core.config.checks import one_of
from diffret_core.features import Extractor, VideoFeatures, video_feature_key
from diffret_core.frames import View, normalise_frames, read_frames
from diffret_core.retriever import Retriever
from diffret_core.zero_shot import ZeroShot

Decoded = tuple[Path, UInt8[Tensor, "_ 3 H H"]]


def extractor_of(
    model: Retriever | ZeroShot, *, view: View | None = None, precision: ComputePrecision = "float32"
) -> Extractor:
    """Say how a model turns video files into features.

    Args:
        model: The model.
        view: Changes the videos first; None takes them as they are.
        precision: Of the products inside the encoder. Features of another precision are others, and kept apart.

    Returns:
        What decodes, what encodes, and the name under which features are kept.

    Raises:
        ValueError: If there is no such precision.
    """
    one_of("precision", precision, get_args(ComputePrecision))
    config = model.config
    sampling = sampling_of(config)
    if view is not None:
        sampling["view"] = view.name
    if precision != "float32":
        sampling["precision"] = precision

    def decode(path: Path) -> Decoded:
        return path, read_one(path, config)

    def encode(decoded: list[Decoded]) -> VideoFeatures:
        return _encode(model, decoded, view=view, precision=precision)

    return Extractor(
        decode=decode,
        encode=encode,
        key=video_feature_key(video_encoder_fingerprint(model), sampling),
        row_shape=(config.max_frames, config.dim),
    )


@torch.no_grad()
def _encode(
    model: Retriever | ZeroShot, decoded: list[Decoded], *, view: View | None, precision: ComputePrecision
) -> VideoFeatures:
    config, side, num_videos = model.config, model.config.image_size, len(decoded)
    evens_out = num_videos > 1 and config.mode == "default"
    images = torch.zeros(num_videos + evens_out, config.max_frames, 3, side, side, dtype=torch.uint8)
    frame_mask = torch.zeros(images.shape[:2], dtype=torch.bool)
    for i, (path, frames) in enumerate(decoded):
        changed, seen = (frames, True) if view is None else view.change(path, frames)
        images[i, : len(frames)], frame_mask[i, : len(frames)] = changed, seen
    if evens_out:
        # A black video makes the number of real frames a multiple of F. Only those are encoded, and tensors of ever
        # new sizes would leave the CPU's heap in pieces: 1 GB more after 4,000 videos.
        frame_mask[-1, : config.max_frames - int(frame_mask.sum()) % config.max_frames] = True
    images, frame_mask = images.to(model.device), frame_mask.to(model.device)  # as bytes: a quarter of the numbers
    normal = normalise_frames(images.flatten(0, 1), config.image_mean, config.image_std).view(images.shape)
    normal *= frame_mask[..., None, None, None]  # padding: 0 after normalising
    with torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        encoded = model.encode_videos(normal, frame_mask)
    return VideoFeatures(encoded.frames[:num_videos].float().cpu(), frame_mask[:num_videos].cpu())


def sampling_of(config: ModelConfig) -> dict[str, str | int | float | bool | None]:
    """Everything that decides which frames of a video are encoded, and how they are prepared."""
    return {
        "max_frames": config.max_frames,
        "frames_per_second": config.frames_per_second,
        "image_size": config.image_size,
        "image_mean": str(config.image_mean),
        "image_std": str(config.image_std),
    }


def read_one(path: Path, config: ModelConfig) -> UInt8[Tensor, "F 3 H H"]:
    """Decode one video's frames, without padding: resized and cropped for the image encoder; see `read_frames`."""
    return read_frames(
        path,
        max_frames=config.max_frames,
        frames_per_second=config.frames_per_second,
        image_size=config.image_size,
    ).frames
