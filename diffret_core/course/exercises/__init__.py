"""Exercises and quiz questions, two files per notebook: `lesson_01.py` has EXERCISES, `quiz_01.py` has QUIZ."""

import difflib
import importlib
import pkgutil

from diffret_core.course.exercise import Exercise
from diffret_core.course.question import Question


def lessons(kind: str = "lesson") -> list[str]:
    """Numbers of the notebooks that have a file here: "01", "02" and so on.

    Args:
        kind: "lesson" for those with exercises, "quiz" for those with questions.
    """
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.removeprefix(f"{kind}_") for name in names if name.startswith(f"{kind}_"))


def exercises_of(lesson: str) -> tuple[Exercise, ...]:
    """Exercises of a notebook.

    Raises:
        ValueError: If it has none.
    """
    _refuse_unknown("lesson", lesson)
    return importlib.import_module(f"{__name__}.lesson_{lesson}").EXERCISES


def questions_of(lesson: str) -> tuple[Question, ...]:
    """Quiz questions of a notebook.

    Raises:
        ValueError: If it has none.
    """
    _refuse_unknown("quiz", lesson)
    return importlib.import_module(f"{__name__}.quiz_{lesson}").QUIZ


def find_exercise(name: str) -> Exercise:
    """Look an exercise up by its name, which no other exercise of the course has.

    Raises:
        ValueError: If there is none of that name.
    """
    found = {exercise.name: exercise for lesson in lessons() for exercise in exercises_of(lesson)}
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        raise ValueError(f"there is no exercise {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return found[name]


def _refuse_unknown(kind: str, lesson: str) -> None:
    if lesson not in lessons(kind):
        raise ValueError(f"notebook {lesson!r} has no {kind} here; there is one for {', '.join(lessons(kind))}")
