"""Run the notebooks with the solutions in place of the stubs; every check must then say "passed".

    python tools/solve_notebooks.py            all of them
    python tools/solve_notebooks.py 01 03      those whose names begin so

The solutions are those that fold open below each exercise, so what a learner reads there is what is run. The solved
notebooks are written to build/solved/; those in notebooks/ are not touched.
"""

import re
import sys
from pathlib import Path
from typing import Any

import nbformat
from notebook_run import run_notebook

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
SOLVED = ROOT / "build" / "solved"
TAG = "exercise"
CHECK = re.compile(r'^(?P<name>\w+) = check\.answer\("(?P<exercise>\w+)", (?P=name)\)$', re.MULTILINE)
SOLUTION = re.compile(r"<summary>Solution</summary>\s*```python\n(?P<code>.*?)\n```", re.DOTALL)


def main(names: list[str]) -> int:
    """Solve and run the notebooks whose names begin with any of the given words, or all.

    Returns:
        Exit status: 1 if a check did not pass.
    """
    paths = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if not names or path.name.startswith(tuple(names))]
    if not paths:
        print(f"no notebook begins with {' or '.join(names)}", file=sys.stderr)
        return 1
    SOLVED.mkdir(parents=True, exist_ok=True)
    passed = True
    for path in paths:
        content = solved(nbformat.read(path, as_version=4))
        run_notebook(content, path.parent)
        nbformat.write(content, SOLVED / path.name)
        print(f"{path.stem}\n" + "".join(f"  {line}\n" for line in check_lines(content)), end="")
        passed &= all_passed(content)
    print(f"solved notebooks are in {SOLVED.relative_to(ROOT)}/")
    return 0 if passed else 1


def exercise_places(content: Any) -> list[int]:
    """Positions of the cells that hold a stub."""
    return [place for place, cell in enumerate(content.cells) if TAG in cell.metadata.get("tags", [])]


def solution_below(content: Any, place: int) -> str:
    """Code of the solution that folds open below a stub.

    Raises:
        ValueError: If there is none.
    """
    below = content.cells[place + 1 : place + 2]
    found = SOLUTION.search(below[0].source) if below and below[0].cell_type == "markdown" else None
    if found is None:
        raise ValueError(f"cell {place} is an exercise, but the next cell has no solution in a python block")
    return found["code"]


def solved(content: Any) -> Any:
    """Put the solutions in place of the stubs, in place.

    Returns:
        The same notebook.

    Raises:
        ValueError: If an exercise has no check or no solution.
    """
    for place in exercise_places(content):
        cell = content.cells[place]
        check = CHECK.search(cell.source)
        if check is None:
            raise ValueError(f'cell {place} is an exercise without a line `name = check.answer("name", name)`')
        cell.source = f"{solution_below(content, place)}\n\n\n{cell.source[check.start() :]}"
    return content


def check_lines(content: Any) -> list[str]:
    """What the checks of an executed notebook said."""
    cells = [content.cells[place] for place in exercise_places(content)]
    return ["".join(output.get("text", "") for output in cell.outputs).strip() for cell in cells]


def all_passed(content: Any) -> bool:
    """Whether every check of an executed notebook passed."""
    return all(line.endswith(": passed.") for line in check_lines(content))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
