"""What a quiz question is."""

from typing import NamedTuple


class Choice(NamedTuple):
    """One of the answers to choose from.

    Attributes:
        text: The answer.
        because: Why it is right or wrong, in a sentence or two.
        right: Whether it is the right one.
    """

    text: str
    because: str
    right: bool = False


class Question(NamedTuple):
    """A question, one of whose answers is right.

    Attributes:
        text: The question.
        choices: Two to five answers.
    """

    text: str
    choices: tuple[Choice, ...]
