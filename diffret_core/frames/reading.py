"""Read frames of a video file: those that a model looks at, or any that are chosen."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor

from diffret_core.frames.containers import check_video_file
from diffret_core.frames.decoding import decoding, open_video
from diffret_core.frames.preprocessing import resize_and_crop
from diffret_core.frames.sampling import sample_frame_indices


class VideoFrames(NamedTuple):
    """Sampled frames of one video.

    Attributes:
        frames: Pixels 0..255, [F, 3, H, W] with F = 1 to max_frames.
        seconds: Time of each frame from the start of the video.
        duration_seconds: Length of the video.
    """

    frames: UInt8[Tensor, "F 3 H W"]
    seconds: list[float]
    duration_seconds: float


class VideoLength(NamedTuple):
    """How long a video is."""

    num_frames: int
    duration_seconds: float


def read_frames(
    path: Path | str, *, max_frames: int, frames_per_second: float | int = 1, image_size: int = 224
) -> VideoFrames:
    """Read a video: one frame per second, at most max_frames of them, resized and cropped as CLIP does.

    Frame i is taken to be shown at i divided by the average rate of the file.

    Source: SPEC section 4; see `sample_frame_indices` for which frames are chosen.

    Args:
        path: An MP4, MOV, AVI, MKV, WebM or GIF file.
        max_frames: F, the most frames to return.
        frames_per_second: Frames to look at for each second of video.
        image_size: Height and width of the returned frames in pixels.

    Returns:
        The frames as uint8, which is exact: normalise them with `normalise_frames`.

    Raises:
        FileNotFoundError: If there is no such file.
        PermissionError: If it may not be read.
        ValueError: If it is not a complete video that can be decoded; the message is one line with path and reason.
    """
    choose = partial(sample_frame_indices, max_frames=max_frames, frames_per_second=frames_per_second)
    return read_chosen_frames(path, choose, image_size=image_size)


def read_chosen_frames(
    path: Path | str, choose: Callable[[int, float], Sequence[int]], *, image_size: int = 224
) -> VideoFrames:
    """Read those frames of a video that are chosen; it is decoded up to the last of them and no further.

    Args:
        path: As in `read_frames`.
        choose: Gives increasing frame numbers, at least one, from the video's number of frames and their rate.
        image_size: As in `read_frames`.

    Raises:
        OSError: As `read_frames`.
        ValueError: As `read_frames`.
    """
    path = Path(path)
    container = check_video_file(path)
    with decoding(path, container):
        video = open_video(path, container)
        indices = choose(video.num_frames, video.rate)
        frames = torch.stack([resize_and_crop(picture, image_size) for picture in video.take(indices)])
    return VideoFrames(frames, [index / video.rate for index in indices], video.num_frames / video.rate)


def probe_video(path: Path | str) -> VideoLength:
    """Find out how long a video is from its container, without decoding it.

    Damage in the middle of the pictures is not noticed: only `read_frames` meets it.

    Args:
        path: An MP4, MOV, AVI, MKV, WebM or GIF file.

    Raises:
        FileNotFoundError: If there is no such file.
        PermissionError: If it may not be read.
        ValueError: If it is not a complete video that can be opened; the message is one line with path and reason.
    """
    path = Path(path)
    container = check_video_file(path)
    with decoding(path, container):
        video = open_video(path, container)
        # the same check as before reading: at least one frame, and a rate that is a number
        sample_frame_indices(video.num_frames, video.rate, max_frames=1)
    return VideoLength(video.num_frames, video.num_frames / video.rate)
