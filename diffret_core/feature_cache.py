"""Features of video files that are kept: encoded once, in several processes if need be, and found ever after."""

import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from diffret_core.config.checks import at_least
from diffret_core.feature_shards import Shards, rows_of, stacked
from diffret_core.features import Extractor, VideoFeatures, file_digest
from diffret_core.processes import all_items, from_all, num_processes, own_items
from diffret_core.work_ahead import num_workers_here, work_ahead


class Extraction(NamedTuple):
    """How far the extraction of features is, or what it took.

    Attributes:
        num_videos: Files of different content that were asked for.
        num_to_encode: Those of them whose features were not there.
        num_encoded: Those of these that are encoded by now.
        seconds: Decoding and encoding so far; of several processes the one that took longest.
        waiting_share: Part of that time, 0 to 1, in which the encoder waited for a decoded video.
    """

    num_videos: int
    num_to_encode: int
    num_encoded: int
    seconds: float
    waiting_share: float

    @property
    def videos_per_second(self) -> float:
        """How many videos were encoded in a second, by all processes."""
        return self.num_encoded / self.seconds if self.seconds > 0 else 0.0


class How(NamedTuple):
    """Settings of an extraction that do not change the features.

    Attributes:
        batch_size: Videos that are encoded together.
        num_workers: Threads that decode, in each process; 0 decodes and encodes in turns, None means one a processor.
        all_processes: Each process that torchrun has started encodes its share, and all of them have to ask. Otherwise
            only the process that asks does.
        must_keep: Features that cannot be written are an error, not a warning.
        videos_per_shard: A file is written whenever so many videos are encoded: what an interruption costs at most.
        listen: Told how far this process is, after every batch.
        found: Told of how many files this process knows the content, which names their features, and of how many it
            will.
    """

    batch_size: int = 16
    num_workers: int | None = None
    all_processes: bool = False
    must_keep: bool = False
    videos_per_shard: int = 256
    listen: Callable[[Extraction], None] = lambda _: None
    found: Callable[[int, int], None] = lambda *_: None


def cached_video_features(
    paths: Sequence[Path], extractor: Extractor, *, folder: Path | str, how: How | None = None
) -> VideoFeatures:
    """Features of video files; only files that were not yet seen in this way are decoded and encoded.

    `folder` holds files with one row per file content, so several splits share them and a moved or renamed video is
    not encoded again. A file is added whenever `How.videos_per_shard` videos are done, and when encoding stops early
    (an unreadable video, Ctrl-C); none is ever changed. A damaged one is not used: a warning names it, it is deleted,
    and its rows are encoded anew. If files cannot be written, a warning says so and the features are returned all the
    same. Features are rounded to half precision, just encoded ones as well: what a file was encoded for cannot be told
    from the result.

    Args:
        paths: Video files; the result has a row for each, in this order.
        extractor: How they are turned into features.
        folder: Where features are kept; made if missing.
        how: Settings that do not change the result.

    Returns:
        The features on the CPU, frames in float32.

    Raises:
        FileNotFoundError: If a video file does not exist.
        OSError: If there is no room for the features, or the files of several processes are not in one folder.
        ValueError: If no paths are given, a video cannot be read, or features are of a wrong shape, not finite, or
            without a real frame.
    """
    how = _completed(how or How())
    digests = _digests_of(paths, how)
    shards = _shards(folder, extractor, how)
    rows = shards.read()
    done = _fill(dict(zip(digests, paths, strict=True)), extractor, shards, how, stored=set(rows))
    if done.num_to_encode:
        rows |= shards.read() | shards.unsaved
    if missing := set(digests) - set(rows):
        raise OSError(f"{folder}: {len(missing)} videos that another process has encoded are not there; use one folder")
    frames, frame_mask = stacked([rows[digest] for digest in digests])
    return VideoFeatures(frames.float(), frame_mask)


