"""A study's numbers as three files: a tidy table, every query's rank, and where they come from."""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from diffret_core.studies.setting import VALIDATION
from diffret_core.tensor_files import read_json, read_tensors, write_json, write_tensors, write_text

TABLE_FILE, RANKS_FILE, PROVENANCE_FILE = "table.csv", "ranks.safetensors", "provenance.json"
FILES = (TABLE_FILE, RANKS_FILE, PROVENANCE_FILE)
_WORDS = ("study", "arm", "factor", "level", "list", "direction", "method", "kind")
_WHOLE = ("seed", "num_queries", "num_matched", "num_candidates")
_SAME = "same_ranks"


class StudyTable(NamedTuple):
    """What a study found.

    Attributes:
        rows: One for each arm, seed, list, direction and method: R@1, R@5, R@10, median_rank, mean_rank, R@1_low and
            R@1_high (95 % interval), gain over the similarity with gain_low and gain_high, num_candidates and their
            ceiling in percent, the alpha and temperature that validation chose, seconds of generating for the
            list, and for how many trained_for.
        ranks: The rank of each query's target, by (arm, seed, list, direction, method); of validation none are kept.
        provenance: Arms, seeds, recipe, versions, hashes, date and hours.
    """

    rows: list[dict[str, Any]]
    ranks: dict[tuple[str, int, str, str, str], Int[Tensor, " R"]]
    provenance: dict[str, Any]

    def seeds(self, arm: str) -> list[int]:
        """Seeds of an arm."""
        return sorted({row["seed"] for row in self.rows if row["arm"] == arm})

    def ranks_of(self, arm: str, seeds: Sequence[int], *of: str) -> Int[Tensor, "S R"]:
        """Stack an arm's ranks of some seeds; `of` is list, direction and method."""
        name, direction, method = of
        return torch.stack([self.ranks[arm, seed, name, direction, method] for seed in seeds])

    def mean(self, column: str, **of: str) -> float:
        """Average a column over the seeds, of the rows that have these values in other columns.

        Raises:
            ValueError: If there is none.
        """
        found = [row[column] for row in self.rows if all(row[name] == value for name, value in of.items())]
        if not found:
            raise ValueError(f"no row with {of}")
        return float(sum(found) / len(found))


def write_table(folder: Path, rows: list[dict[str, Any]], ranks: Mapping[str, Tensor], about: dict[str, Any]) -> None:
    """Write a study's three files.

    Args:
        folder: Where.
        rows: As in `StudyTable`, all with the same columns.
        ranks: By "arm/seed/list/direction/method"; equal ones are written once.
        about: The provenance.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    kept = {name: one for name, one in ranks.items() if f"/{VALIDATION}/" not in name}
    first: dict[str, str] = {}
    same = {name: first.setdefault(_digest(one), name) for name, one in kept.items()}
    tensors = {name: kept[name] for name in same.values()}
    write_tensors(folder / RANKS_FILE, tensors, metadata={_SAME: json.dumps(same)})
    write_json(folder / PROVENANCE_FILE, about)
    write_text(folder / TABLE_FILE, text.getvalue())


def read_study(folder: Path) -> StudyTable:
    """Read a study's three files.

    Args:
        folder: Where they are, such as data_samples/studies/training.

    Raises:
        FileNotFoundError: If one is missing.
        ValueError: If one is damaged.
    """
    path = folder / TABLE_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such table; `diffret study {folder.name}` makes it")
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{name: _value(name, text) for name, text in row.items()} for row in csv.DictReader(file)]
    tensors, metadata = read_tensors(folder / RANKS_FILE)
    ranks = {}
    for name, same in json.loads(metadata[_SAME]).items():
        arm, seed, *of = name.split("/")
        ranks[arm, int(seed), of[0], of[1], of[2]] = tensors[same].long()
    return StudyTable(rows, ranks, read_json(folder / PROVENANCE_FILE))


def _value(name: str, text: str) -> str | int | float:
    if name in _WORDS:
        return text
    return int(text) if name in _WHOLE else float(text)


def _digest(ranks: Tensor) -> str:
    return hashlib.sha256(ranks.numpy().tobytes()).hexdigest()
