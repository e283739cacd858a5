"""Questions with a few answers to choose from; every choice is answered with a reason."""

from collections.abc import Sequence
from html import escape

import ipywidgets as widgets

from diffret_core.course.exercises import questions_of
from diffret_core.course.live import show_live, small
from diffret_core.course.question import Choice, Question
from diffret_core.course.style import COMBINED, GENERATED

RIGHT, WRONG = "&#10003; Right.", "&#10007; Not quite."


def show(lesson: str) -> None:
    """Show the quiz of a notebook.

    Args:
        lesson: Number of the notebook, such as "01".
    """
    questions = questions_of(lesson)
    show_live(make_quiz(questions), in_words(questions))


def make_quiz(questions: Sequence[Question]) -> widgets.VBox:
    """Build the quiz: radio buttons, none of them chosen, and below them the reply to what is chosen."""
    return widgets.VBox([_asked(number, question) for number, question in enumerate(questions, start=1)])


def in_words(questions: Sequence[Question]) -> str:
    """HTML of the quiz for where no kernel listens: the answer of every question folds open."""
    return "".join(_asked_in_words(number, question) for number, question in enumerate(questions, start=1))


def _asked(number: int, question: Question) -> widgets.VBox:
    radio = widgets.RadioButtons(
        options=[(choice.text, place) for place, choice in enumerate(question.choices)],
        value=None,
        layout=widgets.Layout(width="auto"),
    )
    reply = widgets.HTML()

    def answer(change: dict) -> None:
        if change["new"] is not None:
            reply.value = _reply(question.choices[change["new"]])

    radio.observe(answer, names="value")
    return widgets.VBox([widgets.HTML(_heading(number, question)), radio, reply])


def _heading(number: int, question: Question) -> str:
    return f"<b>{number}. {escape(question.text)}</b>"


def _reply(choice: Choice) -> str:
    verdict, colour = (RIGHT, COMBINED) if choice.right else (WRONG, GENERATED)
    return small(f'<b style="color:{colour}">{verdict}</b> {escape(choice.because)}')


def _asked_in_words(number: int, question: Question) -> str:
    choices = "".join(f"<li>{escape(choice.text)}</li>" for choice in question.choices)
    right = next(choice for choice in question.choices if choice.right)
    return (
        f"<p>{_heading(number, question)}</p><ul>{choices}</ul>"
        f"<details><summary>Answer</summary><p><b>{escape(right.text)}</b>. {escape(right.because)}</p></details>"
    )
