"""Index a folder of videos: read what is new, encode it, and note what is gone; killed at any moment, it goes on."""

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from diffret_core.config.checks import at_least
from diffret_core.extraction import extractor_of
from diffret_core.folder_lock import alone_in
from diffret_core.index.catalogue import Entry, read_catalogue, whole_entries, write_catalogue
from diffret_core.index.description import Description, claim_index
from diffret_core.index.indexing import Indexing
from diffret_core.index.large import RowReader, keep_vectors
from diffret_core.index.models import Model, ModelName
from diffret_core.index.reading import FileReader
from diffret_core.index.walk import FoundFile, Walk, find_videos, is_below
from diffret_core.index.writing import IndexWriter, shards_of
from diffret_core.work_ahead import num_workers_here, pieces_ahead

_LOST = "its features were damaged, and its file is not there to be read again; they come back with it"
BATCH_SIZE = 16
"""Segments that are encoded together; as many, and one a thread, may wait decoded: 2 MB each at 12 frames of 224."""


class Refusal(NamedTuple):
    """A file or folder that cannot be searched, and why."""

    path: str
    reason: str


class Progress(NamedTuple):
    """How far the indexing is.

    Attributes:
        num_bytes: Size of the files read so far; of one that is being read, as much of it as has been encoded.
        total_bytes: Size of all files that are to be read.
        num_files: Files read so far.
        total_files: Files that are to be read.
    """

    num_bytes: int
    total_bytes: int
    num_files: int
    total_files: int


class IndexReport(NamedTuple):
    """What an indexing did, and what the index holds now.

    Attributes:
        num_videos: Videos that can be searched, missing ones included.
        num_segments: Segments of all these.
        num_unchanged: Files that were not read, since size and date are those of the last time.
        num_recognised: Files that were read, but whose content was known: renamed, copied or touched.
        num_encoded: Files that were decoded and encoded.
        num_segments_encoded: Their segments, without those that an interrupted indexing had left.
        num_missing: Videos of the index whose files are gone.
        num_dropped: Videos that were taken out of the index, because their files are gone.
        refused: What cannot be searched, sorted.
        seconds: How long it took.
        waiting_share: Part of that time, 0 to 1, in which the encoder waited for something decoded.
    """

    num_videos: int
    num_segments: int
    num_unchanged: int
    num_recognised: int
    num_encoded: int
    num_segments_encoded: int
    num_missing: int
    num_dropped: int
    refused: list[Refusal]
    seconds: float
    waiting_share: float


Listen = Callable[[Progress], None]


