"""The studies that come with the samples, for the course: what is finished, and every arm's effects, row by row."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from diffret_core.config import DIRECTIONS, Direction
from diffret_core.studies import STUDIES, Arm, Study
from diffret_core.studies.declaration import BASELINE
from diffret_core.studies.effects import Effect, against_baseline, effect, gain
from diffret_core.studies.setting import TEST
from diffret_core.studies.table import TABLE_FILE, StudyTable, read_study

Tables = Mapping[str, StudyTable]
NOT_YET = "not computed yet"
NUM_SEEDS = min(len(study.seeds) for study in STUDIES.values())
"""With fewer an effect is a lead."""
GRIDS = ("training", "sampling")
"""Studies whose arms differ from a baseline in one factor."""


class Row(NamedTuple):
    """A row of the forest plot.

    Attributes:
        study: Where its arm belongs; empty for a heading.
        arm: The arm; None for a heading.
        label: What is written beside it.
    """

    study: str
    arm: Arm | None
    label: str


class View(NamedTuple):
    """What all rows are asked.

    Attributes:
        reference: What an arm is compared with: "baseline" or "similarity".
        method: By which scores: "combined" or "generator".
        name: On which list.
    """

    reference: str
    method: str = "combined"
    name: str = TEST


VIEWS = {
    "combined against the baseline's, test": View("baseline"),
    "combined against the similarity, test": View("similarity"),
    "generator against the baseline's, test": View("baseline", "generator"),
    "generator against the similarity, test": View("similarity", "generator"),
    "combined against the baseline's, shifted style": View("baseline", name="shifted"),
    "combined against the similarity, shifted style": View("similarity", name="shifted"),
    "combined against the baseline's, unseen pairs": View("baseline", name="unseen_pairs"),
    "combined against the similarity, unseen pairs": View("similarity", name="unseen_pairs"),
}
"""What is said of each view -> the view."""


def shipped_studies(folder: Path) -> dict[str, StudyTable]:
    """Read the tables that are there; none need be.

    Args:
        folder: Of the sample collection.

    Raises:
        ValueError: If one is damaged.
    """
    places = {name: folder / "studies" / name for name in STUDIES}
    return {name: read_study(place) for name, place in places.items() if (place / TABLE_FILE).is_file()}


def finished_lines(tables: Tables, names: Sequence[str]) -> list[str]:
    """Say which cells of some studies are finished, a line each.

    Args:
        tables: The tables that are there.
        names: Names of the studies.
    """
    lines = []
    for name in names:
        study = STUDIES[name]
        finished = Counter({arm.name: len(_seeds(tables, name, arm)) for arm in study.arms})
        num_seeds, numbers = len(study.seeds), sorted({*finished.values()}, reverse=True)
        by_number = {number: [arm for arm in finished if finished[arm] == number] for number in numbers if number}
        told = [f"{_names(arms, study)} ({number} of {num_seeds} seeds)" for number, arms in by_number.items()]
        missing = sum(not number for number in finished.values())
        told += [f"{NOT_YET}: {missing} of {len(study.arms)} arms"] if missing else []
        cells = f"{finished.total()} of {num_seeds * len(study.arms)} cells"
        shipped = name in tables and tables[name].provenance.get("model") == "shipped"
        told += ["measured with the shipped model, whose seeds draw noise only"] if shipped else []
        lines.append(f"{name}, {cells}. {'; '.join(told)}")
    return lines


def forest_rows(tables: Tables) -> list[Row]:
    """Give a row for each arm of the studies, below a heading for its factor, the baseline first."""
    rows = [Row("training", STUDIES["training"].arm(BASELINE), f"<b>baseline</b>{_unfinished(tables, 'training')}")]
    for name in GRIDS:
        study = STUDIES[name]
        for factor, level in study.baseline.items():
            rows.append(Row("", None, f"<b>{factor}</b> (baseline: {level})"))
            own = [arm for arm in study.arms if arm.factor == factor]
            rows += [Row(name, arm, f"{arm.level}{_unfinished(tables, name, arm)}") for arm in own]
    return rows


def effects_of(tables: Tables, row: Row, view: View) -> dict[Direction, Effect]:
    """Give what an arm is worth in both directions; nothing where it cannot be told yet."""
    if row.arm is None or row.study not in tables:
        return {}
    compare = against_baseline if view.reference == BASELINE else gain
    table, arm = tables[row.study], row.arm.name
    found = {one: compare(table, arm, one, method=view.method, name=view.name) for one in DIRECTIONS}
    return {one: each for one, each in found.items() if each is not None}


def compared(
    tables: Tables,
    study: str,
    mine: tuple[str, str],
    other: tuple[str, str],
    direction: Direction,
    *,
    name: str = TEST,
) -> Effect | None:
    """Compare two arms and methods of a study on a list; None if that is not computed yet. See `studies.effects`."""
    return effect(tables[study], mine, other, direction, name=name) if study in tables else None


def told(found: Effect | None) -> str:
    """Say an effect and what it decides, which only all seeds together do; None is "not computed yet"."""
    if found is None:
        return NOT_YET
    of_seeds = ", ".join(f"{points:+.1f}" for points in found.of_seeds.values())
    if len(found.of_seeds) < NUM_SEEDS:
        return f"{found!s:22} a lead, {len(found.of_seeds)} of {NUM_SEEDS} seeds (seeds: {of_seeds})"
    return f"{found!s:22} {found.verdict} (seeds: {of_seeds})"


def _names(arms: Sequence[str], study: Study) -> str:
    return "all arms" if 1 < len(arms) == len(study.arms) else ", ".join(arms)


def _seeds(tables: Tables, name: str, arm: Arm) -> list[int]:
    return tables[name].seeds(arm.name) if name in tables else []


def _unfinished(tables: Tables, name: str, arm: Arm | None = None) -> str:
    study: Study = STUDIES[name]
    number, wanted = len(_seeds(tables, name, arm or study.arm(BASELINE))), len(study.seeds)
    return "" if number >= wanted or not number else f" · {number} of {wanted} seeds"
