"""From the arguments that commands share to what they name."""

import argparse
import warnings
from pathlib import Path
from typing import Any

import torch

from diffret_core.checkpoints import load_checkpoint, load_released_checkpoint
from diffret_core.config import Recipe
from diffret_core.datasets import READERS, Collection, count_faults, counts_of, read_collection
from diffret_core.index.models import SHIPPED_LIMITS
from diffret_core.locations import sample_checkpoint, sample_folder
from diffret_core.recipes import recipe, with_settings
from diffret_core.retriever import Retriever, choose_device
from diffret_core.scenes.manifest import refuse_faults


def open_model(arguments: argparse.Namespace, *, device: torch.device | None = None) -> Retriever:
    """Load the model of --model (a folder of ours or a released file), or the sample model, onto a device.

    Args:
        arguments: What was given.
        device: Where to; that of --device if None.
    """
    device = choose_device(arguments.device) if device is None else device
    if not arguments.model and getattr(arguments, "data", None):
        warnings.warn(f"without --model FOLDER this is the shipped model, {SHIPPED_LIMITS}", stacklevel=2)
    path = Path(arguments.model) if arguments.model else sample_checkpoint()
    if path.is_file():
        return load_released_checkpoint(path).to(device)
    return load_checkpoint(path, device=device)


def chosen_recipe(arguments: argparse.Namespace, **choices: str | int | None) -> Recipe:
    """Make the recipe of --recipe, --clip and --set, and let it say how the data folder is laid out.

    Args:
        arguments: What was given.
        choices: Further choices of the recipe's function; None leaves its own.

    Raises:
        ValueError: If --collection is not what the recipe reads.
    """
    chosen = with_settings(recipe(arguments.recipe, clip=arguments.clip, **choices), arguments.set)
    if arguments.collection not in (None, chosen.collection):
        raise ValueError(f"recipe {chosen.name} is for {chosen.collection}, not for {arguments.collection}")
    arguments.collection = chosen.collection
    return chosen


def count_allowance(arguments: argparse.Namespace, chosen: Recipe | None) -> int | None:
    """Demand the published numbers of videos where a recipe is a benchmark's, unless --any-size is given."""
    return 0 if chosen is not None and chosen.name in READERS and not arguments.any_size else None


def open_collection(
    arguments: argparse.Namespace, *, as_released: bool = False, count_allowance: int | None = None, **options: Any
) -> Collection:
    """Read the collection of --collection, --data, --videos and --protocol, or the sample collection.

    Args:
        arguments: What was given.
        as_released: The sample collection must be as its manifest says.
        count_allowance: By how many videos a split may differ from the published number; if None, a difference is
            only said.
        options: A reader's options; those that are None are not passed on.

    Raises:
        ValueError: If a benchmark's recipe is given without its files.
    """
    if not arguments.data and getattr(arguments, "recipe", None) in READERS:
        raise ValueError(f"recipe {arguments.recipe} reads the benchmark's own files: give --data FOLDER")
    folder = Path(arguments.data) if arguments.data else sample_folder()
    if as_released and not arguments.data:
        refuse_faults(folder)
    given = {**options, "protocol": arguments.protocol, "videos_folder": arguments.videos or None}
    given = {name: value for name, value in given.items() if value is not None}
    collection = read_collection(arguments.collection or "msrvtt", folder, count_allowance=count_allowance, **given)
    if count_allowance is None and collection.published is not None:
        for fault in count_faults(counts_of(collection), collection.published):
            warnings.warn(f"not the published {collection.name}: {fault}; figures compare with none", stacklevel=2)
    return collection