def build_index(
    folder: Path | str,
    out: Path | str,
    model: Model,
    name: ModelName,
    *,
    num_workers: int | None = None,
    prune: bool = False,
    listen: Listen = lambda _: None,
) -> IndexReport:
    """Index the videos below a folder, or bring their index up to date.

    Files whose size and date are those of the last time are not read. Of the others the content is compared first, so
    that a file that was renamed, copied or touched is not encoded again. A kill at any moment costs what is not yet on
    disk, at most half a minute's work; the same call goes on from there. Files that are gone are marked as missing, and
    their features stay until they are pruned; one that is there under another name has moved.

    Args:
        folder: The videos: MP4, MOV, MKV, AVI, WebM and GIF, also in folders below it.
        out: The index; made if missing.
        model: What encodes them.
        name: How the model is found again; see `models.model_name`.
        num_workers: Threads that decode; 0 decodes and encodes in turns, None means one a processor.
        prune: Files that are gone are taken out of the index.
        listen: Told how far it is.

    Returns:
        What was done, and every file that cannot be searched, with the reason.

    Raises:
        OSError: If the folder is not there, or the index cannot be written; the index stays as it is.
        ValueError: If `out` is another index or is being written to, or all videos of an index are gone and should be
            pruned: then rather a disk is missing.
    """
    start = time.perf_counter()
    root, out = Path(folder).resolve(), Path(out)
    num_workers = num_workers_here() if num_workers is None else num_workers
    at_least("num_workers", num_workers, 0)
    walk = find_videos(root, skip=out)
    extractor = extractor_of(model)
    with alone_in(out, "writes to this index"):
        description = Description(root, name, extractor.key, extractor.row_shape)
        claim_index(out, description)
        entries = read_catalogue(out)
        if prune and entries and not walk.files:
            raise ValueError(f"{root}: there is no video at all, so nothing is pruned; is its disk there?")
        write_catalogue(out, entries)  # mends a line that a kill has left half written
        shards = shards_of(out, description)
        work = Indexing(root, extractor, IndexWriter(out, shards), entries=entries, stored=shards.ids())
        todo = [file for file in walk.files if not work.is_done(file)]
        shards.make_room(len(todo))
        waited = _take_all(
            work, FileReader(root, model.config, work.known), todo, num_workers=num_workers, listen=listen
        )
        current, num_dropped = _as_it_is_now(work.entries, walk, prune=prune)
        write_catalogue(out, current)
        if prune:
            shards.drop({row for entry in current.values() for row in entry.row_ids})
        videos = whole_entries(current, reader := RowReader(shards))
        keep_vectors(out, model, reader, videos)
    seconds = time.perf_counter() - start
    return IndexReport(
        num_videos=len(videos),
        num_segments=sum(len(entry.starts) for entry in videos),
        num_unchanged=len(walk.files) - len(todo),
        num_recognised=work.num_recognised,
        num_encoded=work.num_encoded,
        num_segments_encoded=work.batch.num_encoded,
        num_missing=sum(entry.missing for entry in videos),
        num_dropped=num_dropped,
        refused=_refusals(current, work.refused, walk, videos),
        seconds=seconds,
        waiting_share=waited / seconds,
    )


def _take_all(work: Indexing, reader: FileReader, todo: list[FoundFile], *, num_workers: int, listen: Listen) -> float:
    """Read and encode all that is to do, and say how many seconds were spent waiting for something decoded."""
    waited, total_bytes = 0.0, sum(file.num_bytes for file in todo)

    def take(files: list[FoundFile], num_workers: int) -> list[FoundFile]:
        nonlocal waited
        with closing(pieces_ahead(reader.read, files, num_workers=num_workers, most_ahead=BATCH_SIZE)) as pieces:
            for piece in pieces:
                waited += piece.waited_seconds
                work.take(piece, BATCH_SIZE)
                listen(Progress(work.tally.num_bytes, total_bytes, work.tally.num_files, len(todo)))
        return work.finish()

    try:
        left = take(todo, num_workers)
        take(left, 0)  # in turns: here no file ends before its copy, so that none is left
    finally:
        work.writer.save()
    return waited


def _as_it_is_now(entries: Mapping[str, Entry], walk: Walk, *, prune: bool) -> tuple[dict[str, Entry], int]:
    """Mark what is gone, or drop it; what has moved is at its new place only. Gives the entries, and how many fell."""
    there = {file.path for file in walk.files}
    contents = {entry.digest for path, entry in entries.items() if path in there and entry.refused is None}
    current: dict[str, Entry] = {}
    num_dropped = 0
    for path, entry in entries.items():
        if path in there:
            current[path] = entry._replace(missing=False)
        elif is_below(path, walk.unlisted):  # nobody knows
            current[path] = entry
        elif entry.refused is not None or entry.digest in contents:
            continue
        elif prune:
            num_dropped += 1
        else:
            current[path] = entry._replace(missing=True)
    return current, num_dropped


def _refusals(
    entries: Mapping[str, Entry], refused_now: Mapping[str, str], walk: Walk, videos: list[Entry]
) -> list[Refusal]:
    """Collect what cannot be searched: files that were refused, now or before, and folders that cannot be listed."""
    whole = {entry.path for entry in videos}
    before = {path: entry.refused or _LOST for path, entry in entries.items() if path not in whole}
    folders = {f"{folder}/": f"cannot be looked into ({reason})" for folder, reason in walk.unlisted.items()}
    return [Refusal(*one) for one in sorted({**before, **refused_now, **folders}.items())]
