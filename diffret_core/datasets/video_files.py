"""Which file is which video: one rule for every benchmark, whatever was done to the names on the way."""

import os
from collections.abc import Iterator
from pathlib import Path

VIDEO_EXTENSIONS = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".3gp", ".gif", ".mpg", ".mpeg", ".wmv")
# endings of DiDeMo's ids, with which its files may still be named; ".null" is what one of them really has
_OTHER_ENDINGS = (".3g2", ".3gpp", ".mts", ".m2ts", ".qt", ".asf", ".divx", ".flv", ".null")


def stem(name: str) -> str:
    """What is left of a video's id or file name without all the video extensions and dots at its end.

    `video7.mp4`, `video7.avi.mp4` and `video7.` all give `video7`. A clip of LSMDC, whose id has dots inside, keeps
    them: what follows its dots is no video extension.
    """
    while True:
        ending = next((e for e in (*VIDEO_EXTENSIONS, *_OTHER_ENDINGS, ".") if name.lower().endswith(e)), None)
        if ending is None or len(ending) >= len(name):
            return name
        name = name[: -len(ending)]


class VideoFolder:
    """The files in a folder and in the folders directly in it, listed once, found by the stem of their names."""

    def __init__(self, folder: Path) -> None:
        """List the folder; one that does not exist has no files."""
        self._files: dict[str, list[Path]] = {}
        for path in sorted(_files_in(folder)):
            self._files.setdefault(stem(path.name), []).append(path)

    def __len__(self) -> int:
        """Number of files."""
        return sum(map(len, self._files.values()))

    def find(self, video_id: str, *, optional_prefix: str = "") -> list[Path]:
        """All files whose stem is that of the id, also without a prefix that files may lack."""
        wanted = {stem(video_id), stem(video_id.removeprefix(optional_prefix))}
        return sorted(path for one in wanted for path in self._files.get(one, ()))

    def examples(self) -> list[str]:
        """Names of a few of the files, for messages."""
        return [paths[0].name for paths in list(self._files.values())[:3]]


def _files_in(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from (path for path in Path(entry.path).iterdir() if not path.is_dir())
            else:
                yield folder / entry.name
