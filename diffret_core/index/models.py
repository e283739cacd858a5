"""The model of an index: named once, opened again by the same name."""

import warnings
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch

from diffret_core.checkpoints import load_checkpoint, load_released_checkpoint
from diffret_core.config.checks import one_of
from diffret_core.locations import sample_checkpoint
from diffret_core.retriever import Retriever
from diffret_core.zero_shot import ZeroShot, load_zero_shot

Model = Retriever | ZeroShot
Kind = Literal["shipped", "checkpoint", "released", "clip"]
SHIPPED_LIMITS = "which only knows drawn scenes of coloured shapes that move: of real videos its ranking means nothing"
SHIPPED_WARNING = (
    f"this is the shipped model, {SHIPPED_LIMITS}; for those choose another, such as --model ViT-B-32-quickgelu"
)


class ModelName(NamedTuple):
    """How a model is found again.

    Attributes:
        kind: "shipped" with the project, a "checkpoint" folder of ours, a "released" file, or a plain "clip" model.
        name: Path of the folder or file, or open_clip's name of the model; empty for the shipped one.
        pretrained: Weight tag or file of a plain model.
    """

    kind: Kind
    name: str = ""
    pretrained: str = ""

    def __str__(self) -> str:
        """Say it in a few words."""
        if self.kind == "clip":
            return f"{self.name} with weights {self.pretrained}"
        return "the shipped model" if self.kind == "shipped" else f"the model in {self.name}"


def model_name(given: str | None, pretrained: str = "openai") -> ModelName:
    """Find out what is meant by a model's name.

    Args:
        given: None for the shipped model, else a folder or file that is there, else open_clip's name of a model.
        pretrained: Weight tag or file, if it is a plain open_clip model.
    """
    if given is None:
        return ModelName("shipped")
    path = Path(given)
    if path.is_dir():
        is_shipped = path.resolve() == sample_checkpoint().resolve()
        return ModelName("shipped") if is_shipped else ModelName("checkpoint", str(path.resolve()))
    if path.is_file():
        return ModelName("released", str(path.resolve()))
    weights = Path(pretrained)
    return ModelName("clip", given, str(weights.resolve()) if weights.is_file() else pretrained)


def load_model(name: ModelName, *, device: torch.device | str = "cpu") -> Model:
    """Load a model; a warning says so before weights are downloaded, and that the shipped model knows little.

    Raises:
        FileNotFoundError: If its files are not there.
        ValueError: If there is no such model, or its weights cannot be had.
    """
    one_of("kind of model", name.kind, get_args(Kind))
    if name.kind == "shipped":
        warnings.warn(SHIPPED_WARNING, stacklevel=2)
        return load_checkpoint(sample_checkpoint(), device=device)
    if name.kind == "checkpoint":
        return load_checkpoint(name.name, device=device)
    if name.kind == "released":
        return load_released_checkpoint(name.name).to(device)
    if "/" in name.name:  # no model of open_clip is called so
        raise FileNotFoundError(f"{name.name}: there is no such folder or file; give a trained model's folder")
    return load_zero_shot(
        name.name, name.pretrained, device=device, announce=lambda line: warnings.warn(line, stacklevel=3)
    )
