"""One indexing under way: what has been read, what waits to be encoded, and what is known of each file."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

from jaxtyping import UInt8
from torch import Tensor

from diffret_core.feature_shards import rows_of
from diffret_core.features import Extractor
from diffret_core.frames import Segment
from diffret_core.index.catalogue import Entry, row_id
from diffret_core.index.walk import FoundFile
from diffret_core.index.writing import IndexWriter
from diffret_core.work_ahead import Piece


class Content(NamedTuple):
    """What is known of a video by its content.

    Attributes:
        duration_seconds: Its length.
        starts: Where its segments begin, in seconds.
    """

    duration_seconds: float
    starts: tuple[float, ...]


class Tally:
    """Counts what has been read, of files that are read part by part.

    Attributes:
        num_bytes: Size of it.
        num_files: Files that have been read.
    """

    def __init__(self) -> None:
        """Nothing has been read."""
        self.num_bytes = self.num_files = 0
        self._parts: dict[str, int] = {}

    def part(self, file: FoundFile, num_bytes: int) -> None:
        """Count a file as read so far."""
        self.num_bytes += num_bytes - self._parts.get(file.path, 0)
        self._parts[file.path] = num_bytes

    def whole(self, file: FoundFile) -> None:
        """Count a file as read."""
        self.part(file, file.num_bytes)
        del self._parts[file.path]
        self.num_files += 1


class Batch:
    """Segments that wait to be encoded together.

    Attributes:
        num_encoded: Segments encoded so far.
    """

    def __init__(self, extractor: Extractor, writer: IndexWriter, stored: AbstractSet[str]) -> None:
        """Take how they are encoded, who gets their features, and which rows there are already."""
        self.num_encoded = 0
        self._extractor, self._writer, self._stored = extractor, writer, set(stored)
        self._waiting: dict[str, tuple[Path, UInt8[Tensor, "_ 3 H H"]]] = {}

    def __len__(self) -> int:
        """Say how many wait."""
        return len(self._waiting)

    def add(self, row: str, path: Path, segment: Segment) -> None:
        """Take a segment, unless an indexing that was killed, or a copy whose reading failed, has left its row."""
        if row not in self._stored:
            self._waiting[row] = (path, segment.frames)

    def encode(self) -> None:
        """Encode all that wait.

        Raises:
            ValueError: If the encoder gives what cannot be right.
        """
        if self._waiting:
            decoded = list(self._waiting.values())
            rows = rows_of([path for path, _ in decoded], self._extractor, decoded)
            self._writer.add_rows(dict(zip(self._waiting, rows, strict=True)))
            self.num_encoded += len(rows)
            self._stored |= self._waiting.keys()
            self._waiting = {}


class Indexing:
    """Takes what the threads read, piece by piece, and hands features and entries to the writer.

    Attributes:
        entries: What is known of each file, by path.
        refused: Why files cannot be searched, by path.
        tally: How much has been read.
        num_recognised: Those of them whose content was known.
        num_encoded: Those of them that were decoded and encoded.
        batch: Segments that wait to be encoded.
        writer: Takes what is done.
    """

    def __init__(
        self,
        root: Path,
        extractor: Extractor,
        writer: IndexWriter,
        *,
        entries: Mapping[str, Entry],
        stored: AbstractSet[str],
    ) -> None:
        """Begin with what is known.

        Args:
            root: The folder of videos.
            extractor: How segments are encoded.
            writer: Takes what is done.
            entries: What the index knows of its files.
            stored: The rows it has.
        """
        self.entries = dict(entries)
        self.refused: dict[str, str] = {}
        self.tally = Tally()
        self.num_recognised = self.num_encoded = 0
        self.batch, self.writer, self._root = Batch(extractor, writer, stored), writer, root
        whole = [entry for entry in entries.values() if entry.starts and set(entry.row_ids) <= stored]
        self._known = {str(entry.digest): Content(entry.duration_seconds, entry.starts) for entry in whole}
        self._digest: dict[str, str] = {}
        self._reading: dict[str, Content] = {}  # as far as it has been read
        self._ended: list[FoundFile] = []

    @property
    def known(self) -> AbstractSet[str]:
        """Digests of contents whose features the index has."""
        return self._known.keys()

    def is_done(self, file: FoundFile) -> bool:
        """Find out whether a file need not be read: it looks as it did, and all is known of it."""
        entry = self.entries.get(file.path)
        if entry is None or not entry.is_of(file):
            return False
        return entry.refused is not None or entry.digest in self._known

    def take(self, piece: Piece, batch_size: int) -> None:
        """Take a piece: the digest of a file, a segment, or its end; what can go wrong is that of `encode`."""
        file, value = piece.item, piece.value
        if isinstance(value, Segment):
            self._take_segment(file, value)
        elif not piece.ended:
            self._digest[file.path] = value
        elif piece.error is not None:
            self._refuse(file, piece.error)
        else:
            self._ended.append(file)
        if len(self.batch) >= batch_size or (piece.ended and not self.batch):
            self.encode()

    def encode(self) -> None:
        """Encode the segments that wait, and settle the files that are done with them.

        Raises:
            OSError: If what is done cannot be written.
            ValueError: If the encoder gives what cannot be right.
        """
        self.batch.encode()
        decoded_first = sorted(self._ended, key=lambda file: file.path not in self._reading)  # copies wait for those
        self._ended = [file for file in decoded_first if not self._settle(file)]
        self.writer.save_if_due()

    def finish(self) -> list[FoundFile]:
        """Encode the rest; gives files that waited for the reading of a copy, which failed: read them themselves."""
        self.encode()
        left, self._ended = self._ended, []
        return left

    def _take_segment(self, file: FoundFile, segment: Segment) -> None:
        before = self._reading.get(file.path, Content(0.0, ()))
        self._reading[file.path] = Content(segment.duration_seconds, (*before.starts, segment.start_seconds))
        self.tally.part(file, file.num_bytes * (segment.number + 1) // segment.num_segments)
        self.batch.add(row_id(self._digest[file.path], segment.number), self._root / file.path, segment)

    def _settle(self, file: FoundFile) -> bool:
        """Note a file whose content is known; False if that is still being read under another name."""
        digest, read = self._digest[file.path], self._reading.pop(file.path, None)
        if read is not None:
            self._known[digest] = read
            self.num_encoded += 1
        elif digest in self._known:
            self.num_recognised += 1
        else:
            return False
        self._note(file, Entry(*file, digest, *self._known[digest]))
        return True

    def _refuse(self, file: FoundFile, error: Exception) -> None:
        """Note why a file cannot be searched; what another day may mend (access, a disk) is not kept."""
        reason = self.refused[file.path] = _reason(error, self._root / file.path)
        self._reading.pop(file.path, None)
        kept = isinstance(error, ValueError)
        self._note(file, Entry(*file, self._digest.get(file.path), refused=reason) if kept else None)

    def _note(self, file: FoundFile, entry: Entry | None) -> None:
        """Count a file as read, and keep what is known of it."""
        self.tally.whole(file)
        if entry is not None:
            self.entries[file.path] = entry
            self.writer.add_entry(entry)


def _reason(error: Exception, path: Path) -> str:
    """Say what is wrong in one line, without the path, which stands beside it."""
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror})"
    return " ".join((str(error) or type(error).__name__).removeprefix(f"{path}: ").split())
