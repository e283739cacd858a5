"""The candidates at one noise level as bars: what the demo plays, steps and scrubs through, from noise to data."""

from html import escape
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from diffret_core.course.demo.running import Run, Walk
from diffret_core.course.style import FAINT, FONT, INK, PAPER, PLACES, QUIET

WIDTH, HEIGHT = 920, 250
_LEFT, _TOP, _BOTTOM = 20, 44, 206


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
    """Draw the candidates at one noise level, the most similar on the left.

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
    step = (WIDTH - 2 * _LEFT) / len(shown.state)
    best = run.walk.states[-1].mean(dim=0).argsort(descending=True, stable=True)[: len(PLACES)].tolist()
    estimates = _heights(shown.estimate, float(shown.estimate.min()), float(shown.estimate.max()))
    draws = [_heights(one, low, high) for one in shown.draws] if len(shown.draws) > 1 else []
    marks = []
    for column, height in enumerate(_heights(shown.state, low, high)):
        middle, winner = _LEFT + (column + 0.5) * step, best.index(column) if column in best else None
        marks.append(_bar(middle, height, step, run.candidates[column].words, winner))
        marks += [f'<circle cx="{middle:.1f}" cy="{_y(one[column]):.1f}" r="2" fill="{INK}"/>' for one in draws]
        marks.append(_diamond(middle, estimates[column]))
    return _drawing(run, shown, marks, best)


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


def _bar(middle: float, height: float, step: float, words: str, winner: int | None) -> str:
    colour = FAINT if winner is None else PLACES[winner].colour
    label = ""
    if winner is not None:
        label = f'<text x="{middle:.1f}" y="{_BOTTOM + 16}" text-anchor="middle">{PLACES[winner].label}</text>'
    top = _y(height)
    return (
        f'<rect x="{middle - 0.36 * step:.1f}" y="{top:.1f}" width="{0.72 * step:.1f}" height="{_BOTTOM - top:.1f}" '
        f'fill="{colour}" stroke="{QUIET}" stroke-width="0.5"><title>{escape(words)}</title></rect>{label}'
    )


def _diamond(middle: float, height: float) -> str:
    y = _y(height)
    return f'<path d="M{middle:.1f} {y - 5:.1f} l5 5 l-5 5 l-5 -5 z" fill="{PAPER}" fill-opacity="0.7" stroke="{INK}"/>'


def _drawing(run: Run, shown: LevelShown, marks: list[str], best: list[int]) -> str:
    place = run.walk.levels.index(shown.k)
    several = f", dots: {len(shown.draws)} draws, bars: their mean" if len(shown.draws) > 1 else ""
    key = f"bar: state of a candidate, ◇: what the network takes for the answer{several}"
    first = run.candidates[best[0]].words
    told = f"{levels_in_words(run, place)}. {len(shown.state)} candidates; first in the end: {first}."
    progress = _LEFT + (WIDTH - 2 * _LEFT) * place / max(1, len(run.walk.levels) - 1)
    return (
        f'<div style="overflow-x:auto"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}" '
        f'style="width:100%; min-width:720px; max-width:{WIDTH}px; background:{PAPER}; font:13px {FONT}" fill="{INK}">'
        f'<text x="{_LEFT}" y="18" font-weight="bold">{escape(levels_in_words(run, place))}</text>'
        f'<text x="{_LEFT}" y="35" font-size="12">{escape(key)}</text>{"".join(marks)}'
        f'<text x="{_LEFT}" y="{HEIGHT - 12}" font-size="12">noise</text>'
        f'<text x="{WIDTH - _LEFT}" y="{HEIGHT - 12}" font-size="12" text-anchor="end">data</text>'
        f'<line x1="{_LEFT}" y1="{HEIGHT - 6}" x2="{progress:.1f}" y2="{HEIGHT - 6}" stroke="{INK}" stroke-width="3"/>'
        f"</svg></div>{_winners(run, best)}"
    )


def _winners(run: Run, best: list[int]) -> str:
    """Name the candidates that are marked on the bars."""
    names = "<br>".join(
        f'<span aria-hidden="true" style="color:{place.colour}">■</span> {place.label}: '
        f"{escape(run.candidates[column].words)}"
        for place, column in zip(PLACES, best, strict=False)
    )
    return (
        f'<div style="font-size:12px; line-height:1.4; padding:4px 8px; background:{PAPER}; color:{INK}">{names}</div>'
    )
