"""No video left out without a word: a gallery that lacks some of its videos is an easier one."""

import warnings
from collections.abc import Sequence

from diffret_core.datasets.collection import Collection, Split


def refuse_missing(collection: Collection, splits: Sequence[Split], *, allowed: int = 0) -> Collection:
    """Make sure that the videos of some splits are there, or leave out the few that may be missing.

    Args:
        collection: The collection.
        splits: Those that are going to be used.
        allowed: How many videos of these splits may be missing, together.

    Returns:
        The collection without the missing videos and their captions, of which a warning tells; the same one where none
        is missing. Figures on a smaller gallery compare with no others; say its size with every one of them.

    Raises:
        FileNotFoundError: If more are missing, or all of a split.
        ValueError: If `allowed` is below 0.
    """
    if allowed < 0:
        raise ValueError(f"{allowed} missing videos allowed: it must be 0 or more")
    missing = {split: collection.missing_videos(split) for split in splits}
    all_missing = sorted(set().union(*missing.values()))
    num_videos = len(set().union(*(collection.video_ids(split) for split in splits)))
    whole_split = any(missing[split] and len(missing[split]) == len(collection.video_ids(split)) for split in splits)
    if len(all_missing) > allowed or whole_split:
        first = next(video_id for split in splits for video_id in missing[split])
        fewer = f"do with fewer (--allow-missing {len(all_missing)}), whose numbers compare with no others"
        raise FileNotFoundError(
            f"{collection.name}: {len(all_missing)} of {num_videos} {' and '.join(splits)} videos are missing in "
            f"{collection.videos_folder}, the first is {first}; fetch them (the sample collection's: 'diffret samples "
            f"render'){'' if whole_split else ', or ' + fewer}"
        )
    if not all_missing:
        return collection
    warnings.warn(
        f"{len(all_missing)} of {num_videos} {' and '.join(splits)} videos are missing and left out: figures on "
        "what is left compare with no others",
        stacklevel=2,
    )
    return collection.without_videos(all_missing)
