"""Putting things under a cell: each function shows one thing, with a visible sentence that describes it."""

import json
from html import escape

import plotly.graph_objects as go
from IPython.display import HTML, display

from diffret_core.course.denoising import describe_denoising
from diffret_core.course.denoising_figure import denoising_figure
from diffret_core.course.environment import on_colab
from diffret_core.course.rankings import ranking_html, three_rankings_html
from diffret_core.course.search_box import search_box
from diffret_core.course.setup import Samples
from diffret_core.course.thumbnails import still
from diffret_core.search import Search

__all__ = ["denoising", "figure", "ranking", "search_box", "three_rankings"]

PLOTLY = "application/vnd.plotly.v1+json"
THUMBNAIL_SIDE = 36


def ranking(samples: Samples, found: Search, *, num_shown: int = 5) -> None:
    """Show the best videos for a sentence, playing, with their scores."""
    display(HTML(ranking_html(samples, found, num_shown=num_shown)))


def three_rankings(samples: Samples, found: Search, *, num_shown: int = 5, meant: str | None = None) -> None:
    """Show the best videos by similarity, by the generator and by both; see `three_rankings_html`."""
    display(HTML(three_rankings_html(samples, found, num_shown=num_shown, meant=meant)))


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
    display(HTML(f'<p style="max-width:60em; font-size:13px"><i>{escape(caption)}</i></p>'))
