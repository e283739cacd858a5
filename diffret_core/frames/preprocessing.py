"""Frames as CLIP wants them: resized, cropped, normalised, padded to one length."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor

from diffret_core.config import CLIP_MEAN, CLIP_STD

LARGEST_ASPECT_RATIO = 100  # beyond it the resized picture alone would take gigabytes


class View(NamedTuple):
    """A changed version of videos.

    Attributes:
        name: Tells it from other views of the same files.
        change: Takes a file and its frames, gives changed frames and which of them are seen.
    """

    name: str
    change: Callable[[Path, UInt8[Tensor, "F 3 H H"]], tuple[UInt8[Tensor, "F 3 H H"], Bool[Tensor, " F"]]]


def resize_and_crop(picture: Image.Image, image_size: int = 224) -> UInt8[Tensor, "3 H W"]:
    """Resize the short side to image_size (Pillow, bicubic) and cut out the central square, as CLIP does.

    Pillow rounds to 8 bits here, so keeping frames as uint8 loses nothing: the numbers after `normalise_frames` are
    those of CLIP's own preprocessing.

    Args:
        picture: Any Pillow picture; it is converted to RGB.
        image_size: Height and width of the result in pixels.

    Returns:
        Pixels 0..255, channels first, height = width = image_size.

    Raises:
        ValueError: If image_size is below 1 or the picture is more than 100 times as long as it is wide.
    """
    if image_size < 1:
        raise ValueError(f"image_size is {image_size}: it must be 1 or more pixels")
    width, height = picture.size
    if max(width, height) > LARGEST_ASPECT_RATIO * min(width, height):
        raise ValueError(f"a picture of {width} x {height} pixels is too elongated: at most {LARGEST_ASPECT_RATIO}:1")
    if width <= height:
        new_width, new_height = image_size, image_size * height // width
    else:
        new_width, new_height = image_size * width // height, image_size
    resized = picture.convert("RGB").resize((new_width, new_height), Image.Resampling.BICUBIC)
    left, top = round((new_width - image_size) / 2), round((new_height - image_size) / 2)
    square = resized.crop((left, top, left + image_size, top + image_size))
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).contiguous()


def normalise_frames(
    frames: UInt8[Tensor, "F 3 H W"],
    mean: tuple[float, float, float] = CLIP_MEAN,
    std: tuple[float, float, float] = CLIP_STD,
) -> Float[Tensor, "F 3 H W"]:
    """Scale pixels to 0..1, subtract the mean and divide by the standard deviation of each channel.

    Args:
        frames: Pixels 0..255.
        mean: Mean of red, green, blue on the scale 0..1.
        std: Standard deviation of red, green, blue on the scale 0..1.

    Returns:
        float32 of the same shape, roughly -2..3.

    Raises:
        ValueError: If the frames are not uint8: they may have been normalised already.
    """
    if frames.dtype != torch.uint8:
        raise ValueError(f"frames are {frames.dtype}: normalise_frames expects uint8 pixels 0..255, and only once")
    channel_mean, channel_std = (torch.tensor(values).view(3, 1, 1).to(frames.device) for values in (mean, std))
    return frames.float().div(255).sub(channel_mean).div(channel_std)


def pad_frames(
    videos: Sequence[Float[Tensor, "_ 3 H W"]], num_frames: int
) -> tuple[Float[Tensor, "V F 3 H W"], Bool[Tensor, "V F"]]:
    """Put videos of different lengths into one tensor; missing frames are zeros after normalisation, and masked.

    Zero after normalisation is the mean colour, not black, as in the released code (SPEC section 4).

    Args:
        videos: Normalised frames of each video, each with 1 to num_frames frames.
        num_frames: F, frames in the result.

    Returns:
        The frames, and a mask that is True where a frame is real.

    Raises:
        ValueError: If there is no video, or one is empty, longer than num_frames, or still uint8.
    """
    if not videos:
        raise ValueError("pad_frames got no video: give it at least one")
    for position, video in enumerate(videos):
        if not 1 <= len(video) <= num_frames:
            raise ValueError(f"video {position} has {len(video)} frames: pad_frames takes 1 to {num_frames}")
        if not video.is_floating_point():
            raise ValueError(
                f"video {position} is {video.dtype}: call normalise_frames first, padding is zero after it"
            )
    padded = videos[0].new_zeros((len(videos), num_frames, *videos[0].shape[1:]))
    frame_mask = torch.zeros(len(videos), num_frames, dtype=torch.bool, device=padded.device)
    for position, video in enumerate(videos):
        padded[position, : len(video)] = video
        frame_mask[position, : len(video)] = True
    return padded, frame_mask
