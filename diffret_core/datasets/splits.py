"""From ids and captions to splits: safe and distinct ids, captions in file order, no test video in train."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from diffret_core.datasets.annotation_files import first_repeated, read_lines
from diffret_core.datasets.collection import Caption, SplitContents

HELD_OUT_SHARE = 0.05


def checked_id(video_id: str, place: Path | str) -> str:
    """Give an id back that can name a file: it must not lead out of the folder of videos.

    Raises:
        ValueError: If it could.
    """
    if video_id in ("", ".", "..") or any(character in video_id for character in "/\\\0"):
        raise ValueError(f"{place}: {video_id!r} is no video id, expected a name like video123")
    return video_id


def distinct_ids(place: Path | str, video_ids: Sequence[str]) -> list[str]:
    """Give ids back that are distinct, safe and at least one.

    Raises:
        ValueError: If they are not.
    """
    if not video_ids:
        raise ValueError(f"{place}: lists no video")
    if (repeated := first_repeated(list(video_ids))) is not None:
        raise ValueError(f"{place}: video {repeated} is listed twice")
    return [checked_id(video_id, place) for video_id in video_ids]


def read_id_list(path: Path) -> list[str]:
    """Read a list of ids, one a line.

    Raises:
        ValueError: If it is empty, no text, or an id repeats or is none.
    """
    return distinct_ids(path, [line.strip() for _, line in read_lines(path)])


def with_captions(video_ids: Sequence[str], captions: Iterable[Caption]) -> tuple[SplitContents, tuple[str, ...]]:
    """Make a split of listed videos.

    Args:
        video_ids: What is listed.
        captions: Those of many videos, in file order.

    Returns:
        The split, of the videos that have a caption; and the ids of those that have none.
    """
    wanted = set(video_ids)
    own = tuple(caption for caption in captions if caption.video_id in wanted)
    captioned = {caption.video_id for caption in own}
    described = tuple(video_id for video_id in video_ids if video_id in captioned)
    return SplitContents(described, own), tuple(video_id for video_id in video_ids if video_id not in captioned)


def all_captioned(
    video_ids: Sequence[str], captions: Iterable[Caption], *, listed_in: Path | str, read_from: Path | str
) -> SplitContents:
    """Make a split of listed videos, each of which must have a caption.

    Raises:
        ValueError: If one has none.
    """
    contents, without = with_captions(video_ids, captions)
    if without:
        raise ValueError(
            f"{listed_in}: lists {len(without)} videos without a caption, first {without[0]}; captions are read from "
            f"{read_from}"
        )
    return contents


def paragraph(sentences: Iterable[str]) -> str:
    """Join sentences, in their order, with one space between any two words."""
    return " ".join(" ".join(sentences).split())


def refuse_shared_videos(lists: Mapping[Any, Iterable[str]], test: Iterable[str], test_place: Path | str) -> None:
    """Stop at a test video that is also in another list: what is trained on it would know the answer.

    Args:
        lists: The other lists, by what to call them.
        test: Ids of the test split.
        test_place: Where those stand.

    Raises:
        ValueError: If there is one.
    """
    test = set(test)
    for source, video_ids in lists.items():
        if leaked := test.intersection(video_ids):
            raise ValueError(f"{source}: video {min(leaked)} is also a test video in {test_place}; remove it from one")


def held_out_ids(video_ids: Sequence[str], share: float = HELD_OUT_SHARE) -> list[str]:
    """Choose the videos to validate with where a benchmark has none of its own, without a random number.

    Those whose ids have the smallest SHA-256 (of UTF-8) are held out, `share` of all, at least one: the same ones in
    every language and version, whatever the order of the files.

    Args:
        video_ids: Training videos, at least two.
        share: Which part of them, between 0 and 1.

    Returns:
        The chosen ids in the given order.

    Raises:
        ValueError: If nothing would be left to train on.
    """
    num_held_out = max(1, round(share * len(video_ids)))
    if num_held_out >= len(video_ids):
        raise ValueError(f"{len(video_ids)} training videos: too few to hold {num_held_out} of them out")
    chosen = set(sorted(video_ids, key=lambda one: hashlib.sha256(one.encode()).digest())[:num_held_out])
    return [video_id for video_id in video_ids if video_id in chosen]


def without_ids(video_ids: Sequence[str], others: Iterable[str]) -> list[str]:
    """Ids that are not among others."""
    dropped = set(others)
    return [video_id for video_id in video_ids if video_id not in dropped]
