"""From the arguments that commands share to what they name."""

import argparse
from pathlib import Path
from typing import Any

from diffret_core.checkpoints import load_checkpoint, load_released_checkpoint
from diffret_core.datasets import Collection, read_collection
from diffret_core.locations import sample_checkpoint, sample_folder
from diffret_core.retriever import Retriever, choose_device
from diffret_core.scenes.manifest import refuse_faults


def open_model(arguments: argparse.Namespace) -> Retriever:
    """Load the model of --model (a folder of ours or a released file), or the sample model, onto --device."""
    device = choose_device(arguments.device)
    path = Path(arguments.model) if arguments.model else sample_checkpoint()
    if path.is_file():
        return load_released_checkpoint(path).to(device)
    return load_checkpoint(path, device=device)


def open_collection(arguments: argparse.Namespace, *, as_released: bool = False, **options: Any) -> Collection:
    """Read the collection of --collection, --data and --videos, or the sample collection, with a reader's options.

    With `as_released` the sample collection must be as its manifest says.
    """
    folder = Path(arguments.data) if arguments.data else sample_folder()
    if as_released and not arguments.data:
        refuse_faults(folder)
    videos = Path(arguments.videos) if arguments.videos else None
    return read_collection(arguments.collection, folder, videos_folder=videos, **options)
