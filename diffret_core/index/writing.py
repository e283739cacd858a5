"""Rows and entries on their way to disk: always the features first, then the word that a file is done."""

import time
from collections.abc import Mapping
from pathlib import Path

from diffret_core.feature_shards import Row, Shards
from diffret_core.index.catalogue import Entry, add_entries
from diffret_core.index.description import Description

ROWS_PER_FILE = 256
SAVE_EVERY_SECONDS = 30.0  # what a kill costs at most


def shards_of(folder: Path, description: Description) -> Shards:
    """Give the files that hold the features of an index."""
    return Shards(
        folder,
        description.key,
        row_shape=description.row_shape,
        videos_per_shard=2 * ROWS_PER_FILE,  # never reached: the writer below says when
        must_keep=True,
    )


class IndexWriter:
    """Keeps what is new until there is enough of it, or it has been kept for long enough."""

    def __init__(self, folder: Path, shards: Shards) -> None:
        """Write nothing yet.

        Args:
            folder: The index.
            shards: Its rows.
        """
        self._folder, self._shards = folder, shards
        self._entries: list[Entry] = []
        self._num_rows = 0
        self._saved = time.monotonic()

    def add_rows(self, rows: Mapping[str, Row]) -> None:
        """Take the features of some segments."""
        self._shards.add(rows)
        self._num_rows += len(rows)

    def add_entry(self, entry: Entry) -> None:
        """Take what is known of a file; the rows of all its segments have been added."""
        self._entries.append(entry)

    def save_if_due(self) -> None:
        """Save if there is enough.

        Raises:
            OSError: If it cannot be written.
        """
        if self._num_rows >= ROWS_PER_FILE or time.monotonic() - self._saved >= SAVE_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the rows, then the entries.

        Raises:
            OSError: If they cannot be written.
        """
        self._shards.flush()
        if self._entries:
            add_entries(self._folder, self._entries)
        self._entries, self._num_rows, self._saved = [], 0, time.monotonic()