def fill_cache(
    paths: Sequence[Path], extractor: Extractor, *, folder: Path | str, how: How | None = None
) -> Extraction:
    """Do what `cached_video_features` does, but leave the features on disk, and say what it took.

    Args:
        paths: Video files.
        extractor: How they are turned into features.
        folder: Where features are kept; made if missing.
        how: Settings that do not change the features.

    Raises:
        FileNotFoundError: If a video file does not exist.
        OSError: If the features cannot be written, or there is no room for them.
        ValueError: As `cached_video_features`.
    """
    how = _completed(how or How())._replace(must_keep=True)
    files = dict(zip(_digests_of(paths, how), paths, strict=True))
    shards = _shards(folder, extractor, how)
    return _fill(files, extractor, shards, how, stored=set(shards.read()))


def _completed(how: How) -> How:
    """Refuse what cannot be, and fill in what depends on the machine."""
    num_workers = num_workers_here() if how.num_workers is None else how.num_workers
    for name, number, least in (
        ("batch_size", how.batch_size, 1),
        ("videos_per_shard", how.videos_per_shard, 1),
        ("num_workers", num_workers, 0),
    ):
        at_least(name, number, least)
    shared = how.all_processes and num_processes() > 1
    return how._replace(
        num_workers=num_workers,
        all_processes=shared,
        must_keep=how.must_keep or shared,  # the others read it
    )


def _shards(folder: Path | str, extractor: Extractor, how: How) -> Shards:
    return Shards(
        Path(folder),
        extractor.key,
        row_shape=extractor.row_shape,
        videos_per_shard=how.videos_per_shard,
        must_keep=how.must_keep,
    )


def _digests_of(paths: Sequence[Path], how: How) -> list[str]:
    """Read all files once, several at a time: features are kept by content."""
    if not paths:
        raise ValueError("no video files are given; name at least one")
    own, digests = own_items(paths) if how.all_processes else list(paths), list[str]()
    num_workers = how.num_workers or 0
    read = work_ahead(_digest, own, num_workers=num_workers, most_ahead=how.batch_size + num_workers)
    with closing(read):
        for one in read:
            digests.append(one.value)
            how.found(len(digests), len(own))
    return all_items(digests) if how.all_processes else digests


def _digest(path: Path) -> str:
    return file_digest(Path(path))


def _fill(
    files: Mapping[str, Path], extractor: Extractor, shards: Shards, how: How, *, stored: AbstractSet[str]
) -> Extraction:
    """Encode what is not stored and say what it took, in all processes together."""
    own = own_items(list(files)) if how.all_processes else list(files)
    missing = {digest: Path(files[digest]) for digest in own if digest not in stored}
    done = Extraction(len(files), len(missing), 0, 0.0, 0.0)
    num_to_encode = sum(from_all(len(missing))) if how.all_processes else len(missing)
    if num_to_encode:
        shards.make_room(num_to_encode)
        done = _encode(missing, extractor, shards, how, done=done)
    return _together(from_all(done)) if how.all_processes else done


def _encode(
    missing: Mapping[str, Path], extractor: Extractor, shards: Shards, how: How, *, done: Extraction
) -> Extraction:
    """Decode ahead, encode in batches, and write what is encoded, whatever ends it."""
    digests, waited, start = iter(missing), 0.0, time.perf_counter()
    num_workers = how.num_workers or 0
    decoded = work_ahead(
        extractor.decode, missing.values(), num_workers=num_workers, most_ahead=how.batch_size + num_workers
    )
    with closing(decoded):
        try:
            while batch := list(islice(decoded, how.batch_size)):
                names = list(islice(digests, len(batch)))
                rows = rows_of([missing[name] for name in names], extractor, [one.value for one in batch])
                shards.add(dict(zip(names, rows, strict=True)))
                waited += sum(one.waited_seconds for one in batch)
                seconds = time.perf_counter() - start
                done = done._replace(
                    num_encoded=done.num_encoded + len(batch), seconds=seconds, waiting_share=waited / seconds
                )
                how.listen(done)
        finally:
            shards.flush()
    return done


def _together(parts: Sequence[Extraction]) -> Extraction:
    """What several processes took: their time is that of the slowest, what they waited for that of all."""
    seconds = sum(part.seconds for part in parts)
    waited = sum(part.waiting_share * part.seconds for part in parts)
    return Extraction(
        num_videos=parts[0].num_videos,
        num_to_encode=sum(part.num_to_encode for part in parts),
        num_encoded=sum(part.num_encoded for part in parts),
        seconds=max(part.seconds for part in parts),
        waiting_share=waited / seconds if seconds else 0.0,
    )
