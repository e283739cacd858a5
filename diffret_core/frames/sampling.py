"""Which frames of a video are looked at."""

import math
from functools import partial

import numpy as np


def sample_frame_indices(
    num_frames: int, video_rate: float | int, *, max_frames: int, frames_per_second: float | int = 1
) -> list[int]:
    """Choose the frames to read: a regular step, then at most max_frames of them spread uniformly.

    The step is round(video_rate / frames_per_second) frames, at least 1, starting at frame 0. It is counted in frames,
    not in time stamps, as in the released code: the files of MSVD carry no usable time stamps. A video of 29.97 frames
    a second is therefore read every 30 frames, and one of variable rate is read at its average rate.
    When more than max_frames positions remain, positions linspace(0, n - 1, max_frames) truncated to integers are kept.

    Source: SPEC section 4.

    Args:
        num_frames: Frames in the video, at least 1.
        video_rate: Average frames per second of the file.
        max_frames: F, the most frames to keep.
        frames_per_second: Frames to look at for each second of video.

    Returns:
        Increasing frame numbers, between 1 and max_frames of them, the first always 0.

    Raises:
        ValueError: If a count is below 1, or a rate is not a positive finite number.
    """
    for name, count in (("num_frames", num_frames), ("max_frames", max_frames)):
        if count < 1:
            raise ValueError(f"{name} is {count}: it must be 1 or more")
    for name, rate in (("video_rate", video_rate), ("frames_per_second", frames_per_second)):
        if not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"{name} is {rate}: it must be a positive number of frames per second")
    step = max(1, round(video_rate / frames_per_second))
    indices = list(range(0, num_frames, step))
    if len(indices) <= max_frames:
        return indices
    return [indices[position] for position in np.linspace(0, len(indices) - 1, max_frames).astype(int)]


def sample_part_indices(
    num_frames: int,
    video_rate: float | int,
    *,
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    max_frames: int,
    frames_per_second: float | int = 1,
) -> list[int]:
    """Choose the frames to read of a part of a video, as `sample_frame_indices` chooses them of a whole one.

    Args:
        num_frames: Frames in the video, at least 1.
        video_rate: Average frames per second of the file.
        start_seconds: Where the part begins; one that would begin behind the last frame begins with it.
        end_seconds: Where it ends; None for the end of the video.
        max_frames: F, the most frames to keep.
        frames_per_second: Frames to look at for each second of video.

    Returns:
        Increasing frame numbers, between 1 and max_frames of them, the first where the part begins.

    Raises:
        ValueError: As `sample_frame_indices`.
    """
    sampling = partial(sample_frame_indices, max_frames=max_frames, frames_per_second=frames_per_second)
    sampling(num_frames, video_rate)  # refuses numbers that cannot be
    first = min(round(start_seconds * video_rate), num_frames - 1)
    behind = num_frames if end_seconds is None else min(round(end_seconds * video_rate), num_frames)
    return [first + index for index in sampling(max(1, behind - first), video_rate)]
