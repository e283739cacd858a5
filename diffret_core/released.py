"""The released model's state dict, translated: its key names, and the architecture that its tensors imply."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffret_core.config import ModelConfig

HEAD_WIDTH = 64  # of every tower of every CLIP

_PREFIXES = {
    "clip.": "clip.",
    "transformerClip.": "temporal.transformer.",
    "frame_position_embeddings.weight": "temporal.positions",
    "text_weight_fc.": "interaction.word_score.",
    "video_weight_fc.": "interaction.frame_score.",
    "diffusion_model.": "text_query_denoiser.",
    "diffusion_model_v.": "video_query_denoiser.",
}
_DENOISER_PARTS = {
    "q_proj.": "query.",
    "k_proj.": "key.",
    "v_proj.": "value.",
    "proj.": "output.",
    "embed_timestep.time_embed.": "noise_level_code.layers.",
    "decoder.": "decoder.",
}
_NOT_WEIGHTS = ("clip.input_resolution", "clip.context_length", "clip.vocab_size")


def read_released(path: Path | str) -> dict[str, Tensor]:
    """Read a released state dict without running anything in it.

    Returns:
        Its tensors under their released names, in float32, without the sinusoidal tables.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a plain dictionary of tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; give the path of a released checkpoint (.bin)")
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickle protocols other than torch's usual one
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader raises whatever a damaged byte runs into
        kind = type(error).__name__  # torch's own words fill a screen
        raise ValueError(f"{path}: damaged, or more than plain tensors ({kind}); fetch it again") from None
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    ):
        raise ValueError(f"{path}: not a state dict, which is one flat dictionary of tensors")
    kept = {name: value for name, value in found.items() if not name.endswith(".pe") and name not in _NOT_WEIGHTS}
    return {name: value.float() for name, value in kept.items()}


def infer_architecture(released: dict[str, Tensor]) -> dict[str, Any]:
    """Infer every size of the model from its tensors.

    Returns:
        The fields clip, num_temporal_layers and num_frame_positions of a `ModelConfig`.

    Raises:
        ValueError: If a tensor is missing: it is not a DiffusionRet checkpoint with a ViT image encoder.
    """
    try:
        patches = released["clip.visual.conv1.weight"]  # [vision width, 3, patch, patch]
        grid = round((len(released["clip.visual.positional_embedding"]) - 1) ** 0.5)
        context_length, text_width = released["clip.positional_embedding"].shape
        clip = {
            "embed_dim": released["clip.text_projection"].shape[1],
            "quick_gelu": True,
            "vision_cfg": {
                "image_size": patches.shape[-1] * grid,
                "layers": _num_layers(released, "clip.visual.transformer.resblocks."),
                "width": patches.shape[0],
                "head_width": HEAD_WIDTH,
                "patch_size": patches.shape[-1],
            },
            "text_cfg": {
                "context_length": context_length,
                "vocab_size": len(released["clip.token_embedding.weight"]),
                "width": text_width,
                "heads": text_width // HEAD_WIDTH,
                "layers": _num_layers(released, "clip.transformer.resblocks."),
            },
        }
        num_positions = len(released["frame_position_embeddings.weight"])
    except KeyError as error:
        raise ValueError(f"not a released DiffusionRet checkpoint with a ViT: it has no tensor {error}") from None
    except (IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"not a released DiffusionRet checkpoint: a tensor has another number of axes ({error})"
        ) from None
    num_temporal_layers = _num_layers(released, "transformerClip.resblocks.")
    return {"clip": clip, "num_temporal_layers": num_temporal_layers, "num_frame_positions": num_positions}


def refuse_other_architecture(found: dict[str, Any], config: ModelConfig) -> None:
    """Refuse a checkpoint whose sizes are not those of a configuration.

    Args:
        found: From `infer_architecture`.
        config: What is expected; what it leaves open, open_clip has a default for.

    Raises:
        ValueError: If a size differs, or there are fewer frame positions than frames.
    """
    sizes: list[tuple[str, Any, Any]] = []
    for part, ours in config.clip.items():
        theirs = found["clip"][part]
        if isinstance(ours, Mapping):
            sizes += [(f"clip.{part}.{name}", theirs[name], size) for name, size in ours.items() if name in theirs]
        else:
            sizes.append((f"clip.{part}", theirs, ours))
    sizes.append(("num_temporal_layers", found["num_temporal_layers"], config.num_temporal_layers))
    mend = "choose the recipe, and with --clip the CLIP, that it was trained with"
    for name, its, expected in sizes:
        if its != expected:
            raise ValueError(f"its {name} is {its}, the recipe's is {expected}; {mend}")
    num_positions = found["num_frame_positions"]
    if num_positions < config.max_frames:
        raise ValueError(f"it has {num_positions} frame positions, the recipe takes {config.max_frames} frames; {mend}")


def translate_names(released: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give every tensor the name it has in our `Retriever`.

    Raises:
        ValueError: If a name belongs to no part of DiffusionRet.
    """
    return {_translate(name): value for name, value in released.items()}


def _translate(name: str) -> str:
    for prefix, ours in _PREFIXES.items():
        if name.startswith(prefix):
            rest = name[len(prefix) :]
            return ours + (_translate_denoiser(rest) if prefix.startswith("diffusion_model") else rest)
    raise ValueError(f"tensor {name!r} belongs to no part of DiffusionRet; is this another model's checkpoint?")


def _translate_denoiser(rest: str) -> str:
    for part, ours in _DENOISER_PARTS.items():
        if rest.startswith(part):
            return ours + rest[len(part) :]
    return rest  # loading names it as unexpected


def _num_layers(released: dict[str, Tensor], prefix: str) -> int:
    numbers = {name[len(prefix) :].split(".")[0] for name in released if name.startswith(prefix)}
    if not numbers:
        raise ValueError(f"not a released DiffusionRet checkpoint: it has no tensor {prefix}*")
    return len(numbers)
