"""What a benchmark is to the rest of the code: video ids and captions for each split, and a folder of videos."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

Split = Literal["train", "validation", "test"]

VIDEO_EXTENSIONS = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".3gp", ".gif")


class Caption(NamedTuple):
    """One sentence and the id of the video it describes."""

    text: str
    video_id: str


class SplitContents(NamedTuple):
    """Videos and captions of one split, both in the order of the files they were read from.

    One video may have many captions, and one text may belong to several videos. Every video has a caption.
    """

    video_ids: tuple[str, ...]
    captions: tuple[Caption, ...]


@dataclass(frozen=True)
class Collection:
    """A captioned set of videos with its splits.

    Attributes:
        name: Name of the benchmark, such as "msrvtt".
        videos_folder: Folder of the video files, each named by its id and one of VIDEO_EXTENSIONS.
        train: What a model learns from.
        validation: What a model is chosen on. It may overlap with train: see the reader's `hold_out_validation`.
        test: Looked at once. It shares no video with the other two.
    """

    name: str
    videos_folder: Path
    train: SplitContents
    validation: SplitContents
    test: SplitContents

    def contents(self, split: Split) -> SplitContents:
        """Videos and captions of a split.

        Raises:
            ValueError: If there is no split of that name.
        """
        if split not in get_args(Split):
            raise ValueError(f"no split named {split!r}: choose one of {', '.join(get_args(Split))}")
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]

    def video_ids(self, split: Split) -> tuple[str, ...]:
        """Ids of the V videos of a split, in file order: the columns of a similarity matrix."""
        return self.contents(split).video_ids

    def pairs(self, split: Split) -> tuple[Caption, ...]:
        """The T captions of a split as pairs (text, video_id), in file order: the rows of a similarity matrix."""
        return self.contents(split).captions

    def video_of_caption(self, split: Split) -> list[int]:
        """For each of the T captions, the position (0 to V - 1) of its video among `video_ids`."""
        video_ids, captions = self.contents(split)
        position = {video_id: index for index, video_id in enumerate(video_ids)}
        return [position[caption.video_id] for caption in captions]

    def video_path(self, video_id: str) -> Path:
        """The file of a video: its id with any of VIDEO_EXTENSIONS.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If there are several.
        """
        found = self._files(video_id)
        if not found:
            raise FileNotFoundError(
                f"{self.videos_folder}: no file {video_id} with an extension of {', '.join(VIDEO_EXTENSIONS)}; "
                "fetch or render the video, or name another folder of videos"
            )
        if len(found) > 1:
            names = " and ".join(path.name for path in found)
            raise ValueError(f"{self.videos_folder}: {names} are both video {video_id}; keep one of them")
        return found[0]

    def missing_videos(self, split: Split) -> tuple[str, ...]:
        """Ids of a split's videos that have no file.

        An evaluation that leaves them out ranks against a smaller gallery, and its figures are too good: refuse it, or
        say so and use `without_videos`.
        """
        return tuple(video_id for video_id in self.video_ids(split) if not self._files(video_id))

    def without_videos(self, video_ids: Iterable[str]) -> "Collection":
        """The collection without some videos and their captions, in all splits."""
        dropped = frozenset(video_ids)
        train, validation, test = (
            SplitContents(
                tuple(video_id for video_id in contents.video_ids if video_id not in dropped),
                tuple(caption for caption in contents.captions if caption.video_id not in dropped),
            )
            for contents in (self.train, self.validation, self.test)
        )
        return replace(self, train=train, validation=validation, test=test)

    def with_one_caption(self, split: Split) -> "Collection":
        """The collection with only the first caption of each video of a split."""
        video_ids, captions = self.contents(split)
        first = {caption.video_id: caption for caption in reversed(captions)}
        changes: dict[str, Any] = {split: SplitContents(video_ids, tuple(first[video_id] for video_id in video_ids))}
        return replace(self, **changes)

    def _files(self, video_id: str) -> list[Path]:
        candidates = (self.videos_folder / f"{video_id}{extension}" for extension in VIDEO_EXTENSIONS)
        return [path for path in candidates if path.is_file()]
