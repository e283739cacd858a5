"""The committed notebooks: in step with their scripts, run by the code they show, small, silent about machines."""

import base64
import io
import json
import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import jupytext
import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import figure_pictures  # noqa: E402
import make_notebooks  # noqa: E402
import notebook_run  # noqa: E402
import solve_notebooks  # noqa: E402

from diffret_core.course import check  # noqa: E402
from diffret_core.course.exercises import exercises_of, lessons  # noqa: E402

SCRIPTS = sorted((ROOT / "notebooks" / "py").glob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_BYTES = 800_000
MOST_CODE_LINES = 30
MACHINE = re.compile(r"/(?:root|home|tmp|work|usr|opt|Users|private|content)/|site-packages|[A-Z]:\\\\|localhost:\d")
TIMINGS = re.compile(r"\b\d+(?:\.\d+)? ?(?:ms|µs|it/s|s/it)\b|\bCPU times\b|\bWall time\b")

MEASURED = json.loads((ROOT / "notebooks" / "measured.json").read_text(encoding="utf-8"))
MOST_CELLS, FEWEST_CELLS = 65, 35
ENDINGS = ["What you can now say", "Quiz"]
SLACK = 1.5  # the machine that measured may have been busy
MAY_BE_LONG = ("04", "07", "12")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def outputs(path: Path) -> list[nbformat.NotebookNode]:
    return [output for cell in code_cells(path) for output in cell.outputs]


def texts(path: Path) -> list[str]:
    """Everything in the outputs that is meant to be read, without the data of pictures."""
    found = []
    for output in outputs(path):
        data = {kind: content for kind, content in output.get("data", {}).items() if kind != "image/png"}
        found += [output.get("text", ""), json.dumps(data)]
    return [re.sub(r"data:[\w/+]+;base64,[A-Za-z0-9+/=]+", "", text) for text in found]


def test_there_is_a_notebook_for_every_script():
    assert [path.stem for path in SCRIPTS] == [path.stem for path in NOTEBOOKS]
    assert SCRIPTS


@each_notebook
def test_notebook_says_what_its_script_says(path):
    """Mended by `make notebooks`."""
    script = jupytext.read(path.parent / "py" / f"{path.stem}.py")
    said = [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in script.cells]
    assert [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in read(path).cells] == said


@each_notebook
def test_notebook_was_executed_with_the_code_it_shows(path):
    """Mended by `make notebooks`."""
    content = read(path)
    assert content.metadata["diffret"]["code_sha256"] == make_notebooks.code_digest(content)


@each_notebook
def test_notebook_is_valid_and_complete(path):
    nbformat.validate(read(path))
    assert [cell.execution_count for cell in code_cells(path)] == list(range(1, len(code_cells(path)) + 1))
    assert [output for output in outputs(path) if output.output_type == "error"] == []
    assert [output.text for output in outputs(path) if output.get("name") == "stderr"] == []


@each_notebook
def test_notebook_is_small(path):
    assert path.stat().st_size <= MOST_BYTES
    assert all(len(cell.source.splitlines()) <= MOST_CODE_LINES for cell in code_cells(path))


@each_notebook
def test_notebook_metadata_says_nothing_of_this_machine(path):
    content = read(path)
    assert set(content.metadata) == {"kernelspec", "language_info", "diffret"}
    assert "version" not in content.metadata.language_info
    assert all(set(cell.metadata) <= {"tags"} for cell in content.cells)


@each_notebook
def test_notebook_outputs_name_no_path_and_no_time(path):
    for text in texts(path):
        assert not MACHINE.search(text), MACHINE.search(text)
        assert not TIMINGS.search(text), TIMINGS.search(text)


@each_notebook
def test_notebook_ids_follow_from_position_and_source(path):
    cells = read(path).cells
    assert [cell.id for cell in cells] == [make_notebooks.cell_id(at, cell.source) for at, cell in enumerate(cells)]


@each_notebook
def test_notebook_shows_something_where_no_kernel_runs(path):
    for output in outputs(path):
        data = output.get("data", {})
        assert make_notebooks.WIDGET not in data
        if make_notebooks.PLOTLY in data:
            digest = figure_pictures.figure_digest(data[make_notebooks.PLOTLY])
            assert output.metadata["diffret"]["figure_sha256"] == digest
            assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).width == figure_pictures.WIDTH


