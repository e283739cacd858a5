"""Read a pickle that holds dictionaries, lists and texts, and nothing else, without unpickling it.

A pickle is a program for a small stack machine; Python's own machine runs whatever functions the program names. This
one knows only the instructions that build plain containers of texts: there is nothing in it that could run anything.
"""

import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

_LARGEST_BYTES = 1_000_000_000


class _Machine(NamedTuple):
    stack: list[Any]
    marks: list[int]  # places in the stack
    memo: dict[int, Any]

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def append(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError("it appends to what is no list")
        self.stack[-1].extend(values)

    def set_items(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict):
            raise TypeError("it adds keys to what is no dictionary")
        self.stack[-1].update(_dictionary(values))


def _dictionary(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(values[::2], values[1::2], strict=True))  # a key without a value: ValueError


def _pop(machine: _Machine, number: int) -> list[Any]:
    values = machine.stack[-number:]
    del machine.stack[-number:]
    return values


def _remember(machine: _Machine, place: int) -> None:
    machine.memo[place] = machine.stack[-1]


_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda machine, _: None),
    **dict.fromkeys(
        ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), lambda machine, text: machine.stack.append(text)
    ),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _remember),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"), lambda machine, place: machine.stack.append(machine.memo[int(place)])
    ),
    "MEMOIZE": lambda machine, _: _remember(machine, len(machine.memo)),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "DICT": lambda machine, _: machine.stack.append(_dictionary(machine.since_mark())),
    "LIST": lambda machine, _: machine.stack.append(machine.since_mark()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.stack.append(tuple(_pop(machine, 1))),
    "TUPLE2": lambda machine, _: machine.stack.append(tuple(_pop(machine, 2))),
    "TUPLE3": lambda machine, _: machine.stack.append(tuple(_pop(machine, 3))),
    "APPEND": lambda machine, _: machine.append(_pop(machine, 1)),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items(_pop(machine, 2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
}


def read_plain_pickle(path: Path) -> Any:
    """Read a pickle of dictionaries, lists, tuples and texts.

    Args:
        path: The file.

    Returns:
        What was pickled.

    Raises:
        ValueError: If it is damaged, or holds or asks for anything else: numbers, bytes, classes, functions.
    """
    if path.stat().st_size > _LARGEST_BYTES:
        raise ValueError(f"{path}: larger than {_LARGEST_BYTES} bytes, expected an annotation file")
    machine = _Machine([], [], {})
    try:
        for instruction, argument, place in pickletools.genops(path.read_bytes()):
            if instruction.name == "STOP":
                return machine.stack.pop()
            if instruction.name not in _INSTRUCTIONS:
                raise ValueError(
                    f"byte {place} asks for {instruction.name} ({str(argument)[:60]!r}); only dictionaries, lists and "
                    "texts are read from a pickle, never numbers, bytes, classes or functions"
                )
            _INSTRUCTIONS[instruction.name](machine, argument)
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise ValueError(
            f"{path}: is not a pickle that is read here, {' '.join(str(error).split())}; use the JSON file of captions"
        ) from None
    raise ValueError(f"{path}: ends before the pickle does; fetch it again")
