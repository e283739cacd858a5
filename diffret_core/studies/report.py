"""The tables of docs/results.md, written from the shipped studies: no number of theirs is typed by hand."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from diffret_core.config import DIRECTIONS
from diffret_core.scores import METHODS
from diffret_core.studies.declaration import BASELINE
from diffret_core.studies.effects import Effect, against_baseline, effect, gain
from diffret_core.studies.setting import TEST, VALIDATION
from diffret_core.studies.table import StudyTable, read_study
from diffret_core.tensor_files import write_text

_DRAWN = (
    "interval 95 %, queries drawn with all their seeds. Weight and temperature of the combined score were chosen on "
    "validation, from the same trials for all"
)
_MEASURED = (
    f"R@1 in percent on test, mean over the seeds; gains are those of the combined score over the similarity, {_DRAWN}."
)
_MEASURED_METHODS = (
    "In percent on test, mean over the seeds; each score's gain is in points of R@1 over the similarity, "
    f"{_DRAWN}; for the correction nothing was chosen."
)
_MEASURED_KINDS = (
    "AUROC of matched against unmatched queries on test, mean over the seeds, kind by kind; their mean with its 95 % "
    "interval over queries (mean of the seeds' ends); and the percentage of unmatched queries that pass where 95 % of "
    "the matched do. Chosen: how many seeds found this score the best on validation."
)

_MEASURED_ALONE = (
    "R@1 in percent, mean over the seeds. Both arms train all from scratch with each seed; the baseline has both "
    "stages, the other arm has no stage 2. Difference: the baseline's combined score minus that similarity, "
    f"{_DRAWN}."
)


def write_report(page: Path, studies: Path) -> list[str]:
    """Write the tables of all studies there are into a page, each between its two markers.

    Args:
        page: A Markdown file with lines `<!-- study NAME: begin -->` and `<!-- study NAME: end -->`.
        studies: Folder of the studies' folders.

    Returns:
        The names of the studies.

    Raises:
        FileNotFoundError: If the page is missing, or there is no study.
        ValueError: If a study has no markers in the page.
    """
    text, names = page.read_text(encoding="utf-8"), sorted(one.parent.name for one in studies.glob("*/table.csv"))
    if not names:
        raise FileNotFoundError(f"{studies}: holds no study; `diffret study NAME --ship` puts one there")
    for name in names:
        begin, end = f"<!-- study {name}: begin -->", f"<!-- study {name}: end -->"
        if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
            raise ValueError(f"{page}: has no place for study {name}; write the lines {begin} and {end} where it goes")
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{report(read_study(studies / name))}{end}{rest.split(end)[1]}"
    write_text(page, text)
    return names


def report(table: StudyTable) -> str:
    """Write a study's table as Markdown, with a line on where it comes from."""
    about, methods = table.provenance, sorted({row["method"] for row in table.rows} - set(METHODS))
    if "kind" in table.rows[0]:
        return "\n".join([f"{_origin(about)} {_MEASURED_KINDS}", "", *_kinds(table), ""])
    measured, rows = (_MEASURED_METHODS, _methods(table)) if methods else (_MEASURED, _arms(table))
    if alone := [arm for arm in {row["arm"]: None for row in table.rows} if not _has(table, arm, "combined")]:
        measured, rows = _MEASURED_ALONE, _alone(table, alone)
    lines = [f"{_origin(about)} {measured}", "", *rows, ""]
    return "\n".join([*lines, *_unfinished(about)])


def _origin(about: dict[str, Any]) -> str:
    arms = len({one.split("/")[0] for one in about["finished"]})
    seeds = sorted({int(one.split("/")[1]) for one in about["finished"]})
    told, what = ", ".join(map(str, seeds)), about["what"]
    parts = [
        f"`diffret study {about['study']}`: {what if what.endswith('?') else f'{what}.'}",
        f"{len(about['finished'])} of {about['num_cells']} cells ({_count(arms, 'arm')}; seeds {told}),",
        f"{about['hours']:g} hours, {_count(about['threads'], 'thread')}, torch {about['torch']}, {about['date']},",
        f"commit {_commit(about['commit'])}, stage 1 {about['stage1_sha256'][:8]}.",
        *(["The model is the shipped one; its seeds draw noise only."] if about.get("model") == "shipped" else []),
    ]
    return " ".join(parts)


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _commit(name: str | None) -> str:
    """Shorten a commit, and keep that files differed from it."""
    return f"{(name or 'unknown')[:12]}{' with changes' if (name or '').endswith('-dirty') else ''}"


def _unfinished(about: dict[str, Any]) -> Iterator[str]:
    """Name the arms of which seeds are missing."""
    num_seeds = about["num_cells"] // len(about["arms"])
    finished = Counter(one.split("/")[0] for one in about["finished"])
    numbers = {arm["name"]: finished[arm["name"]] for arm in about["arms"]}
    begun = [f"{name} ({number} of {num_seeds} seeds)" for name, number in numbers.items() if 0 < number < num_seeds]
    missing = [name for name, number in numbers.items() if not number]
    if begun or missing:
        told = [f"Not all seeds yet: {', '.join(begun)}."] if begun else []
        yield " ".join(told + ([f"Not computed yet: {', '.join(missing)}."] if missing else []))
        yield ""


