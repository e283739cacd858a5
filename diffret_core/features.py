"""Features of texts and videos, and the file that keeps some of them."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from diffret_core.tensor_files import read_metadata, read_tensors, write_tensors

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


class Extractor(NamedTuple):
    """A way of turning video files into features.

    Attributes:
        decode: Reads one file; called in several threads at a time.
        encode: Gives the features of some files from what `decode` gave for them.
        key: Names the way, see `video_feature_key`.
        row_shape: F and D of the features.
    """

    decode: Callable[[Path], Any]
    encode: Callable[[list[Any]], VideoFeatures]
    key: str
    row_shape: tuple[int, int]


def normalise_entries(features: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
    """Scale every feature to size sqrt(D), so that its entries are 1 on the (quadratic) average; zeros stay zeros."""
    return functional.normalize(features, dim=-1) * features.shape[-1] ** 0.5


Features = TypeVar("Features", TextFeatures, VideoFeatures)
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


def load_ids(path: Path | str) -> tuple[list[str], dict[str, str]]:
    """Read the id of each row and the metadata of a file written by `save_features`, and nothing else.

    Raises:
        ValueError: If the file is damaged or holds something else.
    """
    stored = read_metadata(path)
    if "description" not in stored:
        raise ValueError(f"{path}: not a features file; delete it or make it again")
    description = json.loads(stored["description"])
    return description["ids"], description["metadata"]


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


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
