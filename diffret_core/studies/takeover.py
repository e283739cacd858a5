"""Cells of a finished table taken over as they are, so that seeds and arms can be added without computing it again."""

import json
from pathlib import Path
from typing import Any

from diffret_core.config import to_json
from diffret_core.studies.cells import cell_of, claim_cell, is_finished, keep_cell
from diffret_core.studies.declaration import BASELINE, Cell, Measured, Study
from diffret_core.studies.setting import Setting
from diffret_core.studies.table import PROVENANCE_FILE, StudyTable, read_study
from diffret_core.tensor_files import write_json

_OF_CELL = ("study", "arm", "factor", "level", "seed", "trained_for")  # a table's columns that a cell's rows have not


def take_over(study: Study, made: Path, setting: Setting) -> None:
    """Keep the cells of a table as if they had been computed here; a cell that is here already stays as it is.

    How long training took is known of each cell; of the rest of the table's hours each gets an equal share.

    Args:
        study: The study.
        made: The folder of its table, such as data_samples/studies/training.
        setting: Data and stage 1, which must be the table's.

    Raises:
        FileNotFoundError: If there is no table.
        ValueError: If the table is of other data, another stage 1 or other settings, or a folder holds another cell.
    """
    table = read_study(made)
    _check(study, table, setting, made)
    finished = [name.rsplit("/", 1) for name in table.provenance["finished"]]
    trained_for = {(row["arm"], row["seed"]): row["trained_for"] for row in table.rows}
    share = (3600 * table.provenance["hours"] - sum(trained_for.values())) / len(finished)
    for arm, seed in finished:
        cell = cell_of(study.name, study.arm(arm), int(seed), setting)
        claim_cell(cell, setting)
        if not is_finished(cell):
            _take(cell, table, trained_for[arm, int(seed)], share)
    path = setting.folder / study.name / PROVENANCE_FILE
    if not path.exists():
        write_json(path, table.provenance)  # the next table keeps the hashes of models that are not here


def _check(study: Study, table: StudyTable, setting: Setting, made: Path) -> None:
    about = table.provenance
    baseline = to_json(cell_of(study.name, study.arm(BASELINE), about["recipe"]["seed"], setting).recipe)
    same = json.loads(json.dumps({"recipe": baseline, "model": None, **setting.description}))
    differing = [name for name, value in same.items() if about.get(name) != value]
    settings = {arm.name: list(arm.settings) for arm in study.arms}
    differing += [f"arm {arm['name']}" for arm in about["arms"] if settings.get(arm["name"]) != arm["settings"]]
    if differing:
        raise ValueError(f"{made}: is a table with another {differing[0].replace('_sha256', '')}; leave --extend out")


def _take(cell: Cell, table: StudyTable, trained_for: float, share: float) -> None:
    of_cell = (cell.arm.name, cell.seed)
    own = [row for row in table.rows if (row["arm"], row["seed"]) == of_cell]
    rows: list[dict[str, Any]] = [{name: row[name] for name in row if name not in _OF_CELL} for row in own]
    ranks = {"/".join(of): one for (arm, seed, *of), one in table.ranks.items() if (arm, seed) == of_cell}
    keep_cell(cell, Measured(rows, ranks, trained_for + share), trained_for)
