"""`make notebooks`: from the reviewed scripts in notebooks/py/ to executed notebooks. One way only.

    python tools/make_notebooks.py             all of them
    python tools/make_notebooks.py 00 03       those whose names begin so

Each script becomes an ipynb (jupytext), runs from a clean kernel (nbclient), and is normalised, so that running it
again on the same code gives the same file: cell ids from position and source, no widget state, no times, no settings of
this machine. Every plotly output gets a picture of itself, and the notebook remembers which code it was run with.
What the run took is written to notebooks/measured.json and into README's table, rounded up, never into the notebook.
"""

import hashlib
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
from figure_pictures import figure_digest, figure_picture
from notebook_run import Measured, run_notebook

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "notebooks" / "py"
PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
MEASURED = ROOT / "notebooks" / "measured.json"
README = ROOT / "README.md"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
}


def main(names: list[str]) -> int:
    """Make the notebooks whose names begin with any of the given words, or all.

    Returns:
        Exit status.
    """
    scripts = [path for path in sorted(SCRIPTS.glob("*.py")) if not names or path.name.startswith(tuple(names))]
    if not scripts:
        print(f"no script in {SCRIPTS.relative_to(ROOT)} begins with {' or '.join(names)}", file=sys.stderr)
        return 1
    for script in scripts:
        notebook = notebook_of(script)
        print(f"{notebook.relative_to(ROOT)} ...", flush=True)
        measured = make(script, notebook)
        remember(script.stem, measured)
        print(f"  {notebook.stat().st_size / 1000:.0f} kB, {measured}")
    return 0


def notebook_of(script: Path) -> Path:
    """The notebook that a script becomes."""
    return script.parent.parent / f"{script.stem}.ipynb"


def make(script: Path, notebook: Path) -> Measured:
    """Write the executed, normalised notebook of a script; nothing is written if a cell fails.

    Args:
        script: A percent-format script.
        notebook: The file to write.

    Returns:
        What the run took.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails.
    """
    fresh = notebook.with_suffix(".fresh.ipynb")
    command = [
        sys.executable,
        "-m",
        "jupytext",
        "--quiet",
        "--to",
        "ipynb",
        "--update",
        "--output",
        str(fresh),
        str(script),
    ]
    try:
        subprocess.run(command, check=True)
        content = nbformat.read(fresh, as_version=4)
    finally:
        fresh.unlink(missing_ok=True)
    measured = run_notebook(content, notebook.parent)
    normalise(content)
    partial = notebook.with_suffix(".partial")
    nbformat.write(content, partial)
    partial.replace(notebook)
    return measured


def remember(name: str, measured: Measured) -> None:
    """Keep what a notebook's run took, rounded up: runs on a busy machine differ, and the file should seldom change."""
    known = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.is_file() else {}
    steps = Measured(seconds=5, slowest_cell_seconds=1, long_cell_seconds=5, megabytes=100)
    known[name] = {
        field: math.ceil(value / step) * step
        for field, value, step in zip(Measured._fields, measured, steps, strict=True)
    }
    MEASURED.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n", encoding="utf-8")
    table = README.read_text(encoding="utf-8")
    row = re.compile(rf"^(\| .*\b{name}\b.*Run All )\d+( s.*)$", re.MULTILINE)
    README.write_text(row.sub(rf"\g<1>{known[name]['seconds']}\g<2>", table), encoding="utf-8")


def normalise(content: Any) -> None:
    """Make a notebook say nothing of when and where it ran, in place."""
    content.metadata = nbformat.from_dict(METADATA | {"diffret": {"code_sha256": code_digest(content)}})
    content.nbformat_minor = 5
    count = 0
    for position, cell in enumerate(content.cells):
        cell.id = cell_id(position, cell.source)
        cell.metadata = nbformat.from_dict({"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {})
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = joined([output for output in cell.outputs if not is_empty(output)])
        for output in cell.outputs:
            normalise_output(output, count)


def normalise_output(output: Any, count: int) -> None:
    """Give one output its sequential count, its picture where it is a figure, its fallback where it is a widget."""
    if "execution_count" in output:
        output.execution_count = count
    data = output.get("data", {})
    if PLOTLY in data:
        data["image/png"] = figure_picture(data[PLOTLY])
        output.metadata = nbformat.from_dict({"diffret": {"figure_sha256": figure_digest(data[PLOTLY])}})
    if WIDGET in data and len(data) > 1:  # no kernel will know this widget; what stands beside it says as much
        del data[WIDGET]


def joined(outputs: list[Any]) -> list[Any]:
    """Put together what was printed in one go: on a busy machine a line may arrive in two parts."""
    whole: list[Any] = []
    for output in outputs:
        if whole and output.output_type == "stream" and output.get("name") == whole[-1].get("name"):
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def is_empty(output: Any) -> bool:
    """Whether an output shows nothing: what a line of progress leaves behind."""
    return output.get("data", {}).get("text/html") == ""


def cell_id(position: int, source: str) -> str:
    """Name a cell by its place and its text."""
    return f"{position:02d}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"


def code_digest(content: Any) -> str:
    """Name the code of a notebook: equal exactly when all code cells are. Outputs made with another code are stale."""
    code = [re.sub(r"\s+$", "", cell.source, flags=re.MULTILINE) for cell in content.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(code).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