@each_notebook
def test_notebook_figures_are_described_below(path):
    for cell in code_cells(path):
        kinds = [set(output.get("data", {})) for output in cell.outputs]
        for place, kind in enumerate(kinds):
            if make_notebooks.PLOTLY in kind:
                assert "text/html" in kinds[place + 1]


@each_notebook
def test_notebook_pictures_say_what_they_show(path):
    for text in map(str, texts(path)):
        for picture in re.findall(r"<img [^>]*>", text):
            assert re.search(r'alt=\\?"[^"\\]', picture), picture[:200]


@each_notebook
def test_notebook_compares_no_pictures(path):
    for cell in code_cells(path):
        if {"nbval-check-output", "NBVAL_CHECK_OUTPUT"} & set(cell.metadata.get("tags", [])):
            assert [output.output_type for output in cell.outputs] == ["stream"]


@each_notebook
def test_notebook_has_as_many_cells_as_a_lesson(path):
    fewest = 25 if path.name.startswith("00") else FEWEST_CELLS  # it shows and derives nothing
    assert fewest <= len(read(path).cells) <= MOST_CELLS


@each_notebook
def test_notebook_skips_no_cell(path):
    tags = {tag for cell in read(path).cells for tag in cell.metadata.get("tags", [])}
    assert tags <= {"nbval-check-output", "exercise", "long"}
    assert "long" not in tags or path.name.startswith(MAY_BE_LONG)


@each_notebook
def test_notebook_begins_and_ends_as_all_do(path):
    first, *_, last = (cell.source for cell in read(path).cells)
    number, title = path.stem[:2], first.splitlines()[0]
    assert re.match(rf"# {number} · .+\?$", title)
    for row in ("**Goal.**", "| you need |", "| time |", "| hardware |", "| in the paper |"):
        assert row in first
    headings = re.findall(r"^## (.+)$", "\n".join(cell.source for cell in read(path).cells), re.MULTILINE)
    assert [heading for heading in headings if heading in ENDINGS] == ENDINGS
    assert "**Next.**" in last


@each_notebook
def test_notebook_asks_for_a_prediction_shows_a_quiz_and_offers_something_to_operate(path):
    code = "\n".join(cell.source for cell in code_cells(path))
    assert "predict." in code
    assert f'quiz.show("{path.stem[:2]}")' in code
    assert any("sliders" in output.data[make_notebooks.PLOTLY]["layout"] for output in figures(path))


def figures(path: Path) -> list[nbformat.NotebookNode]:
    return [output for output in outputs(path) if make_notebooks.PLOTLY in output.get("data", {})]


