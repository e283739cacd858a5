"""Is a collection as large as the benchmark was published? Half a download has fewer captions, and trains all the same.

The numbers themselves stand in the readers, beside the files they were counted in.
"""

from diffret_core.datasets.collection import Collection, Counts, Split, SplitCounts

ALL_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def counts_of(collection: Collection) -> Counts:
    """How many videos and captions the splits of a collection have."""
    sizes = (collection.contents(split) for split in ALL_SPLITS)
    return Counts(*(SplitCounts(len(videos), len(captions)) for videos, captions in sizes))


def count_faults(found: Counts, expected: Counts, *, allowance: int = 0) -> list[str]:
    """Say where a collection differs from what is expected of it.

    Args:
        found: Its size.
        expected: What it should be.
        allowance: By how many videos a split may differ. Above 0, captions are not compared: how many a video has
            differs.

    Returns:
        A sentence for each number that differs, with both numbers.
    """
    faults = []
    for split, one, other in zip(ALL_SPLITS, found, expected, strict=True):
        if abs(one.num_videos - other.num_videos) > allowance:
            faults.append(f"{split} has {one.num_videos} videos, expected {other.num_videos}")
        if allowance == 0 and one.num_captions != other.num_captions:
            faults.append(f"{split} has {one.num_captions} captions, expected {other.num_captions}")
    return faults


def check_counts(collection: Collection, *, allowance: int = 0) -> None:
    """Make sure that a collection, just read, has the published numbers of videos and captions.

    Args:
        collection: From a reader.
        allowance: By how many videos a split may differ.

    Raises:
        ValueError: If a split differs, naming both numbers, or the reader knows of no published ones.
    """
    if collection.published is None:
        raise ValueError(f"{collection.name}: no published numbers are known for this choice of files")
    if faults := count_faults(counts_of(collection), collection.published, allowance=allowance):
        raise ValueError(
            f"{collection.name}: not as published: {'; '.join(faults)}; fetch the annotation files again, or, if these "
            "are meant to be others, let them have another size (--any-size)"
        )
