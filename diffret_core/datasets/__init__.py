"""Stage: annotation files of a benchmark to a `Collection` of captions and videos with typed splits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from diffret_core.datasets.collection import Caption, Collection, Split, SplitContents
from diffret_core.datasets.msrvtt import read_msrvtt

READERS: dict[str, Callable[..., Collection]] = {"msrvtt": read_msrvtt}


def read_collection(name: str, folder: Path | str, **options: Any) -> Collection:
    """Read a benchmark's annotation files by the name of the benchmark.

    Args:
        name: A key of READERS. The project's own samples are laid out like MSR-VTT and read as "msrvtt".
        folder: Folder with the annotation files.
        options: Passed to the reader; see `read_msrvtt`.

    Returns:
        The collection.

    Raises:
        ValueError: If there is no reader of that name, or the files are not as expected.
        FileNotFoundError: If an annotation file is missing.
    """
    if name not in READERS:
        raise ValueError(f"no reader for a collection named {name!r}: choose one of {', '.join(sorted(READERS))}")
    return READERS[name](folder, **options)


__all__ = ["READERS", "Caption", "Collection", "Split", "SplitContents", "read_collection", "read_msrvtt"]