@each_notebook
def test_notebook_links_lead_to_files(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", cell.source):
                assert (path.parent / link).is_file(), link


@each_notebook
def test_notebook_keeps_its_budget_of_time_and_memory(path):
    """What `make notebooks` measured, on a machine that was busy; nothing is timed here."""
    measured = MEASURED[path.stem]
    assert measured["seconds"] <= 90 * SLACK
    assert measured["slowest_cell_seconds"] <= 10 * SLACK
    assert measured["long_cell_seconds"] <= 60 * SLACK
    assert measured["megabytes"] <= 2000


def test_all_notebooks_together_keep_their_budget():
    assert set(MEASURED) == {path.stem for path in NOTEBOOKS}
    assert sum(measured["seconds"] for measured in MEASURED.values()) <= 12 * 60 * SLACK


@each_notebook
def test_readme_says_how_long_a_notebook_runs(path):
    table = (ROOT / "README.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| .*\b{path.stem}\b.*$", table, re.MULTILINE)
    assert f"Run All {MEASURED[path.stem]['seconds']} s" in row


# --- exercises -------------------------------------------------------------------------------------------------------


def exercise_cells(path: Path) -> list[tuple[nbformat.NotebookNode, ...]]:
    """Task, stub and hints of each exercise."""
    cells = read(path).cells
    return [tuple(cells[place - 1 : place + 2]) for place in solve_notebooks.exercise_places(read(path))]


@each_notebook
def test_exercises_of_a_notebook_are_those_that_are_registered(path):
    cells = [stub.source for _, stub, _ in exercise_cells(path)]
    named = [solve_notebooks.CHECK.search(source)["exercise"] for source in cells]
    number = path.stem[:2]
    registered = [exercise.name for exercise in exercises_of(number)] if number in lessons() else []
    assert named == registered
    assert len(named) <= 5
    assert len(named) >= 2 or number in ("00", "11", "12")


@each_notebook
def test_exercises_state_their_difficulty_and_time_and_fold_two_hints_and_a_solution(path):
    for task, stub, hints in exercise_cells(path):
        assert re.search(r"^### Exercise .+\n\n\*(easy|medium|hard) · \d+ minutes\*$", task.source, re.MULTILINE)
        assert re.findall(r"<summary>(.*?)</summary>", hints.source) == ["Hint 1", "Hint 2", "Solution"]
        assert hints.source.count("<details>") == hints.source.count("</details>") == 3
        assert re.search(r"= \.\.\.|return \.\.\.", stub.source)


@each_notebook
def test_exercises_are_committed_untried_and_compared(path):
    for _, stub, _ in exercise_cells(path):
        (output,) = stub.outputs
        name = solve_notebooks.CHECK.search(stub.source)["exercise"]
        assert output.text == f"{name}: not tried yet. The notebook goes on with our answer.\n"
        assert "nbval-check-output" in stub.metadata.tags


@each_notebook
def test_solutions_that_fold_open_pass(path, capsys):
    for place in solve_notebooks.exercise_places(read(path)):
        names = {"torch": torch, "np": np, "math": math}  # a solution uses its arguments and these, nothing else
        exec(solve_notebooks.solution_below(read(path), place), names)
        exercise = solve_notebooks.CHECK.search(read(path).cells[place].source)["exercise"]
        check.answer(exercise, names[exercise])
        assert capsys.readouterr().out == f"{exercise}: passed.\n"


@pytest.mark.solutions
@each_notebook
def test_notebook_runs_with_its_solutions(path):
    content = solve_notebooks.solved(read(path))
    notebook_run.run_notebook(content, path.parent)
    for line in solve_notebooks.check_lines(content):
        assert line.endswith(": passed."), line


# --- the tool itself -------------------------------------------------------------------------------------------------

FIGURE = {"data": [{"type": "bar", "x": [1, 2], "y": [3, 1]}], "layout": {"height": 300}}


@pytest.fixture
def ran(monkeypatch) -> nbformat.NotebookNode:
    """A notebook as a run leaves it: a figure, a widget with and one without a fallback, and traces of the machine."""
    monkeypatch.setattr(make_notebooks, "figure_picture", lambda figure: "picture")
    shown = [{make_notebooks.PLOTLY: FIGURE}, {make_notebooks.WIDGET: {"model_id": "x"}, "text/html": "<p>it</p>"}]
    displayed = [nbformat.v4.new_output("display_data", data=data) for data in shown]
    result = nbformat.v4.new_output("execute_result", data={"text/plain": "3"}, execution_count=7)
    content = nbformat.v4.new_notebook(
        metadata={"widgets": {"state": {}}, "language_info": {"name": "python", "version": "3"}}
    )
    content.cells = [
        nbformat.v4.new_markdown_cell("# Title"),
        nbformat.v4.new_code_cell(
            "show()", outputs=displayed, execution_count=5, metadata={"execution": {"at": "noon"}}
        ),
        nbformat.v4.new_code_cell("1 + 2", outputs=[result], execution_count=7, metadata={"tags": ["long"]}),
    ]
    make_notebooks.normalise(content)
    return content


def test_normalising_leaves_no_trace_of_the_run(ran):
    assert set(ran.metadata) == {"kernelspec", "language_info", "diffret"}
    assert [dict(cell.metadata) for cell in ran.cells] == [{}, {}, {"tags": ["long"]}]
    assert [cell.execution_count for cell in ran.cells[1:]] == [1, 2]
    assert ran.cells[2].outputs[0].execution_count == 2


def test_normalising_adds_the_picture_of_a_figure_and_its_digest(ran):
    output = ran.cells[1].outputs[0]
    assert output.data["image/png"] == "picture"
    assert output.metadata["diffret"]["figure_sha256"] == figure_pictures.figure_digest(FIGURE)


def test_normalising_keeps_what_stands_beside_a_widget(ran):
    assert dict(ran.cells[1].outputs[1].data) == {"text/html": "<p>it</p>"}


def test_normalising_twice_changes_nothing(ran):
    before = nbformat.writes(ran)
    make_notebooks.normalise(ran)
    assert nbformat.writes(ran) == before


def test_code_digest_follows_the_code_and_nothing_else(ran):
    digest = make_notebooks.code_digest(ran)
    ran.cells[0].source = "# Another title"
    ran.cells[1].outputs = []
    assert make_notebooks.code_digest(ran) == digest
    ran.cells[2].source = "1 + 3"
    assert make_notebooks.code_digest(ran) != digest


def test_figure_digest_follows_the_figure():
    assert figure_pictures.figure_digest(FIGURE) == figure_pictures.figure_digest(json.loads(json.dumps(FIGURE)))
    assert figure_pictures.figure_digest(FIGURE) != figure_pictures.figure_digest(FIGURE | {"layout": {}})


def test_unknown_script_is_named(capsys):
    assert make_notebooks.main(["99"]) == 1
    assert "99" in capsys.readouterr().err


def test_missing_chromium_is_said_with_what_to_do(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "no-such-browser")
    with pytest.raises(FileNotFoundError, match="CHROMIUM="):
        figure_pictures.find_chromium()


def test_chromium_that_draws_nothing_is_an_error(monkeypatch):
    monkeypatch.setattr(figure_pictures, "find_chromium", lambda: "chromium")
    nothing = SimpleNamespace(stdout="<html></html>", stderr="crashed")
    monkeypatch.setattr(figure_pictures.subprocess, "run", lambda *_, **__: nothing)
    with pytest.raises(ValueError, match="crashed"):
        figure_pictures.figure_picture(FIGURE)


def test_chromium_draws_the_figure_in_its_size():
    try:
        figure_pictures.find_chromium()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    squares = {"data": [{"type": "heatmap", "z": [[1, 2], [3, 1]]}], "layout": {"height": 300}}
    for figure in (FIGURE, squares):  # plotly draws a heat map as a picture inside the page
        picture = Image.open(io.BytesIO(base64.b64decode(figure_pictures.figure_picture(figure))))
        assert picture.size == (figure_pictures.WIDTH, 300)
    assert len(picture.convert("RGB").getcolors(10_000)) > 3  # bars and words, not an empty page


# --- the table of symbols --------------------------------------------------------------------------------------------

SYMBOLS = (
    *("k", "num_noise_levels", "x_0", "x_k", "x_0_hat", "beta", "alpha_bar", "epsilon", "eta", "batch_size"),
    *("num_candidates", "num_texts", "num_videos", "num_words", "num_frames", "dim", "words", "sentence", "frames"),
    *("word_mask", "frame_mask", "logit_scale"),
)


def test_every_symbol_is_explained_once():
    rows = (ROOT / "notebooks" / "glossary.md").read_text(encoding="utf-8").splitlines()
    named = [name for row in rows if row.startswith("|") for name in re.findall(r"`(\w+)`", row)]
    assert [name for name in SYMBOLS if named.count(name) != 1] == []


@each_notebook
def test_notebook_links_to_the_symbols(path):
    assert any("](glossary.md" in cell.source for cell in read(path).cells)
