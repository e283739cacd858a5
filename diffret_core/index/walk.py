"""Find the video files below a folder."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

VIDEO_ENDINGS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".gif")


class FoundFile(NamedTuple):
    """A video file that is there.

    Attributes:
        path: Below the folder that was walked, with slashes. Bytes that are no UTF-8 are kept as Python keeps them in
            names of files (PEP 383).
        num_bytes: Its size.
        mtime_ns: When it was last written to.
    """

    path: str
    num_bytes: int
    mtime_ns: int


class Walk(NamedTuple):
    """What was found.

    Attributes:
        files: The video files, sorted by path.
        unlisted: Folders that could not be looked into, and why: whatever is below them is neither there nor gone.
    """

    files: list[FoundFile]
    unlisted: dict[str, str]


def find_videos(root: Path, *, skip: Path) -> Walk:
    """Look for video files in a folder and all folders below it.

    Names that begin with a dot are passed over (hidden folders, and the "._" files that macOS leaves on other disks).
    Links are followed, and every folder is looked into once, however many links lead to it.

    Args:
        root: Where to begin.
        skip: A folder that is not looked into: the index itself.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        PermissionError: If it cannot be looked into.
    """
    files: list[FoundFile] = []
    unlisted: dict[str, str] = {}
    seen = {_identity(skip)} if skip.is_dir() else set()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            if (identity := _identity(root / folder)) in seen:
                continue
            seen.add(identity)
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise type(error)(f"{root}: cannot be looked into ({error.strerror}); is its disk there?") from None
            unlisted[folder] = error.strerror or type(error).__name__
            continue
        visible = [entry for entry in entries if not entry.name.startswith(".")]
        prefix = f"{folder}/" if folder else ""
        files += _videos_among(visible, prefix)
        waiting += [prefix + entry.name for entry in reversed(visible) if _is_folder(entry)]
    return Walk(sorted(files), unlisted)


def is_below(path: str, folders: dict[str, str]) -> bool:
    """Find out whether a path lies below one of some folders."""
    return any(path.startswith(f"{folder}/") for folder in folders)


def _videos_among(entries: list[os.DirEntry], prefix: str) -> Iterator[FoundFile]:
    for entry in entries:
        if entry.name.lower().endswith(VIDEO_ENDINGS) and not _is_folder(entry):
            try:
                status = entry.stat()
            except OSError:  # a link to nothing: reading it will say so
                yield FoundFile(prefix + entry.name, 0, 0)
            else:
                yield FoundFile(prefix + entry.name, status.st_size, status.st_mtime_ns)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
