"""Open a video file and decode chosen frames of it. The only place that imports decord.

Frames are read one after the other from the first, without seeking. decord's own seeking returns wrong frames for files
without time stamps (all five MSVD samples) and can wait for ever near the end of a file (decord issues 373 and 375).
"""

import io
import os
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import decord
import numpy as np
from decord import DECORDError, DECORDLimitReachedError
from PIL import Image

# decord counts a frame that it could not decode as "recovered" and repeats an earlier one: none are accepted.
_ACCEPTED_FRACTION_OF_REPEATED_FRAMES = "0.000000001"
_GIF_DEFAULT_MILLISECONDS = 100  # browsers show a frame without a duration this long
_STDERR = 2
_hiding_lock = threading.Lock()
_hidden_by: list[None] = []  # one entry for each thread that is reading
_kept_stderr: list[int] = []
_DECORD_FAILURES = (DECORDError, DECORDLimitReachedError, RuntimeError, AssertionError, StopIteration)
_PILLOW_FAILURES = (OSError, EOFError, SyntaxError, IndexError, struct.error, Image.DecompressionBombError)


class OpenVideo(NamedTuple):
    """A video file in a decoder's hands.

    Attributes:
        num_frames: Frames it states to have.
        rate: Frames per second, average.
        take: Gives the pictures at increasing frame numbers, each to be used before the next is asked for.
    """

    num_frames: int
    rate: float
    take: Callable[[Sequence[int]], Iterator[Image.Image]]


def open_video(path: Path, container: str) -> OpenVideo:
    """Open a file that `check_video_file` has let through; only inside `decoding`."""
    return _open_gif(path) if container == "GIF" else _open_with_decord(path)


@contextmanager
def decoding(path: Path, container: str) -> Iterator[None]:
    """Hide what C libraries print, and let every failure of a decoder name the file; wrap each call of one.

    Raises:
        ValueError: If a decoder fails.
    """
    with _native_messages_hidden(), _failures_named(path, container):
        yield


@contextmanager
def _failures_named(path: Path, container: str) -> Iterator[None]:
    """Turn whatever a decoder raises into a ValueError that names the file, the reason and what to do."""
    try:
        yield
    except (*_DECORD_FAILURES, *_PILLOW_FAILURES) as error:
        raise ValueError(
            f"{path}: this {container} file cannot be decoded, {_reason(error)}; "
            f"fetch it again, or convert it: ffmpeg -i {path.name} -c:v libx264 -pix_fmt yuv420p new.mp4"
        ) from error
    except UnicodeEncodeError as error:
        raise ValueError(f"{path}: its name or folder is no UTF-8, and decord cannot open it; rename it") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _open_with_decord(path: Path) -> OpenVideo:
    decord.logging.set_level(decord.logging.QUIET)
    # An absolute path: FFmpeg would take "a:b.mp4" for an address. One thread: faster for small files.
    reader = decord.VideoReader(
        str(path.absolute()), ctx=decord.cpu(0), num_threads=1, fault_tol=_ACCEPTED_FRACTION_OF_REPEATED_FRAMES
    )

    def take(indices: Sequence[int]) -> Iterator[Image.Image]:
        wanted = set(indices)
        for index in range(indices[-1] + 1):
            frame = reader.next()
            if index in wanted:
                yield _picture(frame.asnumpy())

    return OpenVideo(len(reader), reader.get_avg_fps(), take)


def _picture(frame: np.ndarray) -> Image.Image:
    height, width, num_channels = frame.shape
    if num_channels != 3:  # decord misreads the rows of some narrow videos
        raise ValueError(
            f"decord reads its {width} x {height} frames with {num_channels} colour channels instead of 3; "
            "convert it to a width that is a multiple of 64 pixels"
        )
    return Image.fromarray(frame)


def _open_gif(path: Path) -> OpenVideo:
    picture = Image.open(io.BytesIO(path.read_bytes()), formats=["GIF"])  # no file is left open
    milliseconds = []
    for index in range(picture.n_frames):  # type: ignore[attr-defined]  # GIF pictures have it
        picture.seek(index)
        milliseconds.append(picture.info.get("duration") or _GIF_DEFAULT_MILLISECONDS)

    def take(indices: Sequence[int]) -> Iterator[Image.Image]:
        for index in indices:
            picture.seek(index)
            yield picture

    return OpenVideo(len(milliseconds), 1000 * len(milliseconds) / sum(milliseconds), take)


def _reason(error: Exception) -> str:
    message = str(error)
    if "-1128613112" in message:  # AVERROR_DECODER_NOT_FOUND
        return "no decoder for its video codec is at hand (AV1 is the usual case)"
    if "-1381258232" in message:  # AVERROR_STREAM_NOT_FOUND
        return "there is no video stream in it"
    if "duplicate frames" in message or "Unable to handle EOF" in message:
        return "it holds fewer pictures than it states"
    if "avcodec_send_packet" in message or "av_read_frame" in message:
        return "its data are damaged"
    return "its header or data are damaged"


@contextmanager
def _native_messages_hidden() -> Iterator[None]:
    """Send what C libraries print on stderr to nowhere: decord's own warnings obey no logging level.

    stderr belongs to the whole process, so the first reading thread hides it and the last one brings it back.
    """
    with _hiding_lock:
        if not _hidden_by:
            sys.stderr.flush()
            _kept_stderr.append(os.dup(_STDERR))
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, _STDERR)
            os.close(nowhere)
        _hidden_by.append(None)
    try:
        yield
    finally:
        with _hiding_lock:
            _hidden_by.pop()
            if not _hidden_by:
                kept = _kept_stderr.pop()
                os.dup2(kept, _STDERR)
                os.close(kept)
