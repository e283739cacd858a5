"""Models on disk: ours as safetensors with a JSON configuration, and the released model's state dict."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffret_core.config import Mode, ModelConfig, ScheduleKind, model_config_from_json, to_json
from diffret_core.released import infer_architecture, read_released, refuse_other_architecture, translate_names
from diffret_core.retriever import Retriever
from diffret_core.tensor_files import read_json, read_tensors, write_json, write_tensors
from diffret_core.zero_shot import ZeroShot

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.safetensors"
_TOKEN_TABLE = "clip.token_embedding.weight"
_TABLE_SIZE = "token_table_rows"
_ROWS, _ROW_INDEX = f"{_TOKEN_TABLE}.rows", f"{_TOKEN_TABLE}.row_index"


def save_checkpoint(
    folder: Path | str, model: Retriever, *, dtype: torch.dtype = torch.float32, about: Mapping[str, Any] | None = None
) -> None:
    """Write a model to a folder: `config.json` and `weights.safetensors`.

    Rows of the token table that are all zero, as after training from scratch with `zero_unseen_words`, are left out
    and come back as zeros.

    Args:
        folder: Made if missing; the files in it are replaced one after the other, each whole or not at all.
        model: The model.
        dtype: Precision of the stored weights.
        about: Anything worth knowing about them, as JSON values.

    Raises:
        PermissionError: If the folder cannot be written to.
    """
    weights = {
        name: value.to(dtype) if value.is_floating_point() else value for name, value in model.state_dict().items()
    }
    table = weights.pop(_TOKEN_TABLE)
    row_index = table.any(dim=1).nonzero().squeeze(1)
    weights |= {_ROWS: table[row_index], _ROW_INDEX: row_index}
    write_tensors(Path(folder) / WEIGHTS_FILE, weights, metadata={_TABLE_SIZE: str(len(table))})
    write_json(Path(folder) / CONFIG_FILE, {"model": to_json(model.config), "about": dict(about or {})})


def load_checkpoint(folder: Path | str, *, device: torch.device | str = "cpu") -> Retriever:
    """Read a model written by `save_checkpoint`.

    Returns:
        The model in float32, in evaluation mode, on the device.

    Raises:
        FileNotFoundError: If the folder lacks one of its two files.
        ValueError: If a file is damaged or the weights are of another architecture.
    """
    config_path, weights_path = Path(folder) / CONFIG_FILE, Path(folder) / WEIGHTS_FILE
    if not config_path.is_file():
        raise FileNotFoundError(f"{folder}: no checkpoint here ({CONFIG_FILE} is missing); give a checkpoint's folder")
    description = read_json(config_path)
    if not isinstance(description, dict) or "model" not in description:
        raise ValueError(f"{config_path}: not a checkpoint's configuration; it has no entry 'model'")
    config = model_config_from_json(description["model"])
    stored, metadata = read_tensors(weights_path)
    weights = {
        name: value.float() if value.is_floating_point() else value
        for name, value in stored.items()
        if name not in (_ROWS, _ROW_INDEX)
    }
    if not {_ROWS, _ROW_INDEX} <= set(stored) or _TABLE_SIZE not in metadata:
        raise ValueError(f"{weights_path}: not one of our checkpoints; it has no tensor {_ROWS}")
    weights[_TOKEN_TABLE] = _whole_token_table(stored[_ROWS].float(), stored[_ROW_INDEX], int(metadata[_TABLE_SIZE]))
    return _fill(Retriever(config), weights, weights_path).eval().to(device)


def load_released_checkpoint(
    path: Path | str, *, num_noise_levels: int = 50, schedule: ScheduleKind = "cosine"
) -> Retriever:
    """Read a released DiffusionRet state dict; the architecture is inferred from its tensors.

    Args:
        path: The file, usually `pytorch_model.bin.*`. It is read with weights_only: nothing in it can run.
        num_noise_levels: K the model was trained with; no tensor tells.
        schedule: Noise schedule it was trained with; no tensor tells.

    Returns:
        The model in reference mode, float32, in evaluation mode.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or another model's.
    """
    released = read_released(path)
    architecture = infer_architecture(released)
    context_length = architecture["clip"]["text_cfg"]["context_length"]
    config = ModelConfig(
        **architecture,
        max_words=min(32, context_length),
        max_frames=min(12, architecture["num_frame_positions"]),
        num_noise_levels=num_noise_levels,
        schedule=schedule,
        mode="reference",
    )
    return _fill(Retriever(config), translate_names(released), path).eval()


def load_released_as(path: Path | str, config: ModelConfig, *, mode: Mode = "reference") -> Retriever:
    """Read a released DiffusionRet state dict as the model that a recipe describes.

    Args:
        path: The file; see `load_released_checkpoint`.
        config: The recipe's model: its words, frames, noise levels and scoring, which no tensor tells, are taken.
        mode: "reference" for the released model's exact behaviour, "default" for the corrected one.

    Returns:
        The model in float32, in evaluation mode.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, another model's, or of other sizes than the recipe's.
    """
    released = read_released(path)
    architecture = infer_architecture(released)
    try:
        refuse_other_architecture(architecture, config)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    config = replace(config, **architecture, mode=mode)
    return _fill(Retriever(config), translate_names(released), path).eval()


@torch.no_grad()
def video_encoder_fingerprint(model: Retriever | ZeroShot) -> str:
    """Name the video encoder by its content: equal exactly when it gives the same features for the same frames."""
    scaling = " normalised frames" if model.config.normalise_frames else ""
    digest = hashlib.sha256(f"{model.config.mode} {model.config.clip}{scaling}".encode())
    parts = (model.clip.visual, model.temporal) if isinstance(model, Retriever) else (model.clip.visual,)
    for part in parts:
        for name, value in part.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _whole_token_table(rows: Tensor, row_index: Tensor, num_rows: int) -> Tensor:
    """Put the stored rows back among the rows of zeros."""
    return torch.zeros(num_rows, rows.shape[1]).index_copy(0, row_index, rows)


def _fill(model: Retriever, weights: Mapping[str, Tensor], path: Path | str) -> Retriever:
    """Load weights into a model; the first line of what torch says names every tensor that does not fit."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        first = " ".join(" ".join(str(error).splitlines()[1:3]).split())[:200]
        raise ValueError(
            f"{path}: weights of another model than its configuration says ({first}); copy both files from one run, or "
            "for the shipped model run `git checkout -- data_samples/model`"
        ) from None
    return model
