"""Look at every video file of a collection: is it there, is it whole, how long is it, is it there twice?"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diffret_core.datasets import Collection
from diffret_core.features import file_digest
from diffret_core.frames import probe_video

QUICK_SAMPLE = 100
Listen = Callable[[str, int, int], None]


@dataclass
class VideoFindings:
    """What was found out about the video files.

    Attributes:
        num_needed: Videos of all splits.
        missing: Ids without a file.
        ambiguous: Why it cannot be said which file is the video, by id.
        empty: Ids whose file has 0 bytes.
        unreadable: Why the file cannot be read, by id.
        duplicates: Groups of ids whose files have the same bytes; None if nobody looked.
        seconds: Length of each video that was opened, by id.
        num_bytes: Size of all files that are there.
        num_opened: How many files were opened: all that are there, or the sample of a quick look.
    """

    num_needed: int
    missing: list[str] = field(default_factory=list)
    ambiguous: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    duplicates: list[list[str]] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    num_bytes: int = 0
    num_opened: int = 0


def look_at_videos(
    collection: Collection, video_ids: Sequence[str], *, missing: frozenset[str], quick: bool, listen: Listen
) -> tuple[VideoFindings, dict[str, Path]]:
    """Look at the files of some videos.

    Args:
        collection: Knows the files.
        video_ids: Ids of the videos.
        missing: Those that have no file.
        quick: Open `QUICK_SAMPLE` of them, spread evenly, and look for no duplicates.
        listen: Told what is being done, and how far it is.

    Returns:
        The findings, and the files that could be opened, by id.
    """
    findings = VideoFindings(num_needed=len(video_ids), missing=[one for one in video_ids if one in missing])
    paths = _paths(collection, [one for one in video_ids if one not in missing], findings)
    chosen = spread(list(paths), QUICK_SAMPLE) if quick else list(paths)
    for number, video_id in enumerate(chosen, start=1):
        try:
            findings.seconds[video_id] = probe_video(paths[video_id]).duration_seconds
        except (ValueError, OSError) as error:
            findings.unreadable[video_id] = " ".join(str(error).split())
        listen("looking at videos", number, len(chosen))
    findings.num_opened = len(chosen)
    if not quick:
        findings.duplicates = _duplicates(paths, listen)
    return findings, {video_id: paths[video_id] for video_id in findings.seconds}


def spread(values: Sequence[str], number: int) -> list[str]:
    """Choose some values, spread evenly from the first on; all if there are no more."""
    if len(values) <= number:
        return list(values)
    return [values[place * len(values) // number] for place in range(number)]


def _paths(collection: Collection, video_ids: Sequence[str], findings: VideoFindings) -> dict[str, Path]:
    """Files that are not empty, by id; the others go into the findings."""
    paths = {}
    for video_id in video_ids:
        try:
            path = collection.video_path(video_id)
        except ValueError as error:
            findings.ambiguous[video_id] = str(error)
            continue
        num_bytes = path.stat().st_size
        findings.num_bytes += num_bytes
        if num_bytes:
            paths[video_id] = path
        else:
            findings.empty.append(video_id)
    return paths


def _duplicates(paths: dict[str, Path], listen: Listen) -> list[list[str]]:
    """Groups of videos with the same bytes: only files of equal size are read."""
    by_size = defaultdict(list)
    for video_id, path in paths.items():
        by_size[path.stat().st_size].append(video_id)
    suspects = [video_id for group in by_size.values() if len(group) > 1 for video_id in group]
    by_content = defaultdict(list)
    for number, video_id in enumerate(suspects, start=1):
        try:
            by_content[file_digest(paths[video_id])].append(video_id)
        except OSError:  # one that may not be read is among the unreadable ones
            continue
        listen("comparing files of equal size", number, len(suspects))
    return [group for group in by_content.values() if len(group) > 1]
