"""A box to type a sentence into, with the ranking below it."""

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

import ipywidgets as widgets

from diffret_core.course.live import show_live, small
from diffret_core.course.rankings import ranking_html
from diffret_core.course.setup import Samples
from diffret_core.search import prepare_gallery, search


class SearchBox(NamedTuple):
    """The parts of a search box; only core widgets, as they are in ipywidgets 7.7 and 8.

    Attributes:
        text: Where the sentence is typed.
        button: Searches for what was typed, as the Enter key does.
        examples: Buttons that fill in a sentence.
        status: One line: ready, searching, or what is wrong.
        result: The ranking.
        whole: All of them, for display.
    """

    text: widgets.Text
    button: widgets.Button
    examples: list[widgets.Button]
    status: widgets.HTML
    result: widgets.HTML
    whole: widgets.VBox


def search_box(samples: Samples, examples: Sequence[str], *, num_shown: int = 5) -> None:
    """Show a search box that has already answered its first example.

    Where no kernel listens, as in a notebook that was just opened, the answer stands there without the box.

    Args:
        samples: What is searched, and with which model.
        examples: Sentences to start from; at least one.
        num_shown: How many videos an answer shows.
    """
    box = make_search_box(samples, examples, num_shown=num_shown)
    fallback = f"<p><i>Run this cell and a search box appears here. It answers like this:</i></p>{box.result.value}"
    show_live(box.whole, fallback)


def make_search_box(samples: Samples, examples: Sequence[str], *, num_shown: int = 5) -> SearchBox:
    """Build the box and answer the first example; see `search_box`.

    Raises:
        ValueError: If there is no example.
    """
    gallery = prepare_gallery(samples.model, samples.videos)

    def respond(text: str) -> str:
        found = search(samples.model, gallery, samples.video_ids, text)
        return ranking_html(samples, found, num_shown=num_shown)

    return make_box(examples, respond, done=f"the best {num_shown} of {len(samples.video_ids):,} videos")


def make_box(examples: Sequence[str], respond: Callable[[str], str], *, done: str) -> SearchBox:
    """Build a box that answers a sentence with HTML, and let it answer the first example.

    Args:
        examples: Sentences to start from.
        respond: Gives the answer to a sentence; what it refuses with a ValueError is shown as the status.
        done: The status once it has answered.

    Raises:
        ValueError: If there is no example.
    """
    if not examples:
        raise ValueError("examples is empty; give at least one sentence to start from")
    box, answered = _empty_box(examples), [""]

    def answer(_change: object = None) -> None:
        text = box.text.value.strip()
        if not text:
            box.status.value = small("Type what you would like to see, such as “a red circle moves left”.")
            return
        if text == answered[-1]:  # a click on the button leaves the text field first, which has already searched
            return
        box.status.value = small(f"searching for “{escape(text)}” …")
        try:
            box.result.value = respond(text)
            box.status.value = small(done)
            answered.append(text)
        except ValueError as error:  # what the core says of a sentence that it cannot read
            box.status.value = small(escape(str(error)))

    def take_example(button: widgets.Button) -> None:
        box.text.value = button.description

    box.text.observe(answer, names="value")
    box.button.on_click(answer)
    for button in box.examples:
        button.on_click(take_example)
    answer()
    return box


def _empty_box(examples: Sequence[str]) -> SearchBox:
    text = widgets.Text(
        value=examples[0],
        placeholder="what is to be seen?",
        continuous_update=False,
        layout=widgets.Layout(width="420px"),
    )
    button = widgets.Button(description="Search", button_style="primary")
    suggestions = [widgets.Button(description=example, layout=widgets.Layout(width="auto")) for example in examples]
    status, result = widgets.HTML(), widgets.HTML()
    rows = [
        widgets.HBox([text, button]),
        widgets.HBox(suggestions, layout=widgets.Layout(flex_flow="row wrap")),
        status,
        result,
    ]
    return SearchBox(text, button, suggestions, status, result, widgets.VBox(rows))
