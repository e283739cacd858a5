"""The whole examination: annotations against what is expected, every video, and what the features will cost."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from diffret_core.config import Recipe
from diffret_core.datasets import Collection, Counts, count_faults, counts_of, read_collection
from diffret_core.datasets.counts import ALL_SPLITS
from diffret_core.datasets.video_files import VideoFolder
from diffret_core.doctor.estimates import MEASURED_ON, Estimate, estimate_extraction
from diffret_core.doctor.needs import Needs, needs_of
from diffret_core.doctor.videos import Listen, VideoFindings, look_at_videos, spread


@dataclass
class SplitReport:
    """One split: what it has, what it should have (None: nobody knows), how many of its videos have no file."""

    num_videos: int
    num_captions: int
    expected_videos: int | None
    expected_captions: int | None
    num_missing: int


@dataclass
class Report:
    """What was found.

    Attributes:
        recipe: The recipe.
        annotations: Folder of the annotation files.
        videos_folder: Folder of the videos.
        splits: What the splits have.
        uncaptioned: Ids that the benchmark lists without a caption; nothing needs their videos.
        videos: What the files are like; None if there is no such folder.
        estimate: What the features cost; None if no video could be decoded.
        faults: One line for each thing that has to be mended first.
    """

    recipe: str
    annotations: str
    videos_folder: str
    splits: dict[str, SplitReport]
    uncaptioned: list[str]
    videos: VideoFindings | None
    estimate: Estimate | None
    faults: list[str]


def is_healthy(report: Report) -> bool:
    """Whether all is there. Videos that are there twice are no fault: benchmarks have some."""
    return not report.faults


def examine(
    recipe: Recipe,
    *,
    annotations: Path | str | None = None,
    videos_folder: Path | str | None = None,
    protocol: str | None = None,
    quick: bool = False,
    device: torch.device | str = "cpu",
    listen: Listen = lambda *_: None,
) -> Report:
    """Examine the data that a recipe is to be run on.

    Args:
        recipe: The recipe.
        annotations: Folder with its annotation files; for "tiny" the sample collection if not given.
        videos_folder: Folder with the videos; "videos" inside the other if not given.
        protocol: Which published split of MSR-VTT.
        quick: Open only some of the videos, and look for no duplicates.
        device: Where the features are to be extracted.
        listen: Told what is being done, and how far it is.

    Returns:
        The report. Whatever is wrong with the videos is in it, not raised.

    Raises:
        FileNotFoundError: If an annotation file is missing.
        ValueError: If an annotation file is damaged or of another benchmark.
    """
    needs = needs_of(recipe)
    if annotations is None:
        if needs.annotations is None:
            raise ValueError(f"recipe {recipe.name} needs the folder of its annotation files; give --data")
        annotations = needs.annotations()
    given: dict[str, Any] = {"videos_folder": videos_folder, "protocol": protocol, "hold_out_validation": True}
    options = {name: value for name, value in given.items() if value is not None}
    collection = read_collection(recipe.collection, annotations, **options)
    expected = needs.expected or collection.published
    missing = {split: collection.missing_videos(split) for split in ALL_SPLITS}
    report = Report(
        recipe=recipe.name,
        annotations=str(annotations),
        videos_folder=str(collection.videos_folder),
        splits=_splits(collection, expected, [len(missing[split]) for split in ALL_SPLITS]),
        uncaptioned=list(collection.uncaptioned),
        videos=None,
        estimate=None,
        faults=[] if expected is None else _annotation_faults(collection, expected, annotations),
    )
    if not collection.videos_folder.is_dir():
        report.faults.append(f"{collection.videos_folder}: no such folder of videos; {needs.remedy}")
        return report
    all_missing = frozenset(video_id for ids in missing.values() for video_id in ids)
    _examine_videos(report, collection, recipe, all_missing, quick=quick, device=torch.device(device), listen=listen)
    return report


def _splits(collection: Collection, expected: Counts | None, num_missing: list[int]) -> dict[str, SplitReport]:
    reports: dict[str, SplitReport] = {}
    for place, split in enumerate(ALL_SPLITS):
        found, wanted = counts_of(collection)[place], expected[place] if expected is not None else None
        reports[split] = SplitReport(
            num_videos=found.num_videos,
            num_captions=found.num_captions,
            expected_videos=wanted.num_videos if wanted else None,
            expected_captions=wanted.num_captions if wanted else None,
            num_missing=num_missing[place],
        )
    return reports


def _annotation_faults(collection: Collection, expected: Counts, annotations: Path | str) -> list[str]:
    faults = count_faults(counts_of(collection), expected)
    return [f"{annotations}: {fault}; fetch the annotation files again" for fault in faults]


def _examine_videos(
    report: Report,
    collection: Collection,
    recipe: Recipe,
    missing: frozenset[str],
    *,
    quick: bool,
    device: torch.device,
    listen: Listen,
) -> None:
    """Fill in what the files are like, what they cost, and the faults of both."""
    video_ids = list(dict.fromkeys(one for split in ALL_SPLITS for one in collection.video_ids(split)))
    findings, paths = look_at_videos(collection, video_ids, missing=missing, quick=quick, listen=listen)
    report.videos = findings
    needs = needs_of(recipe)
    if len(findings.missing) == len(video_ids):
        files = VideoFolder(collection.videos_folder)
        holds = f"it holds {', '.join(files.examples())} and the like" if len(files) else "it is empty"
        none = f"{collection.videos_folder}: has none of the {len(video_ids)} videos, such as {video_ids[0]}.mp4"
        report.faults.append(f"{none}; {holds}; {needs.remedy}")
    else:
        report.faults += _video_faults(findings, needs)
    if not paths:
        return
    to_measure = spread(list(paths), 2 * MEASURED_ON)
    listen("estimating the extraction of features", 0, 1)
    try:
        report.estimate, undecodable = estimate_extraction(
            [paths[one] for one in to_measure], recipe.model, num_videos=len(video_ids), device=device
        )
        report.faults += undecodable.values()
    except ValueError as error:
        report.faults.append(str(error))
    listen("estimating the extraction of features", 1, 1)
    if report.estimate is not None and report.estimate.feature_bytes > report.estimate.free_bytes:
        report.faults.append(
            f"{collection.videos_folder}: the features take {report.estimate.feature_bytes / 1e9:.1f} GB, and "
            f"{report.estimate.free_bytes / 1e9:.1f} GB are free there; make room"
        )


def _video_faults(findings: VideoFindings, needs: Needs) -> list[str]:
    faults = []
    if findings.missing:
        some = ", ".join(findings.missing[:3]) + (", ..." if len(findings.missing) > 3 else "")
        faults.append(f"{len(findings.missing)} of {findings.num_needed} videos are missing ({some}); {needs.remedy}")
    if findings.empty:
        some = ", ".join(findings.empty[:3]) + (", ..." if len(findings.empty) > 3 else "")
        faults.append(f"{len(findings.empty)} videos have files of 0 bytes ({some}); fetch them again")
    return [*faults, *findings.ambiguous.values(), *findings.unreadable.values()]
