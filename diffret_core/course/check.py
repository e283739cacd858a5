"""Checking a learner's answer: one line, whatever the answer does, and the notebook always goes on."""

from typing import Any

from diffret_core.course.exercise import judge
from diffret_core.course.exercises import find_exercise


def answer(name: str, given: Any) -> Any:
    """Say in one line whether an answer is right: not tried yet, passed, or what may be behind the mistake.

    Args:
        name: Name of the exercise.
        given: The learner's answer. `...`, or a function that returns it, has not been tried.

    Returns:
        The learner's answer if it is right, giving tensors where the reference does; else the reference. What follows
        in the notebook works in any case.

    Raises:
        ValueError: If there is no exercise of that name.
    """
    verdict = judge(find_exercise(name), given)
    print(verdict.line)
    return verdict.usable
