"""MANIFEST.json: what every file of the collection in git must look like, and what to do about one that does not."""

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from diffret_core.scenes.splits import COLLECTION_SEED, SPLITS, Split
from diffret_core.tensor_files import read_json, write_json

MANIFEST_NAME = "MANIFEST.json"
_MAKERS = ("av", "numpy", "pillow")


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Read what the files of a collection must look like.

    Args:
        folder: The collection, usually data_samples.

    Returns:
        Path below the folder -> "bytes" and "sha256", for videos also "frames_sha256".

    Raises:
        FileNotFoundError: If the folder has no MANIFEST.json.
        ValueError: If the file is damaged.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: there is no such file; run in the project's root or name the collection by --folder"
        )
    document = read_json(path)
    files = document.get("files") if isinstance(document, dict) else None
    if not isinstance(files, dict) or not all(_is_entry(entry) for entry in files.values()):
        raise ValueError(f'{path}: expected "files" with "bytes" and "sha256" of each; run `git checkout -- {path}`')
    return files


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("sha256"), str) and isinstance(entry.get("bytes"), int)


def update_manifest(folder: Path, names: Mapping[str, Mapping[str, str]]) -> None:
    """Enter files as they are now; entries of other files stay if those files still exist.

    Args:
        folder: The collection.
        names: Path below the folder -> what else to note of it, such as "frames_sha256".
    """
    old = read_manifest(folder) if (folder / MANIFEST_NAME).exists() else {}
    kept = {name: entry for name, entry in old.items() if (folder / name).is_file()}
    entered = {name: {**_entry(folder / name), **notes} for name, notes in names.items()}
    document = {
        "licence": "Apache-2.0, as the project",
        "seed": COLLECTION_SEED,
        "made_with": {maker: _version(maker) for maker in _MAKERS},
        "files": dict(sorted({**kept, **entered}.items())),
    }
    write_json(folder / MANIFEST_NAME, document)


def _entry(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def is_intact(path: Path, entry: Mapping[str, Any]) -> bool:
    """Whether a file exists and has the bytes that its entry in the manifest says."""
    return path.is_file() and path.stat().st_size == entry["bytes"] and _entry(path)["sha256"] == entry["sha256"]


def find_faults(folder: Path) -> list[str]:
    """Compare a collection with its manifest.

    Args:
        folder: The collection.

    Returns:
        For every missing or altered file one line that names it and the command that mends it; empty if all is well.

    Raises:
        FileNotFoundError: If the folder has no MANIFEST.json.
        ValueError: If the manifest is damaged.
    """
    files = read_manifest(folder)
    return [_fault(folder, name) for name, entry in files.items() if not is_intact(folder / name, entry)]


def refuse_faults(folder: Path) -> None:
    """Refuse a collection whose captions or test videos are not those of the release; one without manifest passes.

    Raises:
        ValueError: If a file is missing or altered; it names the first one and the command that mends it.
    """
    if not (folder / MANIFEST_NAME).is_file():
        return
    files = read_manifest(folder)
    names = [name for name in files if not name.startswith(("model/", "features/", "studies/"))]
    faulty = [name for name in names if not is_intact(folder / name, files[name])]
    if faulty:
        more = f"; {len(faulty) - 1} more: `diffret samples check` lists them" if len(faulty) > 1 else ""
        raise ValueError(_fault(folder, faulty[0]) + more)


def _fault(folder: Path, name: str) -> str:
    path = folder / name
    what = "its bytes are not those in MANIFEST.json" if path.is_file() else "missing"
    mend = f"git checkout -- {path}"
    if (split := _split_of(name)) is not None:
        mend += f"` or `diffret samples render --split {split.name} --folder {folder}"
    return f"{path}: {what}; run `{mend}`"


def _split_of(name: str) -> Split | None:
    """Find the split that a shipped video belongs to; None for any other file."""
    for split in SPLITS.values():
        if split.is_shipped and name in {f"videos/{split.video_id(index)}.mp4" for index in range(split.num_videos)}:
            return split
    return None
