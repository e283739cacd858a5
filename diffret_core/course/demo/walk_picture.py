"""The candidates at one noise level as bars: what the demo plays, steps and scrubs through, from noise to data."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from diffret_core.course.demo.running import Run, Walk
from diffret_core.course.style import FAINT, FONT, INK, PAPER, PLACES, QUIET

WIDTH = 920
_LEFT, _TOP, _BOTTOM, _PICTURE = 20, 14, 176, 26
_PAPER = f"background:{PAPER}; color:{INK}; padding:0 8px; line-height:1.4; font-size:12px"
_KEY = (
    "A bar a candidate, the most similar on the left; its height is the state, which starts as noise. ◇: what the "
    "network takes for the answer at this level."
)


class LevelShown(NamedTuple):
    """The candidates at one noise level.

    Attributes:
        k: The level.
        state: x_k of each candidate, the mean of all draws.
        draws: x_k of each draw.
        estimate: What the network takes for the answer here; at level 0 the answer itself.
    """

    k: int
    state: Float[Tensor, " N"]
    draws: Float[Tensor, "M N"]
    estimate: Float[Tensor, " N"]


def level_shown(walked: Walk, place: int) -> LevelShown:
    """Give what is drawn of one level.

    Args:
        walked: The walk.
        place: Which of the levels visited, 0 for noise.

    Raises:
        ValueError: If so many levels were not visited.
    """
    if not 0 <= place < len(walked.levels):
        raise ValueError(
            f"place is {place}; this walk has {len(walked.levels)} levels, so 0 to {len(walked.levels) - 1}"
        )
    draws = walked.states[place]
    estimate = walked.estimates[place] if place < len(walked.estimates) else draws
    return LevelShown(walked.levels[place], draws.mean(dim=0), draws, estimate.mean(dim=0))


def walk_svg(run: Run, place: int) -> str:
    """Draw the candidates at one noise level, the most similar on the left; `candidates_svg` belongs below it.

    Bars are the states, dots the single draws (where there are several), diamonds what the network takes for the
    answer. Both are stretched, each from its lowest to its highest, because a softmax does not feel what is added to
    all candidates.

    Args:
        run: The answer.
        place: Which of the levels visited, 0 for noise.

    Returns:
        SVG with a description of what is to be seen; every word in it is escaped.

    Raises:
        ValueError: If so many levels were not visited.
    """
    shown = level_shown(run.walk, place)
    low, high = float(shown.draws.min()), float(shown.draws.max())
    middles, width = _columns(run)
    best = _best(run)
    estimates = _heights(shown.estimate, float(shown.estimate.min()), float(shown.estimate.max()))
    draws = [_heights(one, low, high) for one in shown.draws] if len(shown.draws) > 1 else []
    marks = []
    for column, height in enumerate(_heights(shown.state, low, high)):
        middle, winner = middles[column], best.index(column) if column in best else None
        marks.append(_bar(middle, height, width, run.candidates[column].words, winner))
        marks += [f'<circle cx="{middle:.1f}" cy="{_y(one[column]):.1f}" r="2" fill="{INK}"/>' for one in draws]
        marks.append(_diamond(middle, estimates[column]))
    told = f"{levels_in_words(run, place)}. {len(shown.state)} candidates; first in the end: "
    several = f" Dots: {len(shown.draws)} draws, each from its own noise; bars: their mean." if draws else ""
    return (
        f'<div style="{_PAPER}"><b style="font-size:14px">{escape(levels_in_words(run, place))}</b><div>{_KEY}{several}'
        f"</div>{_drawing(marks, _BOTTOM, told + run.candidates[best[0]].words)}</div>"
    )


def candidates_svg(run: Run, pictures: Sequence[str]) -> str:
    """Draw what stands below the bars whatever the level: who is who, and which candidates end first.

    Args:
        run: The answer.
        pictures: A small picture of each candidate as a data URI; empty for one that has none yet, or never will: a
            plain box stands for it. Or none at all.

    Returns:
        SVG and names; every word in it is escaped.
    """
    middles, best = _columns(run)[0], _best(run)
    marks = [_picture(middle, picture) for middle, picture in zip(middles, pictures, strict=False)]
    top = _PICTURE + 2 if marks else 0
    marks += [
        f'<text x="{middles[column]:.1f}" y="{top + 14}" text-anchor="middle">{place.label}</text>'
        for place, column in zip(PLACES, best, strict=False)
    ]
    names = "<br>".join(
        f'<span aria-hidden="true" style="color:{place.colour}">■</span> {place.label}: '
        f"{escape(run.candidates[column].words)}"
        for place, column in zip(PLACES, best, strict=False)
    )
    drawn = _drawing(marks, top + 20, "the candidates, the most similar on the left")
    return f'<div style="{_PAPER}">{drawn}<div>In the end the generator alone would place<br>{names}</div></div>'


def levels_in_words(run: Run, place: int) -> str:
    """Say where on its way the walk is."""
    levels = run.walk.levels
    name = {0: ", pure noise", len(levels) - 1: ", the answer"}.get(place, "")
    return f"noise level {levels[place]} of {levels[0]}{name}"


def _heights(values: Float[Tensor, " N"], low: float, high: float) -> list[float]:
    """Stretch to 0..1; 0.5 throughout where all are equal."""
    return [0.5] * len(values) if high <= low else ((values - low) / (high - low)).tolist()


def _y(height: float) -> float:
    return _BOTTOM - 6 - height * (_BOTTOM - 6 - _TOP)


def _columns(run: Run) -> tuple[list[float], float]:
    """Middle of each candidate's column, and the width of a bar."""
    step = (WIDTH - 2 * _LEFT) / len(run.candidates)
    return [_LEFT + (column + 0.5) * step for column in range(len(run.candidates))], 0.72 * step


def _best(run: Run) -> list[int]:
    """Columns that the mean of all draws puts first in the end, best first."""
    return run.walk.states[-1].mean(dim=0).argsort(descending=True, stable=True)[: len(PLACES)].tolist()


def _bar(middle: float, height: float, width: float, words: str, winner: int | None) -> str:
    colour, top = FAINT if winner is None else PLACES[winner].colour, _y(height)
    return (
        f'<rect x="{middle - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_BOTTOM - top:.1f}" '
        f'fill="{colour}" stroke="{QUIET}" stroke-width="0.5"><title>{escape(words)}</title></rect>'
    )


def _diamond(middle: float, height: float) -> str:
    y = _y(height)
    return f'<path d="M{middle:.1f} {y - 5:.1f} l5 5 l-5 5 l-5 -5 z" fill="{PAPER}" fill-opacity="0.7" stroke="{INK}"/>'


def _picture(middle: float, picture: str) -> str:
    place = f'x="{middle - _PICTURE / 2:.1f}" y="0" width="{_PICTURE}" height="{_PICTURE}"'
    return f'<image {place} href="{picture}"/>' if picture else f'<rect {place} fill="{FAINT}"/>'


def _drawing(marks: list[str], height: int, told: str) -> str:
    return (
        f'<div style="overflow-x:auto"><svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(told)}" '
        f'style="display:block; width:100%; min-width:720px; max-width:{WIDTH}px; font:14px {FONT}" fill="{INK}">'
        f"{''.join(marks)}</svg></div>"
    )
