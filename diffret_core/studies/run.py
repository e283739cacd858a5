"""A study from its declaration to its table: cell by cell, kept as they are finished, in an order that serves early."""

import hashlib
import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffret_core import __version__
from diffret_core.checkpoints import WEIGHTS_FILE
from diffret_core.config import to_json
from diffret_core.locations import ROOT, sample_folder
from diffret_core.scenes.manifest import read_manifest, update_manifest
from diffret_core.studies.cells import cell_of, claim_cell, is_finished, kept_cell, measured_cell
from diffret_core.studies.declaration import BASELINE, Arm, Cell, Study
from diffret_core.studies.setting import Setting
from diffret_core.studies.table import FILES, PROVENANCE_FILE, write_table
from diffret_core.tensor_files import read_json, write_bytes

SHIPPED = "studies"  # below the sample collection


def run_study(study: Study, setting: Setting, *, arms: Sequence[Arm], seeds: Sequence[int]) -> Path:
    """Compute what is missing of some cells, and write the table of all cells of the study that are finished.

    All arms come with the first seed before any comes with the second, so that an unfinished study can be compared.

    Args:
        study: The study.
        setting: Data and stage 1.
        arms: Arms to compute.
        seeds: Seeds to compute.

    Returns:
        The folder of the three files; see `table`.

    Raises:
        ValueError: If a folder holds another cell.
    """
    cells = [cell_of(study.name, arm, seed, setting) for seed in seeds for arm in arms]
    for number, cell in enumerate(cells, start=1):
        setting.doing = f"{study.name} {number}/{len(cells)}, {cell.arm.name}, seed {cell.seed}"
        measured_cell(study, cell, setting)
    folder = setting.folder / study.name
    finished = [cell for cell in _all_cells(study, setting, cells) if is_finished(cell)]
    for cell in finished:
        claim_cell(cell, setting)  # those that were computed another day must be of this study too
    _write(study, finished, setting, folder)
    return folder


def ship(folder: Path, samples: Path) -> Path:
    """Copy a study's files into the sample collection and enter them in its manifest.

    Args:
        folder: Of the study's files.
        samples: The sample collection.
    """
    target = samples / SHIPPED / folder.name
    for name in FILES:
        write_bytes(target / name, (folder / name).read_bytes())
    update_manifest(samples, {(target / name).relative_to(samples).as_posix(): {} for name in FILES})
    return target


def _all_cells(study: Study, setting: Setting, computed: Sequence[Cell]) -> list[Cell]:
    """List the cells of the whole grid, in the order of its arms."""
    seeds = sorted({*study.seeds, *(cell.seed for cell in computed)})
    return [cell_of(study.name, arm, seed, setting) for arm in study.arms for seed in seeds]


def _write(study: Study, cells: Sequence[Cell], setting: Setting, folder: Path) -> None:
    rows: list[dict[str, Any]] = []
    ranks: dict[str, Tensor] = {}
    seconds = 0.0
    for cell in cells:
        arm, found = cell.arm, kept_cell(cell)
        own = {"study": study.name, "arm": arm.name, "factor": arm.factor, "level": arm.level, "seed": cell.seed}
        rows += [{**own, **row} for row in found.rows]
        ranks |= {f"{arm.name}/{cell.seed}/{name}": one for name, one in found.ranks.items()}
        seconds += found.seconds
    about = {
        "study": study.name,
        "what": study.what,
        "baseline": dict(study.baseline),
        "arms": [asdict(arm) for arm in study.arms],
        "num_cells": len(study.arms) * len(study.seeds),
        "finished": sorted({f"{cell.arm.name}/{cell.seed}" for cell in cells}),
        "recipe": to_json(cell_of(study.name, study.arm(BASELINE), cells[0].seed, setting).recipe),
        **setting.description,
        "baseline_weights_sha256": _weights(setting, {cell.seed for cell in cells}, folder),
        **_versions(),
        "hours": round(seconds / 3600, 2),
    }
    write_table(folder, rows, ranks, about)


def _weights(setting: Setting, seeds: set[int], folder: Path) -> dict[str, str]:
    """Name the baseline's models: this study's own, those of the study of training, or those of the table before."""
    if setting.shipped:
        return {str(seed): setting.description["stage1_sha256"] for seed in sorted(seeds)}
    own, trained = (one / BASELINE for one in (folder, setting.folder / "training"))
    runs = [(seed, one / f"seed{seed}" / "run" / WEIGHTS_FILE) for one in (trained, own) for seed in seeds]
    before = folder / PROVENANCE_FILE
    known: dict[str, str] = read_json(before)["baseline_weights_sha256"] if before.is_file() else {}
    known |= {str(seed): hashlib.sha256(run.read_bytes()).hexdigest() for seed, run in runs if run.is_file()}
    return {seed: known[seed] for seed in map(str, sorted(seeds)) if seed in known}


def _versions() -> dict[str, Any]:
    """Say by what code, on which samples and when; the manifest's hash leaves out studies, which stand in it too."""
    files = {name: entry for name, entry in read_manifest(sample_folder()).items() if not name.startswith(SHIPPED)}
    return {
        "version": __version__,
        "commit": _commit(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "manifest_sha256": hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _commit() -> str | None:
    """Give the commit of the checkout, "-dirty" behind it if files differ; None where there is no git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
