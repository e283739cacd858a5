"""Predict before you run: a question, a guess, and then the answer drawn over the guess.

The answer is part of the question's cell and stays hidden until it is asked for, so that Run All gives nothing away and
needs no guess. Where no kernel listens, the answer folds open. A reason would give the answer away in the code of the
cell: it folds open in the text below.
"""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple

import ipywidgets as widgets

from diffret_core.course import prediction_picture as picture
from diffret_core.course.live import show_live
from diffret_core.course.prediction_picture import Number

TELL, COMPARE = "Show the answer", "Compare"


class Prediction(NamedTuple):
    """The parts of a question; only core widgets, as they are in ipywidgets 7.7 and 8.

    Attributes:
        guesses: What the learner moves.
        button: Shows the answer, over the guess if there is one.
        result: Where it appears.
        whole: All of them, for display.
    """

    guesses: list[Any]
    button: widgets.Button
    result: widgets.HTML
    whole: widgets.VBox


def number(question: str, *, truth: Number, low: Number, high: Number, step: Number = 1) -> None:
    """Ask for a number, guessed with a slider.

    Args:
        question: The question.
        truth: The answer.
        low: Left end of the slider.
        high: Right end of the slider.
        step: Distance of two guesses.

    Raises:
        ValueError: If the answer is not on the slider.
    """
    show_live(make_number(question, truth, (low, high, step)).whole, _folded(question, f"{truth:g}"))


def ranking(question: str, items: Sequence[str]) -> None:
    """Ask for an order; the items are offered in alphabetical order.

    Args:
        question: The question.
        items: Two to six different items in the right order, best first.

    Raises:
        ValueError: If an item is there twice or their number cannot be drawn.
    """
    show_live(make_ranking(question, items).whole, _folded(question, ", then ".join(items)))


def curve(question: str, x: Sequence[Number], truth: Sequence[Number], *, low: Number, high: Number) -> None:
    """Ask for the course of a curve, guessed with one slider per point.

    Args:
        question: The question.
        x: Where the points lie, two to eight of them.
        truth: Height of the curve there.
        low: Lower end of the sliders.
        high: Upper end of the sliders.

    Raises:
        ValueError: If numbers of points differ or cannot be drawn, or a height is not on the sliders.
    """
    heights = ", ".join(f"{height:g} at {place:g}" for place, height in zip(x, truth, strict=True))
    show_live(make_curve(question, x, truth, (low, high)).whole, _folded(question, heights))


def make_number(question: str, truth: Number, ends: tuple[Number, Number, Number]) -> Prediction:
    """Build the question of `number`."""
    low, high, step = ends
    _refuse_outside([truth], low, high)
    slider = widgets.FloatSlider(
        value=low,
        min=low,
        max=high,
        step=step,
        readout_format=".0f" if step >= 1 else ".2f",
        continuous_update=False,
        description="my guess",
    )

    def draw(guess: list[Number] | None) -> str:
        return picture.on_a_line(truth, guess[0] if guess else None, low, high)

    return _asked(question, [slider], draw)


def make_ranking(question: str, items: Sequence[str]) -> Prediction:
    """Build the question of `ranking`."""
    if len(set(items)) != len(items) or not 2 <= len(items) <= 6:
        raise ValueError(f"a ranking of {list(items)}: give two to six items, each once")
    offered = sorted(items)
    menus = [
        widgets.Dropdown(options=[("choose", ""), *[(item, item) for item in offered]], description=f"{place}.")
        for place in range(1, len(items) + 1)
    ]

    def draw(guess: list[str] | None) -> str:
        return picture.two_orders(items, guess)

    return _asked(question, menus, draw)


def make_curve(question: str, x: Sequence[Number], truth: Sequence[Number], ends: tuple[Number, Number]) -> Prediction:
    """Build the question of `curve`."""
    low, high = ends
    if len(x) != len(truth) or not 2 <= len(x) <= 8:
        raise ValueError(f"a curve with {len(x)} places and {len(truth)} heights: give two to eight of both")
    _refuse_outside(truth, low, high)
    sliders = [
        widgets.FloatSlider(
            value=low,
            min=low,
            max=high,
            step=(high - low) / 50,
            orientation="vertical",
            readout_format=".2f",
            continuous_update=False,
            description=f"{place:g}",
            layout=widgets.Layout(height="130px", width="64px"),
        )
        for place in x
    ]

    def draw(guess: list[Number] | None) -> str:
        return picture.two_curves(x, truth, guess, (low, high))

    return _asked(question, sliders, draw)


def _asked(question: str, guesses: list[Any], draw: Callable[[list | None], str]) -> Prediction:
    """Join question, sliders or menus, and the answer; a guess counts as soon as one of them was moved."""
    start = [one.value for one in guesses]
    button, result = widgets.Button(description=TELL), widgets.HTML()

    def guessed(_change: object = None) -> None:
        button.description = TELL if _guess() is None else COMPARE
        if result.value:
            tell()

    def _guess() -> list | None:
        values = [one.value for one in guesses]
        return None if values == start or "" in values else values

    def tell(_button: object = None) -> None:
        result.value = draw(_guess())

    for one in guesses:
        one.observe(guessed, names="value")
    button.on_click(tell)
    vertical = getattr(guesses[0], "orientation", "") == "vertical"
    controls = widgets.HBox(guesses) if vertical else widgets.VBox(guesses)
    return Prediction(
        guesses, button, result, widgets.VBox([widgets.HTML(_heading(question)), controls, button, result])
    )


def _heading(question: str) -> str:
    return f"<b>Predict.</b> {escape(question)}"


def _folded(question: str, answer: str) -> str:
    return f"<p>{_heading(question)}</p><details><summary>{TELL}</summary><p><b>{escape(answer)}</b></p></details>"


def _refuse_outside(values: Sequence[Number], low: Number, high: Number) -> None:
    for value in values:
        if not low <= value <= high:
            raise ValueError(f"the answer {value:g} is not between {low:g} and {high:g}; widen the slider")
