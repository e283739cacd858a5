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

        Raises:
            OSError: If the file cannot be read.
            ValueError: If it is not a complete video that can be decoded, or changed meanwhile.
        """
        path = self._root / file.path
        check_video_file(path)
        digest = file_digest(path)
        yield digest
        if self._claim(digest):
            yield from read_segments(
                path,
                max_frames=self._config.max_frames,
                frames_per_second=self._config.frames_per_second,
                image_size=self._config.image_size,
            )
        status = path.stat()
        if (status.st_size, status.st_mtime_ns) != (file.num_bytes, file.mtime_ns):
            raise ValueError(f"{path}: changed while it was read; run the command again when nothing writes to it")

    def _claim(self, digest: str) -> bool:
        with self._lock:
            is_new = digest not in self._claimed
            self._claimed.add(digest)
        return is_new
