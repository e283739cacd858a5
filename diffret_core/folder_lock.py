"""One process at a time writes into a folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HALF_WRITTEN = (".*.safetensors.*", ".*.json.*", ".*.jsonl.*", ".*.npy.*")  # see `tensor_files`


@contextmanager
def alone_in(folder: Path, doing: str) -> Iterator[None]:
    """Keep other processes from writing into a folder, and remove what a killed one has half written there.

    The folder itself is locked, and the system unlocks it however the process ends.

    Args:
        folder: Made if missing.
        doing: What is done there, for the message: "trains in this folder".

    Raises:
        PermissionError: If the folder cannot be made.
        ValueError: If another process is at work in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise PermissionError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from None
    handle = None
    if sys.platform != "win32":  # folders cannot be locked there
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise ValueError(f"{folder}: another process {doing}; wait for it or choose another") from None
    try:
        for half_written in [path for pattern in _HALF_WRITTEN for path in folder.glob(pattern)]:
            half_written.unlink()
        yield
    finally:
        if handle is not None:
            os.close(handle)
