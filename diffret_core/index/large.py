"""Large indexes: one vector a segment in a file that is mapped into memory, so that a search reads few features."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.feature_shards import Shards
from diffret_core.features import VideoFeatures, load_ids
from diffret_core.first_cut import open_first_cut, write_first_cut
from diffret_core.index.catalogue import Entry
from diffret_core.index.models import Model
from diffret_core.tensor_files import read_rows

LARGE_FROM = 5000
"""Segments from which on an index has that file: up to there reading all features (60 MB for ViT-B/32) costs little."""
_ROWS_AT_ONCE = 1024


class RowReader:
    """Finds the features of single segments in the files that hold them."""

    def __init__(self, shards: Shards) -> None:
        """Read which rows the files hold, not the rows."""
        self._place = {row: (path, place) for path in shards.files() for place, row in enumerate(load_ids(path)[0])}

    def __contains__(self, row: object) -> bool:
        """Find out whether there is a row of that name."""
        return row in self._place

    def read(self, rows: Sequence[str]) -> VideoFeatures:
        """Read some rows, in this order, in float32.

        Raises:
            ValueError: If a file is damaged so that it cannot be read; indexing again finds a changed byte, too.
        """
        by_path: dict[Path, list[int]] = {}
        for number, row in enumerate(rows):
            by_path.setdefault(self._place[row][0], []).append(number)
        parts = [
            VideoFeatures(**read_rows(path, [self._place[rows[number]][1] for number in numbers]))
            for path, numbers in by_path.items()
        ]
        order = torch.tensor([number for numbers in by_path.values() for number in numbers]).argsort()
        frames, frame_mask = (torch.cat(part)[order] for part in zip(*parts, strict=True))
        return VideoFeatures(frames.float(), frame_mask)


def keep_vectors(folder: Path, model: Model, reader: RowReader, entries: Iterable[Entry]) -> None:
    """Write the vectors of all segments of a large index, in place of those that were there.

    Args:
        folder: The index.
        model: The model that made it.
        reader: Reads its rows.
        entries: Its videos, in order; see `whole_entries`.

    Raises:
        OSError: If they cannot be written.
    """
    rows = [row for entry in entries for row in entry.row_ids]
    path = _path_of(folder, rows)
    others = [one for one in folder.glob("first_cut_*.npy") if one != path]
    if len(rows) >= LARGE_FROM and not path.exists():
        parts = (
            VideoFeatures(*(part.to(model.device) for part in reader.read(rows[start : start + _ROWS_AT_ONCE])))
            for start in range(0, len(rows), _ROWS_AT_ONCE)
        )
        unfinished = folder / f".{path.name}.new"  # removed by the next indexing if this one is killed
        write_first_cut(unfinished, model, parts, len(rows))
        os.replace(unfinished, path)
    for other in others:
        other.unlink()


def open_vectors(folder: Path, rows: Sequence[str]) -> Float[Tensor, "S D"] | None:
    """Map the vectors of all segments into memory; None if there are none of exactly these segments."""
    path = _path_of(folder, rows)
    return open_first_cut(path) if path.exists() else None


def _path_of(folder: Path, rows: Sequence[str]) -> Path:
    return folder / f"first_cut_{hashlib.sha256(' '.join(rows).encode()).hexdigest()[:16]}.npy"
