"""The files that keep features of videos: added one after the other, each whole, checked when read, never changed."""

import hashlib
import os
import shutil
import time
import warnings
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffret_core.features import Extractor, VideoFeatures, load_features, save_features

STORED_AS = torch.float16
_BYTES_PER_ID = 68  # a digest in quotes, comma and space
_HALF_WRITTEN_SECONDS = 3600  # writing one takes seconds: whatever is older was left by a killed process

Row = tuple[Tensor, Tensor]  # frames [F, D] and frame_mask [F] of one video


class Shards:
    """The features that one encoder made of videos, in the files of a folder.

    A file is named after the videos in it, so processes that write at the same time leave each other's alone. One from
    before there were several, named after the encoder only, is read like the others.

    Attributes:
        unsaved: Rows that could not be written, by digest of the video file.
    """

    def __init__(
        self, folder: Path, key: str, *, row_shape: tuple[int, int], videos_per_shard: int, must_keep: bool
    ) -> None:
        """Touch nothing yet.

        Args:
            folder: Where the files are; made when the first is written.
            key: Names the encoder and how videos are sampled, see `features.video_feature_key`.
            row_shape: F and D.
            videos_per_shard: A file is written as soon as so many rows are there.
            must_keep: Rows that cannot be written are an error; else a warning, and `unsaved` has them.
        """
        self.unsaved: dict[str, Row] = {}
        self._folder, self._key, self._row_shape = folder, key, row_shape
        self._videos_per_shard, self._must_keep = videos_per_shard, must_keep
        self._name = f"video_features_{key[:16]}"
        self._waiting: dict[str, Row] = {}

    def read(self) -> dict[str, Row]:
        """Read all rows, by digest of the video file.

        A damaged file is named by a warning and deleted: its rows are no use.

        Raises:
            ValueError: If a file holds features of another shape.
        """
        rows: dict[str, Row] = {}
        for path in self.files():
            rows.update(_rows_in(path, self._key, self._row_shape))
        return rows

    def ids(self) -> set[str]:
        """Name all rows that can be read, holding those of one file at a time; see `read`."""
        return {one for path in self.files() for one in _rows_in(path, self._key, self._row_shape)}

    def drop(self, keep: AbstractSet[str]) -> None:
        """Write files anew without the rows that are not to be kept; what an interruption leaves twice does no harm.

        Raises:
            OSError: If a file cannot be written.
        """
        for path in self.files():
            rows = _rows_in(path, self._key, self._row_shape)
            kept = {one: row for one, row in rows.items() if one in keep}
            if len(kept) == len(rows):
                continue
            self._waiting = kept
            self.flush()
            path.unlink(missing_ok=True)

    def add(self, rows: Mapping[str, Row]) -> None:
        """Take rows, and write a file if there are enough; see `flush`."""
        self._waiting.update(rows)
        if len(self._waiting) >= self._videos_per_shard:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are not yet in a file.

        Raises:
            OSError: If they cannot be written and must be.
        """
        if not self._waiting:
            return
        contents = hashlib.sha256("".join(self._waiting).encode()).hexdigest()
        path = self._folder / f"{self._name}_{contents[:16]}.safetensors"
        features = stacked(list(self._waiting.values()))
        try:
            save_features(path, features, ids=list(self._waiting), metadata={"key": self._key})
        except OSError as error:
            if self._must_keep:
                raise
            if not self.unsaved:
                warnings.warn(
                    f"features could not be saved in {self._folder} and will be computed again next time: {error}",
                    stacklevel=4,
                )
            self.unsaved.update(self._waiting)
        self._waiting = {}

    def num_bytes(self, num_rows: int) -> int:
        """Say how much disk so many rows take."""
        num_frames, dim = self._row_shape
        return num_rows * (num_frames * (dim * STORED_AS.itemsize + 1) + _BYTES_PER_ID)

    def make_room(self, num_rows: int) -> None:
        """Make sure that so many rows can be written, and delete what killed processes have half written.

        Raises:
            OSError: If the disk is too full for them, or they must be kept and the folder cannot be written to.
        """
        place = next(one for one in (self._folder, *self._folder.absolute().parents) if one.exists())
        if not os.access(place, os.W_OK):
            if self._must_keep:
                raise PermissionError(f"{self._folder}: cannot be written to; choose another folder")
            return  # they will be returned all the same, with a warning
        needed, free = self.num_bytes(num_rows) / 1e6, shutil.disk_usage(place).free / 1e6
        if free < needed:
            raise OSError(
                f"{self._folder}: the features take {needed:,.1f} MB and {free:,.1f} MB are free; make room or choose "
                "another folder"
            )
        for path in self._folder.glob(f".{self._name}*.safetensors.*"):
            with suppress(OSError):  # gone meanwhile, or not ours to delete
                if time.time() - path.stat().st_mtime > _HALF_WRITTEN_SECONDS:
                    path.unlink()

    def files(self) -> list[Path]:
        """List the files."""
        return sorted(self._folder.glob(f"{self._name}*.safetensors"))


def rows_of(paths: Sequence[Path], extractor: Extractor, decoded: list[Any]) -> list[Row]:
    """Encode files, and take the result apart into one row per file.

    Args:
        paths: What each row is of, for messages.
        extractor: How it is done.
        decoded: What its `decode` gave, for each.

    Raises:
        ValueError: If a feature is not finite, a video has no real frame, or the encoder gives other shapes.
    """
    frames, frame_mask = extractor.encode(decoded)
    if frames.shape != (len(paths), *extractor.row_shape) or frame_mask.shape != frames.shape[:2]:
        raise ValueError(
            f"the encoder returned frames {tuple(frames.shape)} and mask {tuple(frame_mask.shape)} for {len(paths)} "
            f"videos, expected [V, F, D] and [V, F] with F and D {extractor.row_shape}"
        )
    frames, frame_mask = frames.detach().to("cpu", STORED_AS), frame_mask.detach().to("cpu", torch.bool)
    for path, frames_of_video, mask_of_video in zip(paths, frames, frame_mask, strict=True):
        if not frames_of_video.isfinite().all():
            raise ValueError(f"{path}: the encoder gave features that are not finite; check the file and the weights")
        if not mask_of_video.any():
            raise ValueError(f"{path}: no real frame was read from it; check the file or leave it out")
    return list(zip(frames, frame_mask, strict=True))


def stacked(rows: list[Row]) -> VideoFeatures:
    """Put rows together."""
    frames, frame_mask = (torch.stack(column) for column in zip(*rows, strict=True))
    return VideoFeatures(frames, frame_mask)


def _rows_in(path: Path, key: str, row_shape: tuple[int, int]) -> dict[str, Row]:
    try:
        features, digests, metadata = load_features(path, VideoFeatures)
    except FileNotFoundError:  # deleted since it was listed
        return {}
    except (ValueError, OSError) as error:
        warnings.warn(f"features are computed again, since the stored ones are no use: {error}", stacklevel=5)
        if isinstance(error, ValueError):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return {}
    if metadata.get("key") != key:
        warnings.warn(f"{path}: belongs to another model or sampling; delete it or give it its name", stacklevel=5)
        return {}
    if features.frames.shape[1:] != row_shape:
        raise ValueError(
            f"{path}: holds features of shape {tuple(features.frames.shape[1:])}, expected {row_shape}; give "
            "each encoder its own fingerprint"
        )
    return dict(zip(digests, zip(*features, strict=True), strict=True))
