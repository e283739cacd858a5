"""Studies that go on from the tables that come with the samples: nothing is computed again, nothing is lost."""

import functools
import json

import pytest

from diffret_core.cli import inputs
from diffret_core.cli.main import main
from diffret_core.locations import sample_folder
from diffret_core.studies import STUDIES
from diffret_core.studies.run import SHIPPED
from diffret_core.studies.table import read_study

OF_THE_WRITER = ("version", "commit", "torch", "threads", "date", "manifest_sha256")


@pytest.fixture(scope="module", autouse=True)
def annotations_are_read_once():
    """Every command reads the same annotation files, which takes longer than what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "read_collection", functools.cache(inputs.read_collection))
        yield


def extend(name, folder, *options):
    own = ["--shipped"] if name == "ood" else []
    return main(
        ["study", name, "--extend", "--arms", "baseline", "--seeds", "1", "--folder", str(folder), *own, *options]
    )


def only_line(text):
    (line,) = [line for line in text.splitlines() if line.startswith("diffret ")]
    return line


@pytest.mark.parametrize("name", STUDIES)
def test_table_is_the_same_after_it_was_taken_over(name, tmp_path):
    """Every shipped cell is one of today's recipe, captions and stage 1, else the command would refuse it."""
    assert extend(name, tmp_path) == 0
    found, shipped = read_study(tmp_path / name), read_study(sample_folder() / SHIPPED / name)
    assert str(found.rows) == str(shipped.rows)  # as text, since some numbers are none (nan)
    assert list(found.ranks) == list(shipped.ranks)
    assert all((found.ranks[of] == shipped.ranks[of]).all() for of in shipped.ranks)
    for key, value in shipped.provenance.items():
        assert key in OF_THE_WRITER or found.provenance[key] == value, key


def test_cell_that_is_here_already_stays(tmp_path):
    assert extend("first_stage", tmp_path) == 0
    cell = tmp_path / "first_stage" / "all_videos" / "seed2" / "rows.json"
    kept = json.loads(cell.read_text())
    cell.write_text(json.dumps({**kept, "trained_for": 12345.0}))
    assert extend("first_stage", tmp_path) == 0
    rows = [row for row in read_study(tmp_path / "first_stage").rows if row["trained_for"] == 12345.0]
    assert {(row["arm"], row["seed"]) for row in rows} == {("all_videos", 2)}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "generation.num_steps=7"], "training: is a table with another recipe; leave --extend out"),
        (["--shipped"], "leave out --shipped"),
        (["--miniature"], "leave out --miniature, --data and --stage1"),
        (["--stage1", "runs/other"], "leave out --miniature, --data and --stage1"),
    ],
)
def test_what_is_no_part_of_the_table_is_not_added_to_it(options, said, tmp_path, capsys):
    assert extend("training", tmp_path, *options) == 1
    assert said in only_line(capsys.readouterr().err)
    assert not list(tmp_path.rglob("cell.json"))
