"""A cell on disk: what it is, and once it is measured what came of it."""

import json
import time
from pathlib import Path
from typing import Any

import torch

from diffret_core.recipes import with_settings
from diffret_core.studies.declaration import Arm, Cell, Measured, Study
from diffret_core.studies.setting import Setting
from diffret_core.tensor_files import read_json, read_tensors, write_json, write_tensors

VIEW_SEED = 1  # all seeds see the same views of the videos, which are encoded once
CELL_FILE, ROWS_FILE, RANKS_FILE = "cell.json", "rows.json", "ranks.safetensors"


def cell_of(study: str, arm: Arm, seed: int, setting: Setting) -> Cell:
    """Make the cell of an arm with a seed.

    Raises:
        ValueError: If the recipe has no such setting, or it cannot have that value.
    """
    settings = (f"generation.view_seed={VIEW_SEED}", *arm.settings)
    recipe = setting.fitted(with_settings(setting.recipe_of(seed), settings))
    return Cell(arm, seed, recipe, setting.folder / study / arm.name / f"seed{seed}")


def claim_cell(cell: Cell, setting: Setting) -> None:
    """Make sure that the cell's folder is free or holds this very cell.

    Raises:
        ValueError: If it holds a cell with other settings, other data or another stage 1.
    """
    description = json.loads(json.dumps({**cell.description(), **setting.description}))
    path = cell.folder / CELL_FILE
    if not path.exists():
        write_json(path, description)
        return
    found = read_json(path)
    if differing := [name for name in {**description, **found} if found.get(name) != description.get(name)]:
        raise ValueError(
            f"{cell.folder}: holds a cell with another {differing[0].replace('_sha256', '')}; "
            "give another --folder, or delete it"
        )


def measured_cell(study: Study, cell: Cell, setting: Setting) -> Measured:
    """Give what came of a cell: what is kept of it, or else compute what is left to do, and keep it.

    Raises:
        ValueError: If the folder holds another cell.
    """
    claim_cell(cell, setting)
    if not is_finished(cell):
        started = time.monotonic()
        found = study.measure(cell, setting)
        trained_for = seconds_of_log(cell.folder / "run")
        keep_cell(cell, found._replace(seconds=max(time.monotonic() - started, trained_for)), trained_for)
    return kept_cell(cell)


def keep_cell(cell: Cell, found: Measured, trained_for: float) -> None:
    """Write down what came of a cell, and for how many seconds it was trained; it is finished by that."""
    ranks = {name: of_queries.to(torch.uint16) for name, of_queries in found.ranks.items()}
    write_tensors(cell.folder / RANKS_FILE, ranks, metadata={})
    took = {"seconds": found.seconds, "trained_for": trained_for}
    write_json(cell.folder / ROWS_FILE, {**took, "rows": found.rows})


def is_finished(cell: Cell) -> bool:
    """Whether a cell is measured."""
    return (cell.folder / ROWS_FILE).exists()


def kept_cell(cell: Cell) -> Measured:
    """Read a measured cell; its rows also say for how many seconds it was trained.

    Raises:
        FileNotFoundError: If the cell is not measured.
        ValueError: If a file is damaged.
    """
    kept: dict[str, Any] = read_json(cell.folder / ROWS_FILE)
    rows = [{**row, "trained_for": kept["trained_for"]} for row in kept["rows"]]
    return Measured(rows, read_tensors(cell.folder / RANKS_FILE)[0], kept["seconds"])


def seconds_of_log(run: Path) -> float:
    """Add up the seconds of all sessions in which a run took its steps; 0 where nothing was trained."""
    path = run / "log.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    clock = [entry["seconds"] for entry in map(json.loads, lines)]
    ends = [now for now, later in zip(clock, [*clock[1:], 0.0], strict=False) if later < now]
    return round(float(sum(ends)), 1)
