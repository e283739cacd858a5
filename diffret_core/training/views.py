"""Other views of a training video: moved by a few pixels, with some of its frames left out."""

from pathlib import Path

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from diffret_core.config import GenerationConfig
from diffret_core.frames import View
from diffret_core.randomness import generator


def draw_frames(
    frame_mask: Bool[Tensor, "B F"], num_kept: int | Int[Tensor, "B 1"], draw: torch.Generator
) -> Bool[Tensor, "B F"]:
    """Draw real frames of each video, all of them where there are too few.

    Args:
        frame_mask: True for real frames.
        num_kept: How many, of all videos or of each.
        draw: Draws them, on the CPU.
    """
    place = torch.rand(frame_mask.shape, generator=draw).masked_fill(~frame_mask, 2.0).argsort(dim=1).argsort(dim=1)
    return frame_mask & (place < num_kept)


def draw_shifts(num_videos: int, max_shift: int, draw: torch.Generator) -> Int[Tensor, "B 2"]:
    """Draw by how many pixels each video is moved down and right."""
    return torch.randint(-max_shift, max_shift + 1, (num_videos, 2), generator=draw)


def shifted(images: UInt8[Tensor, "B F 3 H H"], shift: Int[Tensor, "B 2"]) -> UInt8[Tensor, "B F 3 H H"]:
    """Move each video down and right; what comes in repeats the edge."""
    if not bool(shift.any()):
        return images
    side = images.shape[-1]
    place = (torch.arange(side) - shift[..., None]).clamp(0, side - 1)  # [B, 2, H]: where each row and column is from
    video = torch.arange(len(images))[:, None, None]
    return images.movedim((3, 4), (1, 2))[video, place[:, 0, :, None], place[:, 1, None, :]].movedim((1, 2), (3, 4))


def view_for_stage2(config: GenerationConfig, number: int, *, seed: int) -> View | None:
    """Give one of the views in which stage 2 sees its videos.

    Args:
        config: Settings of the stage.
        number: Which view; view 0 is the video as it is.
        seed: Seed of what is changed.

    Returns:
        The view: the same change of a file whenever it is asked for. None for view 0.
    """
    if number == 0:
        return None

    def change(path: Path, images: UInt8[Tensor, "F 3 H H"]) -> tuple[UInt8[Tensor, "F 3 H H"], Bool[Tensor, " F"]]:
        draw = generator(seed, f"view {number} of {path.name}")
        share = config.frame_share + (1 - config.frame_share) * float(torch.rand((), generator=draw))
        real = torch.ones(1, len(images), dtype=torch.bool)
        kept = draw_frames(real, max(1, round(share * len(images))), draw)
        return shifted(images[None], draw_shifts(1, config.max_shift, draw))[0], kept[0]

    return View(f"{number}, seed {seed}, shift {config.max_shift}, frames {config.frame_share}", change)
