"""What the demo shows of answers: rows of playing videos with their numbers, and two runs side by side."""

from collections.abc import Sequence
from html import escape

from diffret_core.course.demo.changes import changes_in_words
from diffret_core.course.demo.collection import Item
from diffret_core.course.demo.running import Result, Run
from diffret_core.course.style import COMBINED, FAINT, GENERATED, INK, PAPER, SIMILARITY
from diffret_core.course.thumbnails import thumbnail_html
from diffret_core.index import shown_seconds

_CARD = "display:inline-block; width:132px; margin:0 10px 10px 0; vertical-align:top; font-size:12px; line-height:1.35"
_PAPER = f"margin:6px 0; padding:8px; background:{PAPER}; color:{INK}; line-height:1.4"
_KEY = (
    "Best first. Combined = similarity + alpha × generated probability; ▲ ▼: moved by the generator from its place by "
    "similarity."
)
_KEY_OF_CLIP = "Best first, by similarity."
_MEANT = f'<b style="color:{COMBINED}">&#9733;</b>'


def results_html(run: Run, *, num_shown: int) -> str:
    """Show the best of a run as playing videos, each with its scores and what the generator changed.

    Args:
        run: The answer.
        num_shown: How many of the best are shown.

    Returns:
        HTML that needs nothing else; every word, id and name in it is escaped.
    """
    meant = run.walk.proposal.meant
    has_generator = bool(run.walk.levels)
    cards = "".join(
        _card(one, is_meant=one.item.id in meant, has_generator=has_generator) for one in run.results[:num_shown]
    )
    return f'<div style="{_PAPER}">{_heading(run)}{cards}{_meant_in_words(run)}</div>'


def compared_html(pinned: Run, present: Run, *, num_shown: int) -> str:
    """Show two runs side by side, and say what changed.

    Args:
        pinned: The run that was kept.
        present: The run of now.
        num_shown: How many of the best of each are shown.

    Returns:
        HTML that needs nothing else; every word, id and name in it is escaped.
    """
    changes = "".join(f"<li>{escape(line)}</li>" for line in changes_in_words(pinned, present, num_shown=num_shown))
    columns = "".join(
        f'<div style="flex:1 1 300px; min-width:280px"><b>{name}</b>{_table(run.results[:num_shown], other)}</div>'
        for name, run, other in (("pinned", pinned, present), ("now", present, pinned))
    )
    return (
        f'<div style="{_PAPER}"><b>What changed</b><ul style="margin:4px 0 10px 0; font-size:13px">{changes}</ul>'
        f'<div style="display:flex; flex-wrap:wrap; gap:16px">{columns}</div></div>'
    )


def places_in_words(result: Result) -> str:
    """Say how a result's place differs from its place by similarity alone."""
    if result.places_won == 0:
        return "not moved"
    return f"{'▲' if result.places_won > 0 else '▼'} from {result.similarity_rank}."


def playing_html(item: Item) -> str:
    """Show a video as a moving picture; say so where its file is gone or cannot be read."""
    try:
        return thumbnail_html(item.path, title=item.words, part=item.part)
    except (OSError, ValueError):
        return (
            f'<div style="width:128px; height:128px; border:1px dashed {INK}; display:flex; align-items:center; '
            'justify-content:center; text-align:center">its file is gone or cannot be read</div>'
        )


def _card(result: Result, *, is_meant: bool, has_generator: bool) -> str:
    seconds = result.item.part.start_seconds
    start = f" from {shown_seconds(seconds)}" if seconds > 0 else ""
    scores = (
        ("similarity", SIMILARITY, result.similarity),
        ("generated", GENERATED, result.generated_probability),
        ("combined", COMBINED, result.combined_score),
    )
    numbers = "".join(
        f'<div><span aria-hidden="true" style="color:{colour}">■</span> {name} {value:.3f}</div>'
        for name, colour, value in (scores if has_generator else scores[:1])
    )
    moved = places_in_words(result) if has_generator else ""
    return (
        f'<div style="{_CARD}">{playing_html(result.item)}'
        f"<div><b>{result.rank}.</b> {moved} {_MEANT if is_meant else ''}</div>{numbers}"
        f'<div style="overflow-wrap:anywhere; margin-top:3px">{escape(result.item.words)}{start}</div></div>'
    )


def _heading(run: Run) -> str:
    asked, key = f"“{escape(run.state.query)}”", _KEY if run.walk.levels else _KEY_OF_CLIP
    if run.state.direction == "video_to_text":
        asking = next(one.item for one in run.results if one.item.id == run.state.query)
        asked = f"{playing_html(asking)}<br>Captions for this video, {escape(run.state.query)}"
        key = f"{_KEY} Above each caption the video that it was written for."
    return (
        f'<div style="font-size:15px; overflow-wrap:anywhere"><b>{asked}</b></div>'
        f'<div style="font-size:12px; margin:0 0 8px 0">{key}</div>'
    )


def _meant_in_words(run: Run) -> str:
    """Say where what was meant stands, where that is known."""
    places = [one.rank for one in run.results if one.item.id in run.walk.proposal.meant]
    if not places:
        return ""
    what = (
        "a caption of the video that asks" if run.state.direction == "video_to_text" else "the video it was written for"
    )
    return f'<div style="font-size:12px">{_MEANT} {what}: best at place {places[0]} of {len(run.results):,}</div>'


def _table(results: Sequence[Result], other: Run) -> str:
    """Ranks and scores, the place in the other run last."""
    place = {(one.item.id, one.item.words): one.rank for one in other.results}
    names = ("", "", "similarity", "generated", "combined", "in the other")
    style = f"text-align:left; border-bottom:1px solid {FAINT}; padding:2px 6px"
    head = "".join(f'<th style="{style}">{name}</th>' for name in names)
    rows = "".join(_row(one, place.get((one.item.id, one.item.words))) for one in results)
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse; font-size:12px">'
        f"<tr>{head}</tr>{rows}</table></div>"
    )


def _row(result: Result, other_rank: int | None) -> str:
    cells = (
        f"{result.rank}.",
        escape(result.item.told),
        f"{result.similarity:.3f}",
        f"{result.generated_probability:.3f}",
        f"{result.combined_score:.3f}",
        "–" if other_rank is None else f"{other_rank}.",
    )
    wraps = [" overflow-wrap:anywhere" if place == 1 else " white-space:nowrap" for place in range(len(cells))]
    written = "".join(
        f'<td style="text-align:left; padding:2px 6px;{wrap}">{cell}</td>'
        for cell, wrap in zip(cells, wraps, strict=True)
    )
    return f"<tr>{written}</tr>"
