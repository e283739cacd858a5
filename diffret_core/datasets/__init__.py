"""Stage: annotation files of a benchmark to a `Collection` of captions and videos with typed splits."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diffret_core.datasets.activitynet import read_activitynet
from diffret_core.datasets.collection import Caption, Collection, Counts, Split, SplitContents, SplitCounts
from diffret_core.datasets.complete import refuse_missing
from diffret_core.datasets.counts import check_counts, count_faults, counts_of
from diffret_core.datasets.didemo import read_didemo
from diffret_core.datasets.lsmdc import read_lsmdc
from diffret_core.datasets.msrvtt import read_msrvtt
from diffret_core.datasets.msvd import read_msvd

READERS: dict[str, Callable[..., Collection]] = {
    "msrvtt": read_msrvtt,
    "lsmdc": read_lsmdc,
    "msvd": read_msvd,
    "activitynet": read_activitynet,
    "didemo": read_didemo,
}
# files that only this benchmark has: what tells a folder of it from one of another
_TELLTALES = {
    "msrvtt": ("MSRVTT_JSFUSION_test.csv", "MSRVTT_data.json", "test_videodatainfo.json", "train_val_annotation.zip"),
    "lsmdc": ("LSMDC16_annos_training.csv", "LSMDC16_challenge_1000_publictect.csv"),
    "msvd": ("raw-captions.pkl", "raw-captions.json", "xpool_captions_msvd.json", "AllVideoDescriptions.txt"),
    "activitynet": ("val_1.json", "train_ids.json"),
    "didemo": ("train_data.json", "val_data.json", "test_data.json"),
}


def read_collection(name: str, folder: Path | str, *, count_allowance: int | None = None, **options: Any) -> Collection:
    """Read a benchmark's annotation files by the name of the benchmark.

    Args:
        name: A key of READERS. The project's own samples are laid out like MSR-VTT and read as "msrvtt".
        folder: Folder with the annotation files.
        count_allowance: By how many videos a split may differ from the published number, usually 0; see
            `check_counts`. None does not ask: the files may be a miniature, or one's own collection in that layout.
        options: Passed to the reader. All take `videos_folder` and `hold_out_validation`; see `read_msrvtt` for its
            own.

    Returns:
        The collection.

    Raises:
        ValueError: If there is no reader of that name or it has no such option, the files are not as expected, or
            their numbers are not.
        FileNotFoundError: If an annotation file is missing.
    """
    if name not in READERS:
        raise ValueError(f"no reader for a collection named {name!r}: choose one of {', '.join(sorted(READERS))}")
    if unknown := set(options) - set(inspect.signature(READERS[name]).parameters):
        raise ValueError(f"the reader of {name} has no option {min(unknown)!r}")
    try:
        collection = READERS[name](folder, **options)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}{_other_benchmark(name, Path(folder))}") from None
    if count_allowance is not None:
        check_counts(collection, allowance=count_allowance)
    return collection


def _other_benchmark(name: str, folder: Path) -> str:
    """What to add to a message about missing files when the folder is that of another benchmark."""
    others = [
        other
        for other, files in _TELLTALES.items()
        if other != name and any((folder / file).is_file() for file in files)
    ]
    return f"; it holds files of {' and '.join(others)}, so choose that instead of {name}" if others else ""


__all__ = [
    "READERS",
    "Caption",
    "Collection",
    "Counts",
    "Split",
    "SplitContents",
    "SplitCounts",
    "check_counts",
    "count_faults",
    "counts_of",
    "read_activitynet",
    "read_collection",
    "read_didemo",
    "read_lsmdc",
    "read_msrvtt",
    "read_msvd",
    "refuse_missing",
]
