"""Features of texts and videos, and a file that keeps those of videos: encode once, load ever after."""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from diffret_core.tensor_files import read_tensors, write_tensors

_STORED_AS = torch.float16
_FORMAT = 2  # raise it whenever features of the same name would come to mean something else


class TextFeatures(NamedTuple):
    """What the text encoder gives for T texts.

    Attributes:
        words: Feature of every token, not normalised.
        sentence: Feature of the end token, not normalised.
        word_mask: True at real tokens, from start to end token.
    """

    words: Float[Tensor, "T W D"]
    sentence: Float[Tensor, "T D"]
    word_mask: Bool[Tensor, "T W"]


class VideoFeatures(NamedTuple):
    """What the video encoder gives for V videos.

    Attributes:
        frames: Feature of every frame slot, not normalised. Padded slots are kept as the encoder gave them: the
            reference mode needs them, the default mode never looks at them.
        frame_mask: True at real frames.
    """

    frames: Float[Tensor, "V F D"]
    frame_mask: Bool[Tensor, "V F"]


def normalise_entries(features: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
    """Scale every feature to size sqrt(D), so that its entries are 1 on the (quadratic) average; zeros stay zeros."""
    return functional.normalize(features, dim=-1) * features.shape[-1] ** 0.5


Features = TypeVar("Features", TextFeatures, VideoFeatures)
EncodeVideos = Callable[[list[Path]], VideoFeatures]
Row = tuple[Tensor, Tensor]  # frames [F, D] and frame_mask [F] of one video
Sampling = Mapping[str, str | int | float | bool | None]


def save_features(
    path: Path | str, features: TextFeatures | VideoFeatures, *, ids: Sequence[str], metadata: Mapping[str, str]
) -> None:
    """Write features to a safetensors file, whole or not at all.

    Args:
        path: The file to write; its folder is made if missing.
        features: The features, saved as they are.
        ids: Name of each row.
        metadata: Anything worth knowing about them, as text by name.

    Raises:
        ValueError: If the number of ids is not the number of rows.
        PermissionError: If the folder cannot be written to.
    """
    if len(ids) != len(features[0]):
        raise ValueError(f"{len(ids)} ids for {len(features[0])} rows of features; give one id per row")
    description = json.dumps({"kind": type(features).__name__, "ids": list(ids), "metadata": dict(metadata)})
    write_tensors(path, features._asdict(), metadata={"description": description})


def load_features(path: Path | str, kind: type[Features]) -> tuple[Features, list[str], dict[str, str]]:
    """Read a file written by `save_features`; a single changed byte is noticed.

    Args:
        path: The file.
        kind: `TextFeatures` or `VideoFeatures`.

    Returns:
        The features on the CPU, the id of each row, and the metadata.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, cut short, or holds something else.
    """
    tensors, stored = read_tensors(path)
    if "description" not in stored:
        raise ValueError(f"{path}: not a features file; delete it or make it again")
    description = json.loads(stored["description"])
    if description["kind"] != kind.__name__:
        raise ValueError(f"{path}: holds {description['kind']}, expected {kind.__name__}; choose another file")
    return kind(**tensors), description["ids"], description["metadata"]


def video_feature_key(model_fingerprint: str, sampling: Sampling) -> str:
    """Name a way of turning video files into features: equal keys give equal features for equal files.

    Args:
        model_fingerprint: Identifies the encoder's weights, for example a hash of them.
        sampling: Every setting of how frames are picked and prepared.

    Returns:
        64 hexadecimal digits.
    """
    return _sha256(json.dumps([_FORMAT, model_fingerprint, dict(sampling)], sort_keys=True))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, which identifies it whatever its name, place and date.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such video file; check the folder and the file's ending")
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def cached_video_features(
    paths: Sequence[Path],
    *,
    encode: EncodeVideos,
    folder: Path | str,
    model_fingerprint: str,
    sampling: Sampling,
    batch_size: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> VideoFeatures:
    """Features of video files; only files that this model has not yet seen with this sampling are encoded.

    `folder` holds one features file per model and sampling, with one row per file content ever asked for, so several
    splits share it and a moved or renamed video is not encoded again. It is written once, at the end; if encoding
    stops early (an unreadable video, Ctrl-C) what is finished is written before the error goes on. A damaged file is
    never used: a warning says so and its rows are encoded anew. If the file cannot be written, a warning says so and
    the features are returned all the same. Features are rounded to half precision, just encoded ones as well: what a
    file was encoded for cannot be told from the result.

    Args:
        paths: Video files; the result has a row for each, in this order.
        encode: Turns a list of files into their features, `(frames, frame_mask)`.
        folder: Where features files are kept; made if missing.
        model_fingerprint: Identifies the encoder's weights, for example a hash of them.
        sampling: Every setting of how frames are picked and prepared.
        batch_size: Number of files per call of `encode`.
        progress: Called after every batch with the number of files encoded and the number to encode.

    Returns:
        The features on the CPU, frames in float32.

    Raises:
        FileNotFoundError: If a video file does not exist.
        ValueError: If no paths are given, or `encode` returns features of a wrong shape, not finite, or without a
            real frame.
    """
    if not paths:
        raise ValueError("no video files are given; name at least one")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, expected at least 1")
    key = video_feature_key(model_fingerprint, sampling)
    stored_in = Path(folder) / f"video_features_{key[:16]}.safetensors"
    digests = [file_digest(Path(path)) for path in paths]
    rows = _stored_rows(stored_in, key)
    missing = {digest: Path(path) for digest, path in zip(digests, paths, strict=True) if digest not in rows}
    num_stored = len(rows)
    try:
        for start in range(0, len(missing), batch_size):
            batch = dict(list(missing.items())[start : start + batch_size])
            rows.update(_encoded_rows(batch, encode))
            if progress is not None:
                progress(start + len(batch), len(missing))
    finally:  # also when encoding stops early: finished rows are kept
        if len(rows) > num_stored:
            _store_rows(stored_in, rows, key)
    frames, frame_mask = _stack([rows[digest] for digest in digests], stored_in)
    return VideoFeatures(frames.float(), frame_mask)


def _encoded_rows(batch: Mapping[str, Path], encode: EncodeVideos) -> dict[str, Row]:
    """Encode files, named by digest, and take the result apart into one entry per file."""
    frames, frame_mask = encode(list(batch.values()))
    if frames.ndim != 3 or len(frames) != len(batch) or frame_mask.shape != frames.shape[:2]:
        raise ValueError(
            f"the encoder returned frames {tuple(frames.shape)} and mask {tuple(frame_mask.shape)} for {len(batch)} "
            "videos, expected [V, F, D] and [V, F]"
        )
    frames, frame_mask = frames.detach().to("cpu", _STORED_AS), frame_mask.detach().to("cpu", torch.bool)
    rows = list(zip(frames, frame_mask, strict=True))
    for path, (frames_of_video, mask_of_video) in zip(batch.values(), rows, strict=True):
        if not frames_of_video.isfinite().all():
            raise ValueError(f"{path}: the encoder gave features that are not finite; check the file and the weights")
        if not mask_of_video.any():
            raise ValueError(f"{path}: no real frame was read from it; check the file or leave it out")
    return dict(zip(batch, rows, strict=True))


def _stored_rows(path: Path, key: str) -> dict[str, Row]:
    """Rows of an earlier run by file digest; none if there is no file or it cannot be relied on."""
    try:
        features, digests, metadata = load_features(path, VideoFeatures)
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        warnings.warn(f"features are computed again, since the stored ones are no use: {error}", stacklevel=3)
        return {}
    if metadata.get("key") != key:
        warnings.warn(f"{path}: belongs to another model or sampling; features are computed again", stacklevel=3)
        return {}
    return dict(zip(digests, zip(*features, strict=True), strict=True))


def _store_rows(path: Path, rows: Mapping[str, Row], key: str) -> None:
    try:
        save_features(path, _stack(list(rows.values()), path), ids=list(rows), metadata={"key": key})
    except OSError as error:
        warnings.warn(
            f"features could not be saved in {path.parent} and will be computed again next time: {error}",
            stacklevel=3,
        )


def _stack(rows: Sequence[Row], path: Path) -> VideoFeatures:
    shapes = {tuple(frames.shape) for frames, _ in rows}
    if len(shapes) > 1:
        raise ValueError(
            f"{path}: would hold features of shapes {sorted(shapes)}; give each encoder its own fingerprint"
        )
    frames, frame_mask = (torch.stack(column) for column in zip(*rows, strict=True))
    return VideoFeatures(frames, frame_mask)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
