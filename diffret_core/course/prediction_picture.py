"""The answer drawn over a guess, as SVG: the answer solid and blue, the guess dashed and orange, both named."""

from collections.abc import Sequence
from html import escape

from diffret_core.course.style import FONT, GENERATED, INK, PAPER, QUIET, SIMILARITY

Number = float | int
WIDTH = 640
_EDGE = 60

Point = tuple[Number, Number]


def on_a_line(truth: Number, guess: Number | None, low: Number, high: Number) -> str:
    """Mark answer and guess on a line of numbers.

    Args:
        truth: The answer.
        guess: The guess, if there is one.
        low: Number at the left end.
        high: Number at the right end.
    """

    def place(value: Number) -> Number:
        return _EDGE + (value - low) / (high - low or 1) * (WIDTH - 2 * _EDGE)

    marks = [
        _line([(_EDGE, 50), (WIDTH - _EDGE, 50)], QUIET),
        _text(_EDGE - 8, 54, f"{low:g}", "end"),
        _text(WIDTH - _EDGE + 8, 54, f"{high:g}", "start"),
        _line([(place(truth), 34), (place(truth), 66)], SIMILARITY, width=4),
        _text(place(truth), 26, f"answer {truth:g}"),
    ]
    if guess is not None:
        marks += [
            _line([(place(guess), 34), (place(guess), 66)], GENERATED, width=3, dash="5 3"),
            _text(place(guess), 84, f"your guess {guess:g}"),
        ]
    told = "no guess" if guess is None else f"the guess was {guess:g}"
    return _drawing(94, marks, f"The answer is {truth:g}; {told}.")


def two_orders(items: Sequence[str], guess: Sequence[str] | None) -> str:
    """Write the guessed order beside the right one, each guess joined with the place where it belongs."""
    marks = [_text(WIDTH - 260, 20, "answer", "start", bold=True)]
    marks += [_text(WIDTH - 260, 46 + 26 * row, f"{row + 1}. {item}", "start") for row, item in enumerate(items)]
    if guess is not None:
        marks.append(_text(240, 20, "your guess", "end", bold=True))
        for row, item in enumerate(guess):
            right = items.index(item) == row
            marks.append(_text(240, 46 + 26 * row, f"{item} {row + 1}.", "end"))
            ends = [(248.0, 41.0 + 26 * row), (WIDTH - 268.0, 41.0 + 26 * items.index(item))]
            marks.append(_line(ends, SIMILARITY if right else GENERATED, width=2, dash="" if right else "5 3"))
    return _drawing(40 + 26 * len(items), marks, f"The right order is {', '.join(items)}.")


def two_curves(
    x: Sequence[Number], truth: Sequence[Number], guess: Sequence[Number] | None, ends: tuple[Number, Number]
) -> str:
    """Draw the right curve and the guessed one.

    Args:
        x: Where the points lie, the first on the left; they may run down, as noise levels do.
        truth: Heights of the right curve.
        guess: Heights of the guessed curve, if there is one.
        ends: Lowest and highest height that is drawn.
    """
    low, high = ends

    def points(heights: Sequence[Number]) -> list[Point]:
        span = WIDTH - 2 * _EDGE - 60
        across = [_EDGE + (place - x[0]) / ((x[-1] - x[0]) or 1) * span for place in x]
        return [(a, 170 - (height - low) / (high - low) * 140) for a, height in zip(across, heights, strict=True)]

    marks = [_line([(_EDGE, 170), (WIDTH - _EDGE, 170)], QUIET)]
    marks += [_text(_EDGE - 8, 174, f"{low:g}", "end"), _text(_EDGE - 8, 34, f"{high:g}", "end")]
    marks += [_text(across, 190, f"{place:g}") for (across, _), place in zip(points(truth), x, strict=True)]
    marks += _named_curve(points(truth), SIMILARITY, "answer")
    if guess is not None:
        apart = points(guess)[-1][1] - points(truth)[-1][1]
        below = 0 if abs(apart) > 14 else 14 - apart  # two names at one height would cover each other
        marks += _named_curve(points(guess), GENERATED, "your guess", dash="5 3", below=below)
    return _drawing(200, marks, "The answer at each place: " + ", ".join(f"{height:g}" for height in truth))


def _named_curve(points: list[Point], colour: str, name: str, *, dash: str = "", below: Number = 0) -> list[str]:
    end, height = points[-1]
    return [_line(points, colour, width=3, dash=dash), _text(end + 8, height + 4 + below, name, "start")]


def _line(points: Sequence[Point], colour: str, *, width: int = 1, dash: str = "") -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>'


def _text(x: Number, y: Number, words: str, anchor: str = "middle", *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}"{weight}>{escape(words)}</text>'


def _drawing(height: int, marks: Sequence[str], words: str) -> str:
    return (
        f'<svg role="img" aria-label="{escape(words, quote=True)}" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'style="display:block; max-width:100%; height:auto; background:{PAPER}; font-size:13px; '
        f'font-family:{FONT}">{"".join(marks)}</svg>'
    )
