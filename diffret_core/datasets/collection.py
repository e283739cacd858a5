"""What a benchmark is to the rest of the code: video ids and captions for each split, and a folder of videos."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from diffret_core.datasets.video_files import VIDEO_EXTENSIONS, VideoFolder

Split = Literal["train", "validation", "test"]


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


class SplitCounts(NamedTuple):
    """How many videos and captions a split has."""

    num_videos: int
    num_captions: int


class Counts(NamedTuple):
    """The size of every split."""

    train: SplitCounts
    validation: SplitCounts
    test: SplitCounts


@dataclass(frozen=True)
class Collection:
    """A captioned set of videos with its splits.

    Attributes:
        name: Name of the benchmark, such as "msrvtt".
        videos_folder: Folder of the video files; see `video_path` for their names.
        train: What a model learns from.
        validation: What a model is chosen on. It may overlap with train: see the reader's `hold_out_validation`.
        test: Looked at once. It shares no video with the other two.
        published: How many videos and captions each split should have; see `counts.check_counts`.
        uncaptioned: Ids that the benchmark lists though no caption describes them. They are in no split.
        optional_prefix: Beginning of every id that the names of its files may lack, such as "v_".
    """

    name: str
    videos_folder: Path
    train: SplitContents
    validation: SplitContents
    test: SplitContents
    published: Counts | None = None
    uncaptioned: tuple[str, ...] = ()
    optional_prefix: str = ""

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
        """The file of a video, in the folder of videos or in a folder directly in it.

        One rule: file and id have the same `video_files.stem`, that is, the same name without the video extensions
        and dots at its end. So `7.avi` may be the file of the ids `7`, `7.` and `7.avi`, and so may `7.avi.mp4`.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If there are several.
        """
        found = self._find(self._listed, video_id)
        if not found:
            found = self._find(VideoFolder(self.videos_folder), video_id)  # it may have come since
        if not found:
            raise FileNotFoundError(
                f"{self.videos_folder}: no file {video_id} with an extension of {', '.join(VIDEO_EXTENSIONS)}; "
                "fetch or render the video, or name another folder of videos"
            )
        if len(found) > 1:
            names = " and ".join(path.relative_to(self.videos_folder).as_posix() for path in found)
            raise ValueError(f"{self.videos_folder}: {names} are both video {video_id}; keep one of them")
        return found[0]

    def missing_videos(self, split: Split) -> tuple[str, ...]:
        """Ids of a split's videos that have no file, as the folder is now.

        An evaluation that leaves them out ranks against a smaller gallery, and its figures are too good: refuse it, or
        say so and use `without_videos`. `complete.refuse_missing` does both.
        """
        files = VideoFolder(self.videos_folder)
        return tuple(video_id for video_id in self.video_ids(split) if not self._find(files, video_id))

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

    @cached_property
    def _listed(self) -> VideoFolder:
        return VideoFolder(self.videos_folder)

    def _find(self, files: VideoFolder, video_id: str) -> list[Path]:
        found = files.find(video_id, optional_prefix=self.optional_prefix)
        return [path for path in found if path.is_file()]  # one that was listed may be gone