def _arms(table: StudyTable) -> Iterator[str]:
    """Give a row for each arm and direction, factor by factor, the baseline first."""
    others = [name for name in dict.fromkeys(row["list"] for row in table.rows) if name not in (VALIDATION, TEST)]
    heads = ["factor", "level", "direction", *METHODS[1:], "gain", "of each seed", "against the baseline", "ceiling"]
    yield _line(heads + [f"gain, {name.replace('_', ' ')}" for name in others])
    yield _line(["---"] * (len(heads) + len(others)))
    arms = [arm for arm in table.provenance["arms"] if table.seeds(arm["name"])]
    for arm in arms:
        for direction in DIRECTIONS:
            of = {"arm": arm["name"], "direction": direction, "method": "combined"}
            recalls = [f"{table.mean('R@1', **{**of, 'method': one}, list=TEST):.1f}" for one in METHODS[1:]]
            yield _line(
                [
                    arm["factor"] or "baseline",
                    str(arm["level"]),
                    direction.replace("_", "-"),
                    *recalls,
                    str(gain(table, arm["name"], direction)),
                    _of_seeds(table, arm["name"], direction),
                    _difference(table, arm["name"], direction),
                    f"{table.mean('ceiling', **of, list=TEST):.1f}",
                    *(f"{table.mean('gain', **of, list=name):+.1f}" for name in others),
                ]
            )


def _alone(table: StudyTable, arms: Sequence[str]) -> Iterator[str]:
    """Give a row for each list and direction: the baseline beside arms that have a similarity only."""
    yield _line(["arm", "list", "direction", "its similarity", "of each seed", *METHODS, "difference"])
    yield _line(["---"] * (6 + len(METHODS)))
    lists = [name for name in dict.fromkeys(row["list"] for row in table.rows) if name != VALIDATION]
    for arm, name, direction in itertools.product(arms, lists, DIRECTIONS):
        of = {"list": name, "direction": direction}
        own = [row for row in table.rows if _is(row, {**of, "arm": arm})]
        has_baseline = _has(table, BASELINE, "combined")
        known = [f"{table.mean('R@1', **of, arm=BASELINE, method=one):.1f}" if has_baseline else "" for one in METHODS]
        found = effect(table, (BASELINE, "combined"), (arm, "similarity"), direction, name=name)
        mean, of_seeds = sum(row["R@1"] for row in own) / len(own), [f"{row['seed']}: {row['R@1']:.1f}" for row in own]
        words = [arm.replace("_", " "), name.replace("_", " "), direction.replace("_", "-")]
        yield _line([*words, f"{mean:.1f}", ", ".join(of_seeds), *known, _told(found, table.seeds(arm))])


def _has(table: StudyTable, arm: str, method: str) -> bool:
    return any(_is(row, {"arm": arm, "method": method}) for row in table.rows)


def _methods(table: StudyTable) -> Iterator[str]:
    """Give a row for each direction and method of the baseline."""
    columns = ("R@1", "R@5", "R@10", "median_rank", "mean_rank")
    yield _line(["direction", "by", *(one.replace("_", " ") for one in columns), "gain over the similarity"])
    yield _line(["---"] * (len(columns) + 3))
    for direction in DIRECTIONS:
        for method in dict.fromkeys(row["method"] for row in table.rows):
            of = {"arm": BASELINE, "list": TEST, "direction": direction, "method": method}
            digits = [f"{table.mean(one, **of):.{2 if one == 'mean_rank' else 1}f}" for one in columns]
            gained = "" if method == "similarity" else str(gain(table, BASELINE, direction, method=method))
            yield _line([direction.replace("_", "-"), method, *digits, gained])


def _kinds(table: StudyTable) -> Iterator[str]:
    """Give a table for each direction: a row for each score, a column for each kind of unmatched queries."""
    for direction in DIRECTIONS:
        of = {"list": TEST, "direction": direction}
        own = [row for row in table.rows if row["list"] == TEST and row["direction"] == direction]
        kinds, scores = (list(dict.fromkeys(row[name] for row in own)) for name in ("kind", "method"))
        heads = [f"{direction.replace('_', '-')}, score", *kinds[:-1], "mean", "passing, mean", f"passing, {kinds[0]}"]
        yield _line([*heads, "area of risk", "calibration error", "chosen"])
        yield _line(["---"] * (len(heads) + 3))
        for score in scores:
            means = {**of, "method": score, "kind": kinds[-1]}
            value, low, high = (table.mean(name, **means) for name in ("auroc", "auroc_low", "auroc_high"))
            error, seeds = table.mean("calibration_error", **means), [row["seed"] for row in own if _is(row, means)]
            yield _line(
                [
                    score,
                    *(f"{table.mean('auroc', **{**means, 'kind': kind}):.3f}" for kind in kinds[:-1]),
                    f"{value:.3f} ({low:.3f} to {high:.3f})",
                    *(f"{100 * table.mean('fpr95', **{**means, 'kind': one}):.1f}" for one in (kinds[-1], kinds[0])),
                    f"{table.mean('risk_area', **means):.3f}",
                    "" if math.isnan(error) else f"{error:.3f}",
                    f"{len(seeds) * table.mean('chosen', **means):.0f} of {len(seeds)}",
                ]
            )
        yield ""


def _is(row: dict[str, Any], of: dict[str, str]) -> bool:
    return all(row[name] == value for name, value in of.items())


def _difference(table: StudyTable, arm: str, direction: str) -> str:
    """Compare an arm with the baseline."""
    return "" if arm == BASELINE else _told(against_baseline(table, arm, direction), table.seeds(arm))


def _told(found: Effect | None, seeds: Sequence[int]) -> str:
    """Say a difference; where fewer seeds could be compared than an arm has, say which."""
    if found is None:
        return ""
    return str(found) if list(found.of_seeds) == seeds else f"{found}, seed {', '.join(map(str, found.of_seeds))} only"


def _of_seeds(table: StudyTable, arm: str, direction: str) -> str:
    of = {"arm": arm, "list": TEST, "direction": direction, "method": "combined"}
    return ", ".join(f"{row['seed']}: {row['gain']:+.1f}" for row in table.rows if _is(row, of))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
