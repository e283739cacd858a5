"""Solving, resetting and measuring notebooks."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import make_notebooks  # noqa: E402
import notebook_run  # noqa: E402
import reset_notebooks  # noqa: E402
import solve_notebooks  # noqa: E402

STUB = 'def double(x):\n    return ...  # your code\n\n\ndouble = check.answer("double", double)'
HINTS = "<details>\n<summary>Solution</summary>\n\n```python\ndef double(x):\n    return 2 * x\n```\n\n</details>"


def notebook(*cells: tuple[str, str], tags: list[str] | None = None) -> nbformat.NotebookNode:
    """A notebook of (kind, source) pairs; its first code cell has the tags."""
    made = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    content = nbformat.v4.new_notebook(cells=[made[kind](source) for kind, source in cells])
    next(cell for cell in content.cells if cell.cell_type == "code").metadata["tags"] = tags or []
    return content


# --- solving ---------------------------------------------------------------------------------------------------------


def test_solution_takes_the_place_of_the_stub_and_the_check_stays():
    content = solve_notebooks.solved(notebook(("code", STUB), ("markdown", HINTS), tags=["exercise"]))
    assert content.cells[0].source == ('def double(x):\n    return 2 * x\n\n\ndouble = check.answer("double", double)')


def test_cells_that_are_no_exercises_stay_as_they_are():
    assert solve_notebooks.solved(notebook(("code", STUB), ("markdown", HINTS))).cells[0].source == STUB


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ([("code", STUB)], "the next cell has no solution"),
        ([("code", STUB), ("markdown", "### Solution")], "the next cell has no solution"),
        ([("code", STUB), ("code", HINTS)], "the next cell has no solution"),
        ([("code", "double = 2"), ("markdown", HINTS)], "without a line `name = check.answer"),
    ],
)
def test_exercise_without_check_or_solution_is_refused(cells, complaint):
    with pytest.raises(ValueError, match=complaint):
        solve_notebooks.solved(notebook(*cells, tags=["exercise"]))


def test_every_check_must_have_passed():
    content = notebook(("code", STUB), ("markdown", HINTS), tags=["exercise"])
    for said, passed in (("double: passed.\n", True), ("double: not tried yet.\n", False), ("", False)):
        content.cells[0].outputs = [nbformat.v4.new_output("stream", name="stdout", text=said)]
        assert solve_notebooks.all_passed(content) is passed


def test_unknown_notebook_is_named(capsys):
    assert solve_notebooks.main(["99"]) == 1
    assert "99" in capsys.readouterr().err


# --- resetting -------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path) -> Path:
    """A project of two notebooks; `git` holds them."""
    (tmp_path / "notebooks" / "py").mkdir(parents=True)
    for name in ("00_a", "01_b"):
        (tmp_path / "notebooks" / "py" / f"{name}.py").write_text("# %%\nx = 1\n")
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text(f"as in git {name}")
    return tmp_path


@pytest.fixture
def in_git(project) -> Path:
    person = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], [*person, "commit", "-qm", "all"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    return project


def test_reset_restores_what_changed_and_keeps_a_copy(in_git, capsys):
    first = in_git / "notebooks" / "00_a.ipynb"
    first.write_text("my answer")
    assert reset_notebooks.main(in_git) == 0
    assert first.read_text() == "as in git 00_a"
    (copy,) = (in_git / "my_answers").glob("*/*")
    assert (copy.name, copy.read_text()) == ("00_a.ipynb", "my answer")
    said = capsys.readouterr().out
    assert "restored notebooks/00_a.ipynb" in said
    assert f"my_answers/{copy.parent.name}/" in said
    assert "01_b" not in said


def test_reset_twice_overwrites_no_copy(in_git):
    for answer in ("first", "second"):
        (in_git / "notebooks" / "00_a.ipynb").write_text(answer)
        reset_notebooks.main(in_git)
    assert sorted(copy.read_text() for copy in (in_git / "my_answers").glob("*/*")) == ["first", "second"]


def test_reset_of_untouched_notebooks_does_nothing(in_git, capsys):
    assert reset_notebooks.main(in_git) == 0
    assert "nothing to restore" in capsys.readouterr().out
    assert not (in_git / "my_answers").exists()


def test_reset_brings_back_a_notebook_that_is_gone(in_git):
    (in_git / "notebooks" / "01_b.ipynb").unlink()
    reset_notebooks.main(in_git)
    assert (in_git / "notebooks" / "01_b.ipynb").read_text() == "as in git 01_b"
    assert not (in_git / "my_answers").exists()


def test_reset_without_git_makes_notebooks_from_their_scripts(project):
    (project / "notebooks" / "00_a.ipynb").write_text("my answer")
    reset_notebooks.main(project)
    content = nbformat.read(project / "notebooks" / "00_a.ipynb", as_version=4)
    assert [(cell.source, cell.outputs) for cell in content.cells] == [("x = 1", [])]
    assert len(list((project / "my_answers").glob("*/*"))) == 2


# --- running and measuring -------------------------------------------------------------------------------------------


WORK = "from time import process_time as now\nend = now() + {seconds}\nwhile now() < end: pass"


def test_run_is_measured(tmp_path):
    long, short = WORK.format(seconds=1.5), WORK.format(seconds=0.5) + "\nx = bytearray(2**27)"
    measured = notebook_run.run_notebook(notebook(("code", long), ("code", short), tags=["long"]), tmp_path)
    assert measured.long_cell_seconds >= 1.4
    assert measured.long_cell_seconds + measured.slowest_cell_seconds == pytest.approx(measured.seconds, abs=0.2)
    assert measured.slowest_cell_seconds >= 0.4
    assert measured.megabytes == 0 or measured.megabytes > 128


def test_waiting_for_others_does_not_count(tmp_path):
    measured = notebook_run.run_notebook(notebook(("code", "import time; time.sleep(1.5)")), tmp_path)
    assert measured.seconds < 1


def test_a_cell_costs_what_the_programs_cost_that_it_starts(tmp_path):
    start = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {WORK.format(seconds=1.0)!r}], check=True)"
    assert notebook_run.run_notebook(notebook(("code", start)), tmp_path).seconds >= 0.9


def test_what_was_measured_is_rounded_up_and_kept_outside_the_notebook(tmp_path, monkeypatch):
    monkeypatch.setattr(make_notebooks, "MEASURED", tmp_path / "measured.json")
    monkeypatch.setattr(make_notebooks, "README", tmp_path / "README.md")
    rows = "| 00_a | What? | 5 to read; Run All 99 s on two cores |\n| [01_b](x) | Why? | Run All 99 s |\n"
    (tmp_path / "README.md").write_text(rows)
    make_notebooks.remember("01_b", notebook_run.Measured(21.2, 3.1, 0.0, 412.0))
    make_notebooks.remember("00_a", notebook_run.Measured(40.0, 9.0, 31.0, 0.0))
    known = json.loads((tmp_path / "measured.json").read_text())
    assert list(known) == ["00_a", "01_b"]
    assert known["01_b"] == {"seconds": 25, "slowest_cell_seconds": 4, "long_cell_seconds": 0, "megabytes": 500}
    assert known["00_a"]["long_cell_seconds"] == 35
    said = (tmp_path / "README.md").read_text()
    assert said == rows.replace("99 s on", "40 s on").replace("99 s |", "25 s |")


def test_what_progress_leaves_behind_is_taken_out():
    content = notebook(("code", "x"))
    outputs = [nbformat.v4.new_output("display_data", data={"text/html": html}) for html in ("", "<p>x</p>")]
    content.cells[0].outputs = outputs
    make_notebooks.normalise(content)
    assert [output.data["text/html"] for output in content.cells[0].outputs] == ["<p>x</p>"]
