"""Stills of sample videos that are not in git, drawn from their scenes: a training set that takes seconds to make."""

from collections.abc import Sequence
from dataclasses import replace
from html import escape

import torch
from jaxtyping import UInt8
from torch import Tensor

from diffret_core.course.cells import rows_of_cells
from diffret_core.course.thumbnails import frame_uri
from diffret_core.scenes.drawing import draw_frames
from diffret_core.scenes.splits import SPLITS, split_scenes


def draw_stills(split: str, num_videos: int, *, num_stills: int, side: int) -> UInt8[Tensor, "V S 3 H H"]:
    """Draw a few moments of the first videos of a split, spread evenly from their first to their last frame.

    They are what the video shows there, save that what spins or bounces may be caught at another moment of its turn.

    Args:
        split: Name of the split, such as "train".
        num_videos: How many of its videos.
        num_stills: How many moments of each, two at least.
        side: Width and height; it divides 128, and each pixel is the mean of a square.

    Returns:
        The stills as bytes.
    """
    drawn = [
        torch.from_numpy(draw_frames(replace(scene, num_frames=num_stills)))
        for scene in split_scenes(replace(SPLITS[split], num_videos=num_videos))
    ]
    frames = torch.stack(drawn).movedim(-1, 2)  # [V, S, 3, 128, 128]
    squares = frames.unflatten(-1, (side, -1)).unflatten(-3, (side, -1))  # [V, S, 3, H, a, H, a]
    return squares.float().mean(dim=(-3, -1)).round().byte()


def stills_html(stills: UInt8[Tensor, "V S 3 H H"], captions: Sequence[str], *, side: int = 56) -> str:
    """Show the stills of each video in a row, its caption beside them.

    Args:
        stills: As from `draw_stills`.
        captions: One of each video.
        side: Width and height of a picture on the page, in pixels.
    """
    rows = []
    for own, caption in zip(stills, captions, strict=True):
        words = escape(caption, quote=True)
        pictures = [
            f'<img src="{frame_uri(one, lossless=True)}" width="{side}" height="{side}" '
            f'alt="moment {place} of: {words}" style="image-rendering:pixelated">'
            for place, one in enumerate(own, start=1)
        ]
        rows.append([*pictures, words])
    return rows_of_cells(rows, style="padding:1px 6px 1px 0")
