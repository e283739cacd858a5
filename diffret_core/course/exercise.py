"""What an exercise is, and how an answer is judged.

The usual wrong answers are written down as answers, not as rules for spotting them: a learner's answer that behaves
like one of them gets its message. So every message can be shown to appear, and a right answer passes however it is
written.
"""

import contextlib
import copy
import functools
import io
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Mistake(NamedTuple):
    """A usual wrong answer.

    Attributes:
        answer: The wrong answer itself: a value, or a function that makes the mistake.
        message: The misconception behind it, in one sentence.
    """

    answer: Any
    message: str


class Exercise(NamedTuple):
    """A question with one right answer: a value, or a function that is judged by what it returns.

    Attributes:
        name: Names it in a notebook, and is the name of the function or variable there.
        reference: The right answer.
        second: Another right answer, written differently.
        mistakes: At least three usual wrong answers.
        cases: For a function, the arguments of each call that it is judged by; nothing for a value.
        tolerance: How far a number may be off, relative and absolute; whole numbers and booleans must be equal.
    """

    name: str
    reference: Any
    second: Any
    mistakes: tuple[Mistake, ...]
    cases: tuple[tuple[Any, ...], ...] = ()
    tolerance: float = 1e-5


class Verdict(NamedTuple):
    """What is said of an answer.

    Attributes:
        passed: Whether it is right.
        line: One line for the learner.
        usable: What the notebook goes on with: a right answer, in tensors where the reference gives tensors; else the
            reference.
    """

    passed: bool
    line: str
    usable: Any


class _Failed(NamedTuple):
    """What went wrong in a call, as the end of a sentence."""

    how: str


def judge(exercise: Exercise, answer: Any) -> Verdict:
    """Compare an answer with the right one, and if it is wrong with the usual wrong ones.

    Nothing that the answer does can raise here.

    Args:
        exercise: The question.
        answer: A value or a function; `...`, or a function that returns it, has not been tried.
    """
    if exercise.cases and answer is not ... and not callable(answer):
        return _not_yet(exercise, f"{_short(answer)} is not a function; define {exercise.name} with def.")
    given = _results(exercise, answer)
    if any(one is ... for one in given):
        line = f"{exercise.name}: not tried yet. The notebook goes on with our answer."
        return Verdict(False, line, exercise.reference)
    expected = _results(exercise, exercise.reference)
    faults = [_fault(*pair, exercise.tolerance) for pair in zip(given, expected, strict=True)]
    if not any(faults):
        return Verdict(True, f"{exercise.name}: passed.", _in_tensors(answer, given, expected))
    return _not_yet(exercise, _known_mistake(exercise, given) or _first_fault(exercise, faults, expected))


def _not_yet(exercise: Exercise, message: str) -> Verdict:
    line = f"{exercise.name}: not yet. {' '.join(message.split())} Hints are below."
    return Verdict(False, line, exercise.reference)


def _in_tensors(answer: Any, given: list[Any], expected: list[Any]) -> Any:
    """A right answer, made to give tensors where the right one does: what follows calculates with them."""
    kinds = {one.dtype for one in expected if isinstance(one, Tensor)}
    if not kinds or all(isinstance(one, Tensor) for one in given):
        return answer
    dtype = kinds.pop()
    if not callable(answer):
        return torch.as_tensor(answer, dtype=dtype)

    @functools.wraps(answer)
    def in_tensors(*arguments: Any) -> Tensor:
        return torch.as_tensor(answer(*arguments), dtype=dtype)

    return in_tensors


def _results(exercise: Exercise, answer: Any) -> list[Any]:
    """What an answer comes to: itself, or what it returns in every case."""
    if not exercise.cases or answer is ...:
        return [answer]
    return [_call(answer, arguments) for arguments in exercise.cases]


