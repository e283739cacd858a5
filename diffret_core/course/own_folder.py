"""A folder of videos as people have them, made from the samples, and what an indexing of it did, in words."""

import shutil
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from diffret_core.course.setup import Samples
from diffret_core.frames import read_frames
from diffret_core.index import IndexReport, shown_path

NUM_VIDEOS, NUM_JOINED = 24, 5
LONG, CUT, TEXT = "long/one_after_another.gif", "broken/cut_off.mp4", "broken/shopping_list.mp4"
_MOST_FRAMES = 1000


class OwnFolder(NamedTuple):
    """A folder that was made.

    Attributes:
        path: Where it is.
        joined: Ids of the videos that follow one another in its long one.
        starts: Where in it each of them begins, in seconds.
    """

    path: Path
    joined: list[str]
    starts: list[float]


def make_own_folder(path: Path, samples: Samples, *, first: int = 0) -> OwnFolder:
    """Fill a folder: short videos, a long one that joins others, one file that is cut off, and a text called a video.

    Args:
        path: Made if missing.
        samples: Where the videos are from.
        first: Place of the first test video that is taken.
    """
    ids = samples.video_ids[first : first + NUM_VIDEOS + NUM_JOINED]
    for folder in ("short", "long", "broken"):
        (path / folder).mkdir(parents=True, exist_ok=True)
    for video in ids[:NUM_VIDEOS]:
        shutil.copyfile(samples.video_path(video), path / "short" / f"{video}.mp4")
    whole = samples.video_path(ids[0]).read_bytes()
    (path / CUT).write_bytes(whole[: len(whole) // 2])
    (path / TEXT).write_text("milk, bread, two hexagons\n", encoding="utf-8")
    joined = ids[NUM_VIDEOS:]
    return OwnFolder(path, joined, _join([samples.video_path(video) for video in joined], path / LONG, samples))


def report_in_words(report: IndexReport) -> str:
    """Say what an indexing did, and every file that it refused with the reason; no times, which differ each time."""
    missing = f", {report.num_missing} of them missing" if report.num_missing else ""
    lines = [
        f"{report.num_videos} videos in {report.num_segments} segments{missing}",
        f"{report.num_encoded} encoded, {report.num_recognised} known by their content, "
        f"{report.num_unchanged} unchanged, {report.num_dropped} dropped",
    ]
    lines += [f"refused: {shown_path(one.path)}: {shown_path(one.reason)}" for one in report.refused]
    return "\n".join(lines)


def _join(paths: list[Path], out: Path, samples: Samples) -> list[float]:
    """Write videos one after another as a GIF at the rate at which the model looks; say where each begins."""
    rate, starts = round(samples.model.config.frames_per_second), []
    pictures: list[Image.Image] = []
    for path in paths:
        starts.append(len(pictures) / rate)
        read = read_frames(path, max_frames=_MOST_FRAMES, frames_per_second=rate, image_size=128)
        pictures += [Image.fromarray(frame.permute(1, 2, 0).numpy()) for frame in read.frames]
    pictures[0].save(out, save_all=True, append_images=pictures[1:], duration=1000 // rate, loop=0)
    return starts
