"""The files that keep features of videos: added one after the other, each whole, checked when read, never changed."""

import hashlib
import os
import shutil
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from diffret_core.features import VideoFeatures, load_features, save_features

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
        for path in sorted(self._folder.glob(f"{self._name}*.safetensors")):
            rows.update(self._rows_of(path))
        return rows

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

    def _rows_of(self, path: Path) -> dict[str, Row]:
        try:
            features, digests, metadata = load_features(path, VideoFeatures)
        except FileNotFoundError:  # deleted since it was listed
            return {}
        except (ValueError, OSError) as error:
            warnings.warn(f"features are computed again, since the stored ones are no use: {error}", stacklevel=4)
            if isinstance(error, ValueError):
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            return {}
        if metadata.get("key") != self._key:
            warnings.warn(f"{path}: belongs to another model or sampling; delete it or give it its name", stacklevel=4)
            return {}
        if features.frames.shape[1:] != self._row_shape:
            raise ValueError(
                f"{path}: holds features of shape {tuple(features.frames.shape[1:])}, expected {self._row_shape}; give "
                "each encoder its own fingerprint"
            )
        return dict(zip(digests, zip(*features, strict=True), strict=True))


def stacked(rows: list[Row]) -> VideoFeatures:
    """Put rows together."""
    frames, frame_mask = (torch.stack(column) for column in zip(*rows, strict=True))
    return VideoFeatures(frames, frame_mask)
