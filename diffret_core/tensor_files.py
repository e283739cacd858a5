"""Tensors and JSON on disk: written whole or not at all, read back only if undamaged, never unpickled."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

_HEADER = "diffret"  # one metadata key, so that equal contents give equal bytes; safetensors shuffles several


def write_tensors(path: Path | str, tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str]) -> None:
    """Write tensors and text metadata to a safetensors file, in one step that an interruption cannot split.

    Args:
        path: The file to write; its folder is made if missing.
        tensors: Tensors by name, any device; saved contiguous, as they are.
        metadata: Text by name.

    Raises:
        PermissionError: If the folder cannot be written to.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"metadata": dict(sorted(metadata.items())), "sha256": _digest(whole, metadata)}
    _replace(Path(path), lambda temporary: save_file(whole, temporary, metadata={_HEADER: json.dumps(header)}))


def read_tensors(path: Path | str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file written by `write_tensors`.

    Returns:
        The tensors by name, on the CPU, and the metadata by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, cut short, or not one of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        with safe_open(path, framework="pt") as opened:
            header = json.loads((opened.metadata() or {}).get(_HEADER, "{}"))
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: damaged or not a safetensors file ({error}); delete it or make it again") from None
    if not isinstance(header, dict) or "sha256" not in header:
        raise ValueError(f"{path}: not a file of this project; give one that it wrote")
    metadata = header.get("metadata", {})
    if header.get("sha256") != _digest(tensors, metadata):
        raise ValueError(f"{path}: the contents do not match their checksum; delete the file or make it again")
    return tensors, metadata


def read_metadata(path: Path | str) -> dict[str, str]:
    """Read what a file written by `write_tensors` says of its tensors; these are not looked at.

    Raises:
        ValueError: If it is not one of ours.
        OSError: If it cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as opened:
            header = json.loads((opened.metadata() or {}).get(_HEADER, "{}"))
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: damaged or not a safetensors file ({error}); delete it or make it again") from None
    return dict(header.get("metadata", {}))


def read_rows(path: Path | str, rows: Sequence[int]) -> dict[str, Tensor]:
    """Read some rows of every tensor of a file written by `write_tensors`, without comparing its checksum.

    Raises:
        ValueError: If it is damaged.
        OSError: If it cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 (not a mapping)
            return {name: torch.cat([one[row : row + 1] for row in rows]) for name, one in slices.items()}
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged ({error}); delete it or make it again") from None


def write_json(path: Path | str, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all.

    Raises:
        PermissionError: If the folder cannot be written to.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path | str, text: str) -> None:
    """Write a text, whole or not at all.

    Raises:
        PermissionError: If the folder cannot be written to.
    """
    _replace(Path(path), lambda temporary: Path(temporary).write_text(text, encoding="utf-8"))


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write bytes, whole or not at all.

    Raises:
        PermissionError: If the folder cannot be written to.
    """
    _replace(Path(path), lambda temporary: Path(temporary).write_bytes(data))


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not JSON, with the place of the first fault.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not valid JSON ({error}); mend it or make it again") from None


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Identify the contents: safetensors itself cannot tell a flipped bit."""
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _replace(path: Path, write: Callable[[str], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, force it to disk, then put it in place of `path`."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        write(temporary)
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise PermissionError(f"{path}: cannot be written ({error.strerror}); choose another folder") from None
    except (OSError, SafetensorError) as error:  # such as no room left
        raise OSError(f"{path}: cannot be written ({error}); make room or choose another folder") from None
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
