"""Single queries before and after: those that the generator mends, those it breaks, and what was mistaken for what."""

from dataclasses import replace
from html import escape
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.course.cells import rows_of_cells
from diffret_core.course.setup import Samples
from diffret_core.course.style import COMBINED, SIMILARITY
from diffret_core.course.thumbnails import moving_picture
from diffret_core.ranking import order
from diffret_core.scenes.claims import ActorClaim, Claim, is_true
from diffret_core.scenes.scene import Scene

NUM_SHOWN = 3
_SIDE = 92  # pixels
_SILENT: dict[str, Any] = {"shape": None, "colour": None, "size": None, "motions": ()}
SEVERAL = "several things"


def mended_and_broken(
    before: Int[Tensor, " R"], after: Int[Tensor, " R"]
) -> tuple[Int[Tensor, " M"], Int[Tensor, " B"]]:
    """Find the queries whose target came first only after, and those where it came first only before.

    Args:
        before: Rank of each query's target, 1 = best.
        after: The same by other scores.

    Returns:
        Numbers of the queries, in rising order.
    """
    first_before, first_after = before == 1, after == 1
    return (~first_before & first_after).nonzero()[:, 0], (first_before & ~first_after).nonzero()[:, 0]


def wrong_about(claim: Claim, scene: Scene) -> str:
    """Say in which one thing a scene differs from what a caption says: without that, the caption would be true.

    Motions in the other order count as a wrong order, and not as wrong motions.

    Args:
        claim: What the caption says.
        scene: What the wrong video shows; the caption is not true of it.

    Returns:
        "order of motions", "motion", "colour", "shape", "size", "relation" or "background"; "several things" if no
        single one explains it.
    """
    weaker = {
        "order of motions": replace(
            claim, actors=tuple(replace(one, motions=one.motions[::-1]) for one in claim.actors)
        ),
        "motion": _without(claim, "motions"),
        **{name: _without(claim, name) for name in ("colour", "shape", "size")},
        "relation": replace(claim, relation=None),
        "background": replace(claim, background=None),
    }
    return next((name for name, said in weaker.items() if is_true(said, scene)), SEVERAL)


def _without(claim: Claim, attribute: str) -> Claim:
    actors: list[ActorClaim] = [replace(one, **{attribute: _SILENT[attribute]}) for one in claim.actors]
    at_once = claim.at_once and attribute != "motions"
    return replace(claim, actors=tuple(actors), at_once=at_once)


def case_html(
    samples: Samples, query: int, similarity: Float[Tensor, " V"], combined: Float[Tensor, " V"], *, title: str
) -> str:
    """Show the first videos of a text query before and after, the one that is meant with a star.

    Args:
        samples: Gives captions and video files.
        query: Number of the test pair.
        similarity: Score of each video before.
        combined: Score of each video after.
        title: What became of the query.
    """
    sentence = samples.captions[samples.video_ids[query]]
    rows = [
        _row(samples, query, score, words, colour)
        for words, score, colour in (("similarity", similarity, SIMILARITY), ("combined", combined, COMBINED))
    ]
    heading = f'<div style="font-size:14px; min-height:3.6em"><b>{escape(title)}.</b> “{escape(sentence)}”</div>'
    return f'<div style="width:340px; margin:0 14px 14px 0">{heading}{"".join(rows)}</div>'


def _row(samples: Samples, query: int, score: Float[Tensor, " V"], words: str, colour: str) -> str:
    cards = [
        _card(samples, item, is_meant=item == query, place=place)
        for place, item in enumerate(order(score[None])[0, :NUM_SHOWN].tolist(), start=1)
    ]
    head = f'<div style="border-top:3px solid {colour}; padding:3px 0; font-size:12px"><b>{words}</b></div>'
    return f"<div>{head}{rows_of_cells([cards], style='padding:0')}</div>"


def _card(samples: Samples, item: int, *, is_meant: bool, place: int) -> str:
    video = samples.video_ids[item]
    caption = samples.captions[video]
    picture = moving_picture(samples.video_path(video))
    words = escape(f"place {place}: {caption}", quote=True)
    border = f"3px solid {COMBINED}" if is_meant else "3px solid transparent"
    image = (
        f'<img src="{picture}" width="{_SIDE}" height="{_SIDE}" alt="{words}" title="{words}" style="border:{border}">'
    )
    told = f"{place}. {'&#9733; meant' if is_meant else ''}"
    style = "width:100px; margin-right:8px; font-size:11px; line-height:1.3"
    return f'<div style="{style}">{image}<div><b>{told}</b></div><div>{escape(caption)}</div></div>'
