"""What the threads of an indexing do: know a file by its content, and give the segments of one that is new."""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from diffret_core.config import ModelConfig
from diffret_core.features import file_digest
from diffret_core.frames import Segment, check_video_file, read_segments
from diffret_core.index.walk import FoundFile


class FileReader:
    """Reads files, several at a time, and decodes each content once."""

    def __init__(self, root: Path, config: ModelConfig, known: Iterable[str]) -> None:
        """Read nothing yet.

        Args:
            root: The folder that the files are in.
            config: Says how a model looks at videos.
            known: Digests of contents that need not be decoded.
        """
        self._root, self._config = root, config
        self._claimed, self._lock = set(known), threading.Lock()

    def read(self, file: FoundFile) -> Iterator[str | Segment]:
        """Give the digest of a file's content and then, if nobody else has or had that content, its segments.

        Whatever is given was read while the file looked as it did when it was found, so that every segment is of the
        content that the digest names. A content whose reading fails may be read again, from a copy.

        Raises:
            OSError: If the file cannot be read, or changed meanwhile: another time it may go well.
            ValueError: If it is not a complete video that can be decoded: its content will always be refused.
        """
        path = self._root / file.path
        check_video_file(path)
        digest = file_digest(path)
        _refuse_changed(path, file)
        yield digest
        if not self._claim(digest):
            return
        try:
            yield from self._segments(path, file, digest)
        except Exception:
            with self._lock:
                self._claimed.discard(digest)
            raise

    def _segments(self, path: Path, file: FoundFile, digest: str) -> Iterator[Segment]:
        try:
            for segment in read_segments(
                path,
                max_frames=self._config.max_frames,
                frames_per_second=self._config.frames_per_second,
                image_size=self._config.image_size,
            ):
                _refuse_changed(path, file)
                yield segment
        except ValueError:  # decoders call everything a damaged file, also a disk that is unplugged meanwhile
            if file_digest(path) != digest:
                raise _changed(path) from None
            raise

    def _claim(self, digest: str) -> bool:
        with self._lock:
            is_new = digest not in self._claimed
            self._claimed.add(digest)
        return is_new


def _refuse_changed(path: Path, file: FoundFile) -> None:
    status = path.stat()
    if (status.st_size, status.st_mtime_ns) != (file.num_bytes, file.mtime_ns):
        raise _changed(path)


def _changed(path: Path) -> OSError:
    return OSError(f"{path}: changed while it was read; run the command again when nothing writes to it")
