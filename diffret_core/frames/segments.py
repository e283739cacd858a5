"""Long videos in parts: each as long as what a model looks at, all decoded in one pass."""

import math
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor

from diffret_core.frames.containers import check_video_file
from diffret_core.frames.decoding import decoding, open_video
from diffret_core.frames.preprocessing import resize_and_crop
from diffret_core.frames.sampling import sample_frame_indices

_LONGEST_WHOLE = 1.5  # a video of up to so many segments' lengths stays one


class Segment(NamedTuple):
    """A part of a video.

    Attributes:
        number: Which part, from 0.
        num_segments: Parts of the whole video.
        start_seconds: Where in the video it begins.
        frames: Pixels 0..255, [F, 3, H, W] with F = 1 to max_frames.
        seconds: Time of each frame from the start of the video.
        duration_seconds: Length of the whole video.
    """

    number: int
    num_segments: int
    start_seconds: float
    frames: UInt8[Tensor, "F 3 H W"]
    seconds: list[float]
    duration_seconds: float


def segment_starts(
    num_frames: int, video_rate: float | int, *, max_frames: int, frames_per_second: float | int = 1
) -> list[int]:
    """Say at which frames the segments of a video begin.

    A segment is what a model sees without thinning: max_frames / frames_per_second seconds. A video of up to 1.5 times
    that stays whole; a longer one is cut into the fewest equal parts that are no longer than a segment.

    Args:
        num_frames: Frames in the video, at least 1.
        video_rate: Average frames per second of the file.
        max_frames: F, the most frames of a segment.
        frames_per_second: Frames to look at for each second of video.

    Returns:
        Increasing frame numbers, the first 0.
    """
    segment_seconds = max_frames / frames_per_second
    duration_seconds = num_frames / video_rate
    if duration_seconds <= _LONGEST_WHOLE * segment_seconds:
        return [0]
    num_segments = min(num_frames, math.ceil(duration_seconds / segment_seconds))
    return [number * num_frames // num_segments for number in range(num_segments)]


def read_segments(
    path: Path | str, *, max_frames: int, frames_per_second: float | int = 1, image_size: int = 224
) -> Iterator[Segment]:
    """Read a video part by part, each sampled as `read_frames` samples a video; one part's frames are held at a time.

    The file is decoded once from its first frame on, never sought in. A video that stays whole is read exactly as by
    `read_frames`. A fault in the middle shows when it is reached: the parts before it have been given by then.

    Args:
        path: An MP4, MOV, AVI, MKV, WebM or GIF file.
        max_frames: F, the most frames of a segment.
        frames_per_second: Frames to look at for each second of video.
        image_size: Height and width of the returned frames in pixels.

    Yields:
        The segments, in the order of the video.

    Raises:
        FileNotFoundError: If there is no such file.
        PermissionError: If it may not be read.
        ValueError: If it is not a complete video that can be decoded; the message is one line with path and reason.
    """
    path = Path(path)
    container = check_video_file(path)
    choose = partial(sample_frame_indices, max_frames=max_frames, frames_per_second=frames_per_second)
    with decoding(path, container):
        video = open_video(path, container)
        choose(video.num_frames, video.rate)  # refuses numbers that cannot be
        starts = segment_starts(
            video.num_frames, video.rate, max_frames=max_frames, frames_per_second=frames_per_second
        )
        chosen = [
            [start + index for index in choose(end - start, video.rate)]
            for start, end in zip(starts, [*starts[1:], video.num_frames], strict=True)
        ]
        pictures = video.take([index for indices in chosen for index in indices])
    for number, (start, indices) in enumerate(zip(starts, chosen, strict=True)):
        with decoding(path, container):  # not while whoever asked uses a segment: stderr is hidden in here
            frames = torch.stack([resize_and_crop(picture, image_size) for picture in islice(pictures, len(indices))])
        yield Segment(
            number=number,
            num_segments=len(starts),
            start_seconds=start / video.rate,
            frames=frames,
            seconds=[index / video.rate for index in indices],
            duration_seconds=video.num_frames / video.rate,
        )
