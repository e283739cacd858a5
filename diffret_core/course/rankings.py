"""Rankings as HTML: moving thumbnails, with place, caption and scores."""

from collections.abc import Callable, Sequence
from html import escape

from diffret_core.course.cells import rows_of_cells
from diffret_core.course.setup import Samples
from diffret_core.course.style import COMBINED, GENERATED, SIMILARITY
from diffret_core.course.thumbnails import thumbnail_html
from diffret_core.search import Search, SearchResult

SCORES: dict[str, tuple[str, Callable[[SearchResult], float]]] = {
    "similarity": (SIMILARITY, lambda one: one.similarity),
    "generated": (GENERATED, lambda one: one.generated_probability),
    "combined": (COMBINED, lambda one: one.combined_score),
}
"""Name of each score -> its colour, and where it stands in a result."""

_CARD_WIDTH = 140
_CARD = "padding:0 8px 10px 0; font-size:12px; line-height:1.35"


def ranking_html(samples: Samples, found: Search, *, num_shown: int = 5) -> str:
    """Show the best videos for a sentence with all three scores.

    Args:
        samples: Gives captions and video files.
        found: What a search gave.
        num_shown: How many of the best are shown.

    Returns:
        HTML that needs nothing else.
    """
    cards = [_card(samples, one, one.rank, _three_scores(one)) for one in found.results[:num_shown]]
    return f"<div>{_sentence(found)}{_row(cards)}</div>"


def three_rankings_html(samples: Samples, found: Search, *, num_shown: int = 5, meant: str | None = None) -> str:
    """Show the best videos by each score, one row a score.

    Args:
        samples: Gives captions and video files.
        found: What a search gave.
        num_shown: How many are shown in a row.
        meant: Id of the video that the sentence was written for; its place is told in every row.

    Returns:
        HTML that needs nothing else.
    """
    rows = []
    for name, (colour, score) in SCORES.items():
        ranked = sorted(found.results, key=score, reverse=True)
        cards = [
            _card(samples, one, place, f"{name} {score(one):.3f}", is_meant=one.video == meant)
            for place, one in enumerate(ranked[:num_shown], start=1)
        ]
        rows.append(f"<div>{_row_title(name, colour, place_of(meant, ranked))}{_row(cards)}</div>")
    return f"<div>{_sentence(found)}{''.join(rows)}</div>"


def place_of(video: str | None, ranked: Sequence[SearchResult]) -> int | None:
    """Place of a video in a ranking, 1 = best; None if it is not in it."""
    return next((place for place, one in enumerate(ranked, start=1) if one.video == video), None)


def _card(samples: Samples, one: SearchResult, place: int, scores: str, *, is_meant: bool = False) -> str:
    caption = samples.captions[one.video]
    mark = f'<b style="color:{COMBINED}">&#9733; meant</b>' if is_meant else ""
    return (
        f"{thumbnail_html(samples.video_path(one.video), title=caption)}"
        f"<div><b>{place}.</b> {mark}</div><div>{escape(caption)}</div>"
        f'<div style="opacity:0.75">{scores}</div>'
    )


def _row(cards: list[str]) -> str:
    return rows_of_cells([cards], style=_CARD, cell_width=_CARD_WIDTH)


def _three_scores(one: SearchResult) -> str:
    return "<br>".join(f"{name} {score(one):.3f}" for name, (_, score) in SCORES.items())


def _sentence(found: Search) -> str:
    return f'<div style="margin:0 0 8px 0; font-size:15px; overflow-wrap:anywhere"><b>“{escape(found.text)}”</b></div>'


def _row_title(name: str, colour: str, place: int | None) -> str:
    told = f" &nbsp;the video that was meant is at place {place}" if place is not None else ""
    return (
        f'<div style="border-top:3px solid {colour}; padding:4px 0; margin-top:6px; font-size:13px">'
        f"<b>by {name}</b>{told}</div>"
    )