def _call(answer: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    own = copy.deepcopy(arguments)
    with contextlib.redirect_stdout(io.StringIO()):  # a check prints one line and nothing else
        try:
            result = answer(*own)
        except (Exception, SystemExit) as error:
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            return _Failed(f"stops with {textwrap.shorten(said, 120, placeholder=' …')}")
    if not all(map(_is_unchanged, own, arguments)):
        return _Failed("changes what it is given; make a new one, such as `a = a * 2` and not `a *= 2`")
    return result


def _is_unchanged(argument: Any, before: Any) -> bool:
    if isinstance(before, Tensor):
        return argument.shape == before.shape and torch.allclose(argument, before, rtol=0, atol=0, equal_nan=True)
    return not isinstance(before, list | dict | set) or repr(argument) == repr(before)


def _known_mistake(exercise: Exercise, given: list[Any]) -> str | None:
    for mistake in exercise.mistakes:
        wrong = _results(exercise, mistake.answer)
        if not any(_fault(*pair, exercise.tolerance) for pair in zip(given, wrong, strict=True)):
            return mistake.message
    return None


def _first_fault(exercise: Exercise, faults: list[str | None], expected: list[Any]) -> str:
    place, fault = next((place, fault) for place, fault in enumerate(faults) if fault)
    if not exercise.cases:
        return f"Not right: the answer {fault}."
    arguments = ", ".join(_short(argument) for argument in exercise.cases[place])
    return f"{exercise.name}({arguments}) {fault}. It should be {_short(expected[place])}."


def _fault(given: Any, expected: Any, tolerance: float) -> str | None:
    """Say how an answer differs from the right one, as the end of a sentence; nothing if it does not."""
    if isinstance(given, _Failed):  # only a mistake that is compared with can have stopped, too
        return None if isinstance(expected, _Failed) and given == expected else given.how
    if given is None:
        return None if expected is None else "is None, as if a `return` or a value were missing"
    if isinstance(given, str) and not given.strip():
        return "is an empty text"
    if isinstance(expected, str):
        if not isinstance(given, str):
            return f"is of type {type(given).__name__}, expected text"
        return None if given.strip() == expected else f"is {_short(given)}"
    if _has_parts(expected):
        return _fault_in_parts(given, expected, tolerance)
    return _fault_in_numbers(given, expected, tolerance)


def _has_parts(expected: Any) -> bool:
    """Whether an answer is compared part by part, and not as one array of numbers."""
    mixed = isinstance(expected, list) and any(isinstance(one, str | tuple | Tensor) for one in expected)
    return mixed or isinstance(expected, tuple)


def _fault_in_parts(given: Any, expected: tuple | list, tolerance: float) -> str | None:
    if getattr(given, "ndim", 0) == 1 and all(isinstance(one, int | float) for one in expected):
        given = given.tolist()  # an array of single numbers is as good as a tuple of them
    if not isinstance(given, tuple | list):
        return f"is of type {type(given).__name__}, expected {len(expected)} parts in a tuple"
    if len(given) != len(expected):
        return f"is {_short(given)}, expected {len(expected)} parts"
    faults = [_fault(*pair, tolerance) for pair in zip(given, expected, strict=True)]
    return next((f"is wrong in part {place}, which {fault}" for place, fault in enumerate(faults, 1) if fault), None)


def _fault_in_numbers(given: Any, expected: Any, tolerance: float) -> str | None:
    try:
        found, right = _tensor(given), _tensor(expected)
    except (TypeError, ValueError, RuntimeError):
        if isinstance(given, list | tuple) and any(isinstance(one, Tensor) for one in given):
            return f"is a {type(given).__name__} of tensors; join them, for example with torch.stack"
        return f"is {_short(given)}, expected numbers"
    if found.isnan().any() and not right.isnan().any():
        return "holds NaN, which is not a number"
    if found.shape != right.shape and found.dim() == right.dim() == 1:
        return f"is {_short(given)}, of length {len(found)}, expected {len(right)}"
    if found.shape != right.shape:
        return f"has the shape {tuple(found.shape)}, expected {tuple(right.shape)}"
    if (found.dtype == torch.bool) != (right.dtype == torch.bool):
        return f"holds values of type {_kind(found)}, expected {_kind(right)}"
    if not torch.allclose(found.double(), right.double(), rtol=tolerance, atol=tolerance, equal_nan=True):
        return f"is {_short(given)}"
    if _has_gradient(expected) and not _has_gradient(given):
        return "has the right value but has lost its gradient, so nothing could learn: no .item(), no .detach()"
    return None


def _has_gradient(numbers: Any) -> bool:
    return isinstance(numbers, Tensor) and numbers.requires_grad


def _tensor(numbers: Any) -> Tensor:
    return torch.as_tensor(numbers).detach().cpu()


def _kind(numbers: Tensor) -> str:
    return str(numbers.dtype).removeprefix("torch.")


def _short(thing: Any) -> str:
    """A thing in at most half a line; of a tuple, each part."""
    if isinstance(thing, tuple):
        return f"({', '.join(map(_short, thing))})"
    if isinstance(thing, torch.nn.Module):
        return type(thing).__name__
    if callable(thing) and hasattr(thing, "__name__"):
        return thing.__name__.strip("_")
    shown = _rounded(thing.tolist() if isinstance(thing, Tensor) else thing)
    return textwrap.shorten(" ".join(repr(shown).split()), 60, placeholder=" …")


def _rounded(thing: Any) -> Any:
    """Numbers with four digits: what float32 adds behind them is nothing to read."""
    if isinstance(thing, list):
        return [_rounded(one) for one in thing]
    return float(f"{thing:.4g}") if isinstance(thing, float) else thing
