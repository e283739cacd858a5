"""The list of an index's files: a line a file, added to as they are done, so that a kill costs at most the last one."""

import json
import math
import os
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from diffret_core.index.walk import FoundFile
from diffret_core.tensor_files import write_text

CATALOGUE = "files.jsonl"


class Entry(NamedTuple):
    """What is known of a file.

    Attributes:
        path: Below the indexed folder; see `FoundFile`.
        num_bytes: Its size when it was read.
        mtime_ns: When it had last been written to.
        digest: SHA-256 of its content; None if it was refused before that was known.
        duration_seconds: Length of the video; 0 if it was refused.
        starts: Where its segments begin, in seconds; none if it was refused.
        refused: Why it cannot be searched; None if it can.
        missing: It was not there when the folder was last looked at.
    """

    path: str
    num_bytes: int
    mtime_ns: int
    digest: str | None = None
    duration_seconds: float = 0.0
    starts: tuple[float, ...] = ()
    refused: str | None = None
    missing: bool = False

    @property
    def row_ids(self) -> list[str]:
        """Names of the rows that hold its segments' features."""
        return [row_id(self.digest or "", number) for number in range(len(self.starts))]

    def is_of(self, file: FoundFile) -> bool:
        """Find out whether a file looks as it did when it was read."""
        return (self.num_bytes, self.mtime_ns) == (file.num_bytes, file.mtime_ns)


def row_id(digest: str, number: int) -> str:
    """Name the row of a segment of a file by what is in the file."""
    return f"{digest}:{number}"


def read_catalogue(folder: Path) -> dict[str, Entry]:
    """Read the entries of an index, by path; the last line about a path counts.

    A line that is not whole is passed over: a process was killed while it wrote. Its file is read again.
    """
    entries: dict[str, Entry] = {}
    try:
        lines = (folder / CATALOGUE).read_bytes().split(b"\n")
    except FileNotFoundError:
        return entries
    for line in lines:
        if (entry := _entry_of(line)) is not None:
            entries[entry.path] = entry
    return entries


def whole_entries(entries: Mapping[str, Entry], rows: Container[str]) -> list[Entry]:
    """Choose the videos that can be searched, sorted by path: those whose features are there, of every segment.

    Args:
        entries: What an index knows of its files.
        rows: Names of the rows that its files hold.
    """
    return [entry for _, entry in sorted(entries.items()) if entry.starts and all(row in rows for row in entry.row_ids)]


def add_entries(folder: Path, entries: Iterable[Entry]) -> None:
    """Add lines and force them to disk.

    Raises:
        OSError: If they cannot be written.
    """
    text = "".join(map(_line_of, entries))
    with (folder / CATALOGUE).open("a", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_catalogue(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Write one line a file, sorted by path, in place of what is there, whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    write_text(folder / CATALOGUE, "".join(_line_of(entries[path]) for path in sorted(entries)))


def _line_of(entry: Entry) -> str:
    return json.dumps(entry._asdict()) + "\n"  # in ASCII, where any name of a file survives


def _entry_of(line: bytes) -> Entry | None:
    try:
        found: Any = json.loads(line)
        entry = Entry(**{**found, "starts": tuple(map(float, found["starts"]))})
    except (ValueError, TypeError, KeyError):
        return None
    return entry if _is_whole(entry) else None


def _is_whole(entry: Entry) -> bool:
    """Whether every field is of its kind, and the path stays in the folder."""
    texts, counts = (entry.digest, entry.refused), (entry.num_bytes, entry.mtime_ns)
    return (
        isinstance(entry.path, str)
        and not entry.path.startswith("/")
        and ".." not in entry.path.split("/")
        and all(text is None or isinstance(text, str) for text in texts)
        and all(isinstance(count, int) for count in counts)
        and isinstance(entry.missing, bool)
        and isinstance(entry.duration_seconds, (int, float))
        and all(map(math.isfinite, (entry.duration_seconds, *entry.starts)))
    )
