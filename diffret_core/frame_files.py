"""Decoded frames of many videos in one file on disk: mapped into memory, so that they may be larger than it.

Stage 1 sees every video again in every epoch. Decoding takes longer than a step of a GPU; a resized frame as bytes does
not: 9,000 videos of 12 frames at 224 pixels are 16 GB.
"""

import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from diffret_core.config import ModelConfig
from diffret_core.extraction import read_one, sampling_of
from diffret_core.retriever import Progress
from diffret_core.tensor_files import read_json, write_json

FRAMES_FILE, MASK_FILE, CONTENTS_FILE = "frames.bin", "frame_mask.bin", "frames.json"


def map_videos(
    paths: Sequence[Path], config: ModelConfig, folder: Path, *, progress: Progress | None = None
) -> tuple[UInt8[Tensor, "V F 3 H H"], Bool[Tensor, "V F"]]:
    """Decode videos into a file, as many at a time as there are processors, and map it: `galleries.read_videos`.

    What is decoded stays decoded: after an interruption only the other videos are, and a folder that holds these very
    files is only mapped. Other processes that map it share the memory.

    Args:
        paths: Video files.
        config: Says how many frames are taken, how often, and their size.
        folder: Where the file is kept; made if missing.
        progress: Called with the number of videos done and of all videos.

    Returns:
        The frames, and the mask that is True for real ones.

    Raises:
        FileNotFoundError: If a video file is missing.
        OSError: If there is no room for the file.
        ValueError: If a video is damaged or none.
    """
    shape = (len(paths), config.max_frames, 3, config.image_size, config.image_size)
    _prepare(folder, paths, config, num_bytes=torch.Size(shape).numel())
    images = _mapped(folder / FRAMES_FILE, shape)
    frame_mask = _mapped(folder / MASK_FILE, shape[:2])

    def decode(row: int) -> None:
        frames = read_one(paths[row], config)
        images[row, : len(frames)] = frames
        frame_mask[row, : len(frames)] = 1  # last: a row without a real frame is one that is still to be decoded

    to_do = (frame_mask.sum(dim=1) == 0).nonzero().squeeze(1).tolist()
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # an error in one cancels those that have not begun
        for num_done, _ in enumerate(pool.map(decode, to_do), start=len(paths) - len(to_do) + 1):
            if progress is not None:
                progress(num_done, len(paths))
    return images, frame_mask.bool()


def _prepare(folder: Path, paths: Sequence[Path], config: ModelConfig, *, num_bytes: int) -> None:
    """Make sure that the folder's files, if any, are of these videos, and that there is room."""
    files = []
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: there is no such video file; check the folder and the file's ending")
        files.append([str(path), path.stat().st_size, path.stat().st_mtime_ns])
    contents = json.loads(json.dumps({"files": files, "sampling": sampling_of(config)}))
    if (folder / CONTENTS_FILE).exists() and read_json(folder / CONTENTS_FILE) == contents:
        return
    for name in (CONTENTS_FILE, MASK_FILE, FRAMES_FILE):
        (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(folder).free) < num_bytes:
        raise OSError(f"{folder}: the frames take {num_bytes / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; make room")
    write_json(folder / CONTENTS_FILE, contents)


def _mapped(path: Path, shape: Sequence[int]) -> UInt8[Tensor, "..."]:
    """Map a file of bytes; one that is new or too short is filled up with zeros."""
    return torch.from_file(str(path), shared=True, size=torch.Size(shape).numel(), dtype=torch.uint8).view(*shape)
