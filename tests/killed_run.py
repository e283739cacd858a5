"""A whole run, as a program of its own, so that a test can kill it at any moment, or start it with torchrun."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from tiny_collection import tiny_recipe

from diffret_core.datasets import read_collection
from diffret_core.processes import joined
from diffret_core.training import run_folder
from diffret_core.training.run import train


def recipe_of(num_steps):
    """All stages, the two last with so many steps; of both the weights are left that did best on validation."""
    recipe = tiny_recipe()
    return replace(
        recipe,
        contrastive=replace(recipe.contrastive, num_steps=num_steps, num_looks=2, average_decay=0.5),
        generation=replace(recipe.generation, num_steps=num_steps, num_looks=2),
    )


def listen(stage, done, total, loss):
    """Fail in the first step of stage 1, in the process that the environment names."""
    if stage == "stage 1" and os.environ.get("FAIL_IN_PROCESS") == os.environ.get("RANK", "no process"):
        raise RuntimeError("the second process fails")


if __name__ == "__main__":
    run_folder.SAVE_EVERY_STEPS = 2  # so that a killed run has both states on disk and steps that are in none
    torch.set_num_threads(1)
    data, output, num_steps = sys.argv[1:]
    collection = read_collection("msrvtt", data, hold_out_validation=True)
    with joined(torch.device("cpu")) as device:
        train(recipe_of(int(num_steps)), collection, Path(output), device=device, listen=listen)
