"""Look at a file before a decoder does: is it a video container, and is it all there?

Decoders guess. decord reads past the end of a half-downloaded file by repeating frames, draws text files as pictures
and follows play lists to other files. So the first bytes must be those of a known container, and the length that the
container states must be there.
"""

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_MP4_FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_OTHER_CONTAINERS = {b"GIF87a": "GIF", b"GIF89a": "GIF", b"\x1a\x45\xdf\xa3": "Matroska"}
_NOT_VIDEOS = {
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89PNG": "a PNG picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"ID3": "an MP3 sound file",
    b"RIFF": "a RIFF file that is not AVI (a WAV sound or a WebP picture)",
    b"version https://git-lfs": "a Git LFS pointer",
    b"FLV\x01": "a Flash video, which states no length",
    b"\x30\x26\xb2\x75": "a Windows Media file, which decord may not read to its end",
    b"\x00\x00\x01\xba": "an MPEG program stream, which states no length",
    b"\x47\x40": "an MPEG transport stream, which states no length",
}


def check_video_file(path: Path) -> str:
    """Make sure that a path is a complete video file of a known container, without decoding it.

    A file that ends before the length stated in its own header is refused: what could be decoded of it would be
    passed off as the whole video. Only containers that state a length (or, like GIF, have an end mark) are accepted.
    A live recording in Matroska or fragmented MP4 may leave the length open: of such a file, what is there is used.

    Args:
        path: The file.

    Returns:
        "MP4" (also MOV and 3GP), "AVI", "Matroska" (also WebM) or "GIF".

    Raises:
        FileNotFoundError: If there is nothing at the path.
        PermissionError: If it may not be read.
        ValueError: If it is a folder, empty, not a video, or cut off.
    """
    try:
        mode = path.stat().st_mode  # asked before opening: opening a named pipe would wait for ever
        if stat.S_ISDIR(mode):
            raise ValueError(f"{path}: is a folder, expected a video file")
        if not stat.S_ISREG(mode):
            raise ValueError(f"{path}: is not a regular file, expected a video file")
        with path.open("rb") as file:
            return _check_content(path, file)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such video file; check the path, or fetch the video first") from None
    except PermissionError:
        raise PermissionError(f"{path}: no permission to read this video; change its access rights") from None


def _check_content(path: Path, file: BinaryIO) -> str:
    num_bytes = os.fstat(file.fileno()).st_size
    container = _container(path, file.read(512))
    if fault := _FAULT_FINDERS[container](file, num_bytes):
        raise ValueError(f"{path}: is cut off or damaged, {fault} (file of {num_bytes} bytes); fetch it again")
    return container


def _container(path: Path, start: bytes) -> str:
    if not start:
        raise ValueError(f"{path}: is empty (0 bytes), expected a video file; fetch it again")
    if start[4:8] in _MP4_FIRST_BOXES:
        return "MP4"
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return "AVI"
    for signature, container in _OTHER_CONTAINERS.items():
        if start.startswith(signature):
            return container
    raise ValueError(
        f"{path}: is no video that can be read but {_describe(start)}; give an MP4, MOV, AVI, MKV, WebM or GIF"
    )


def _describe(start: bytes) -> str:
    for signature, description in _NOT_VIDEOS.items():
        if start.startswith(signature):
            return description
    if not any(start):
        return "filled with zero bytes"
    text = start[:24].decode("ascii", errors="replace")
    if text.isascii() and all(character.isprintable() or character.isspace() for character in text):
        return f"text that begins {' '.join(text.split())!r}"
    return f"of unknown kind, beginning {start[:8].hex(' ')}"


def _fault_in_mp4(file: BinaryIO, num_bytes: int) -> str | None:
    found_index = False
    for kind, start, end in _mp4_boxes(file, num_bytes):
        if kind in (b"moov", b"mdat", b"moof") and end > num_bytes:
            return f"its '{kind.decode()}' box should end at byte {end}"
        if kind == b"moov":
            found_index = True
            file.seek(start)
            if (num_samples := _num_samples_in_mp4(file.read(end - start))) > num_bytes:
                return f"it claims to hold {num_samples} pictures"  # decord asks for memory for each, and aborts
    return None if found_index else "it has no index ('moov' box)"


def _num_samples_in_mp4(index: bytes) -> int:
    """Largest number of samples that a track of an MP4 index states, from its time tables ('stts')."""
    largest = 0
    at = index.find(b"stts")
    while at >= 0:
        num_entries = int.from_bytes(index[at + 8 : at + 12], "big")
        table = index[at + 12 : at + 12 + 8 * num_entries]
        entries = struct.iter_unpack(">II", table[: len(table) // 8 * 8])
        largest = max(largest, sum(count for count, _ in entries))
        at = index.find(b"stts", at + 4)
    return largest


def _mp4_boxes(file: BinaryIO, num_bytes: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end (in bytes) of each outermost box."""
    start = 0
    while start + 8 <= num_bytes:
        file.seek(start)
        header = file.read(16)
        size = int.from_bytes(header[:4], "big")
        if size == 1:  # the real size follows in 64 bits
            size = int.from_bytes(header[8:16], "big")
        elif size == 0:  # "up to the end of the file"
            size = num_bytes - start
        if size < 8:  # not a box: padding behind the last one
            return
        yield header[4:8], start, start + size
        start += size


def _fault_in_avi(file: BinaryIO, num_bytes: int) -> str | None:
    start = 0
    while start + 8 <= num_bytes:  # large AVI files consist of several RIFF parts
        file.seek(start)
        header = file.read(8)
        if header[:4] != b"RIFF":
            break
        end = start + 8 + int.from_bytes(header[4:8], "little")
        if end > num_bytes + 1:  # one byte of padding is often left out at the end
            return f"its RIFF part should end at byte {end}"
        start = end + end % 2
    file.seek(0)
    header = file.read(65_536)
    at = header.find(b"strh")
    while at >= 0:
        num_pictures = int.from_bytes(header[at + 40 : at + 44], "little")
        if num_pictures > num_bytes:
            return f"it claims to hold {num_pictures} pictures"  # as for MP4
        at = header.find(b"strh", at + 4)
    return None


def _fault_in_matroska(file: BinaryIO, num_bytes: int) -> str | None:
    file.seek(4)
    header_size, header_bytes = _matroska_size(file.read(8))
    start = 4 + header_bytes + (header_size or 0)
    file.seek(start)
    segment = file.read(12)
    if segment[:4] != b"\x18\x53\x80\x67":
        return "its Segment element is missing"
    size, size_bytes = _matroska_size(segment[4:])
    end = start + 4 + size_bytes + (size or 0)
    return f"its Segment should end at byte {end}" if end > num_bytes else None


def _matroska_size(encoded: bytes) -> tuple[int | None, int]:
    """Value (None: unknown, as live recordings write it) and length in bytes of a Matroska size number."""
    num_bytes = 9 - encoded[0].bit_length() if encoded else 9
    value = int.from_bytes(encoded[:num_bytes], "big")
    unknown = (1 << 7 * num_bytes) - 1
    value &= unknown
    return (None if value == unknown else value), num_bytes


def _fault_in_gif(file: BinaryIO, num_bytes: int) -> str | None:
    file.seek(max(0, num_bytes - 64))
    return None if file.read().rstrip(b"\x00").endswith(b";") else "its end mark is missing"


_FAULT_FINDERS = {
    "MP4": _fault_in_mp4,
    "AVI": _fault_in_avi,
    "Matroska": _fault_in_matroska,
    "GIF": _fault_in_gif,
}
