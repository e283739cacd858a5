"""Putting things under a cell: each function shows one thing, with a visible sentence that describes it."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from IPython.display import HTML, display
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from diffret_core.config import ModelConfig
from diffret_core.course.cases import case_html
from diffret_core.course.cells import rows_of_cells
from diffret_core.course.denoising import describe_denoising
from diffret_core.course.denoising_figure import denoising_figure
from diffret_core.course.environment import on_colab
from diffret_core.course.grid_figure import grid_figure
from diffret_core.course.mask_figure import mask_figure
from diffret_core.course.nearest_figure import nearest_figure
from diffret_core.course.rankings import ranking_html, three_rankings_html
from diffret_core.course.sampling_figure import sampling_figure
from diffret_core.course.search_box import search_box
from diffret_core.course.setup import Samples
from diffret_core.course.shares_figure import Share, shares_figure
from diffret_core.course.strips import read_for_eyes, strip_html
from diffret_core.course.thumbnails import still
from diffret_core.course.token_picture import tokens_html
from diffret_core.frames import VideoFrames
from diffret_core.search import Search

__all__ = [
    "cases",
    "denoising",
    "figure",
    "grid",
    "mask",
    "nearest",
    "own_video",
    "ranking",
    "sampling",
    "search_box",
    "shares",
    "strip",
    "strips",
    "three_rankings",
    "tokens",
]

PLOTLY = "application/vnd.plotly.v1+json"
THUMBNAIL_SIDE = 36


def ranking(samples: Samples, found: Search, *, num_shown: int = 5) -> None:
    """Show the best videos for a sentence, playing, with their scores."""
    display(HTML(ranking_html(samples, found, num_shown=num_shown)))


def three_rankings(samples: Samples, found: Search, *, num_shown: int = 5, meant: str | None = None) -> None:
    """Show the best videos by similarity, by the generator and by both; see `three_rankings_html`."""
    display(HTML(three_rankings_html(samples, found, num_shown=num_shown, meant=meant)))


def cases(
    samples: Samples, queries: Mapping[int, str], similarity: Float[Tensor, "T V"], combined: Float[Tensor, "T V"]
) -> None:
    """Show the first videos of some text queries before and after, two side by side; see `case_html`.

    Args:
        samples: Gives captions and video files.
        queries: Numbers of test pairs, and what became of each.
        similarity: Scores before, a row for each text.
        combined: Scores after.
    """
    cells = [case_html(samples, one, similarity[one], combined[one], title=queries[one]) for one in queries]
    display(HTML(rows_of_cells([cells[place : place + 2] for place in range(0, len(cells), 2)])))
    _describe(
        f"{len(queries)} test sentences of the sample collection, each with the first three videos by similarity and, "
        "below them, by the combined score. Green frame and star: the video that is meant."
    )


def denoising(samples: Samples, found: Search) -> None:
    """Show the walk from noise to the ranking under a slider."""
    pictures = {video: still(samples.video_path(video), side=THUMBNAIL_SIDE) for video in found.candidates}
    figure(denoising_figure(found, pictures=pictures, captions=samples.captions), describe_denoising(found))


def figure(drawn: go.Figure, caption: str) -> None:
    """Show a plotly figure as JSON alone, operable at once, and its description below it.

    A picture beside the JSON would hide the figure until the pointer enters it, so a learner's own run has none;
    `make notebooks` adds one to what is committed.

    Args:
        drawn: The figure.
        caption: What is to be seen in it.
    """
    if on_colab():
        drawn.show(renderer="colab")
    else:
        display({PLOTLY: json.loads(drawn.to_json()) | {"config": {"displayModeBar": False}}}, raw=True)
    _describe(caption)


def strip(frames: UInt8[Tensor, "F 3 H W"], seconds: Sequence[float], *, caption: str = "") -> None:
    """Show frames of a video from left to right; places without a second are padding."""
    display(HTML(strip_html(frames, seconds, caption=caption)))
    padding = f", and {len(frames) - len(seconds)} places of padding" if len(frames) > len(seconds) else ""
    _describe(f"{len(seconds)} frames, from left to right, with their times{padding}.")


def strips(samples: Samples, video_ids: Sequence[str]) -> None:
    """Show sample videos as the model reads them, but sharper, each below its caption."""
    rows = []
    for video_id in video_ids:
        read = read_for_eyes(samples.video_path(video_id), samples.model.config)
        rows.append(strip_html(read.frames, read.seconds, caption=samples.captions[video_id]))
    display(HTML("".join(rows)))
    _describe(f"{len(rows)} videos, a row each, below their captions. Time runs from left to right.")


def own_video(path: str, config: ModelConfig) -> None:
    """Show what the model would read of a file of the learner's own; without one, or with a bad one, say so.

    Args:
        path: Path of a video file; empty if there is none.
        config: Says how the model reads videos.
    """
    if not path.strip():
        print("No file yet: put one beside this notebook and write its name into the cell.")
        return
    try:
        read = read_for_eyes(path, config)
    except (OSError, ValueError) as error:
        print(error)
        return
    strip(read.frames, read.seconds, caption=Path(path).name)


def sampling(durations: Sequence[float | int], video_rate: float | int, *, max_frames: int = 12) -> None:
    """Show which frames are looked at, on a time line, under a slider over the length of the video."""
    figure(
        sampling_figure(durations, video_rate, max_frames=max_frames),
        f"A file of {video_rate:g} frames a second, from top to bottom: all of its frames (of a long video only some "
        f"are drawn), the one per second that is proposed, and the at most {max_frames} that are kept.",
    )


def tokens(pieces: Sequence[Sequence[str]], word_ids: Int[Tensor, "T W"], word_mask: Bool[Tensor, "T W"]) -> None:
    """Show the tokens of texts as boxes."""
    display(HTML(tokens_html(pieces, word_ids, word_mask)))
    _describe(
        "A text a row, a token a box, with its id below it. Thick boxes: start and end. A piece with a hyphen goes on "
        "in the next box. Pale boxes with dashes: padding, where the mask is False."
    )


def mask(real: Bool[Tensor, "R L"], title: str, names: Sequence[str], *, places: str) -> None:
    """Show a mask as a picture; see `mask_figure`."""
    figure(
        mask_figure(real, title, names, places=places),
        f"{len(real)} rows of {real.shape[1]} places: blue where a {places} is real (True), grey where there is "
        "padding (False). Rest the pointer on a row to read what it is.",
    )


def grid(frame: UInt8[Tensor, "3 H W"], parts: Mapping[str, Float[Tensor, "_ _ _"]]) -> None:
    """Show the regions of a frame after each part of an image tower, under a slider; see `grid_figure`."""
    figure(
        grid_figure(frame, parts),
        "Left, the frame, cut into the regions that exist at this place of the tower (fine grids are left out). Right, "
        "how far the vector of each region lies from the mean of all: dark stands out most.",
    )


def nearest(read: VideoFrames, captions: Sequence[str], cosine: Float[Tensor, "F T"], *, own: int) -> None:
    """Show the captions nearest to each frame of a video, under a slider; see `nearest_figure`."""
    figure(
        nearest_figure(read.frames, read.seconds, captions, cosine, own=own),
        f"Left, a frame of the video “{captions[own]}”. Right, the captions nearest to this frame alone, of "
        f"{len(captions):,}, best on top, each with its cosine. Green with a star: the caption written for this video.",
    )


def shares(title: str, found: Mapping[str, Share]) -> None:
    """Show how often something is right, row by row; see `shares_figure`."""
    figure(
        shares_figure(title, found),
        "Dots: share in percent. Lines: its 95 % interval (bootstrap over what was asked). Dashed: what a coin would "
        "give. Sample collection, one trained model.",
    )


def _describe(caption: str) -> None:
    """Say below something what is to be seen in it."""
    display(HTML(f'<p style="max-width:60em; font-size:13px"><i>{escape(caption)}</i></p>'))
