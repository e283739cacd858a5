"""What an index is of: `index.json`, which names its folder of videos and its model."""

import json
from pathlib import Path
from typing import NamedTuple

from diffret_core.index.models import ModelName
from diffret_core.tensor_files import read_json, write_text

DESCRIPTION = "index.json"
_FORMAT = 1  # raise it whenever an index means something else, such as after another rule for segments


class Description(NamedTuple):
    """What an index is of.

    Attributes:
        root: The folder of videos.
        model: What encoded them.
        key: Names that model by its weights, and how it looks at videos; see `features.video_feature_key`.
        row_shape: F and D of its features.
    """

    root: Path
    model: ModelName
    key: str
    row_shape: tuple[int, int]


def write_description(folder: Path, description: Description) -> None:
    """Write it, whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    value = {
        "format": _FORMAT,
        "root": str(description.root),
        "model": description.model._asdict(),
        "key": description.key,
        "row_shape": description.row_shape,
    }
    write_text(folder / DESCRIPTION, json.dumps(value, indent=2) + "\n")  # in ASCII, where any folder's name survives


def read_description(folder: Path) -> Description:
    """Read what an index is of.

    Raises:
        FileNotFoundError: If there is no index in the folder.
        ValueError: If it is damaged or of another version.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder}: no index here ({DESCRIPTION} is missing); make one: diffret index VIDEOS --out {folder}"
        )
    found = read_json(path)
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise ValueError(f"{path}: not an index of this version; delete the folder and index the videos again")
    try:
        num_frames, dim = map(int, found["row_shape"])
        return Description(Path(found["root"]), ModelName(**found["model"]), str(found["key"]), (num_frames, dim))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete the folder and index the videos again") from None


def claim_index(folder: Path, description: Description) -> None:
    """Make sure that a folder is free or an index of the same videos by the same model, and describe it.

    Raises:
        OSError: If it cannot be written.
        ValueError: If it is something else.
    """
    if not (folder / DESCRIPTION).exists():
        if any(folder.iterdir()):
            raise ValueError(f"{folder}: holds other files; choose a new or empty folder for the index")
        write_description(folder, description)
        return
    found = read_description(folder)
    if found.key != description.key:
        raise ValueError(
            f"{folder}: was made with {found.model}, which is not {description.model} as it is now; name that model "
            "with --model, or choose another --out"
        )
    if found.root != description.root:
        raise ValueError(f"{folder}: is an index of {found.root}, not of {description.root}; choose another --out")
    if found != description:  # the same model at another place
        write_description(folder, description)
