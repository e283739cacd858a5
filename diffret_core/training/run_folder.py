"""The folder of a run: whose it is, how far the run has come, and what was logged; steps are taken into it."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffret_core.checkpoints import WEIGHTS_FILE, load_checkpoint
from diffret_core.config import Recipe, model_config_from_json, to_json
from diffret_core.datasets import Collection
from diffret_core.processes import is_first
from diffret_core.tensor_files import read_json, read_tensors, write_json, write_tensors, write_text
from diffret_core.training.selection import Selection
from diffret_core.training.trainer import Trainer

SAVE_EVERY_STEPS = 100
LOOK = "validation_R@1"  # what a look says in the log
STAGE1, STAGE1_FEATURES = "stage1", "features"  # folder in that of the run, and in it what it makes of videos
Listen = Callable[[str, int, int, float | None], None]  # what is done, how much of it, of how much, the loss


def check_first_stage(folder: Path, recipe: Recipe) -> None:
    """Make sure that another run's stage 1 is one that this recipe would have.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged or of another architecture.
    """
    wanted = recipe.model  # what stage 2 alone uses may differ
    found = replace(
        load_checkpoint(folder).config,
        scoring=wanted.scoring,
        normalise_for_denoiser=wanted.normalise_for_denoiser,
        num_noise_levels=wanted.num_noise_levels,
        schedule=wanted.schedule,
        noise=wanted.noise,
    )
    if found != model_config_from_json(json.loads(json.dumps(to_json(recipe.model)))):
        raise ValueError(f"{folder}: of another architecture than recipe {recipe.name}; train a stage 1 with it first")


def claim(output: Path, recipe: Recipe, collection: Collection, taken_from: Path | None) -> None:
    """Make sure the folder is free or holds this very run, on the same captions and stage 1, unfinished.

    Raises:
        ValueError: If it holds another run or a finished one.
    """
    captions = json.dumps([collection.pairs("train"), collection.pairs("validation")])
    description = {**to_json(recipe), "captions_sha256": hashlib.sha256(captions.encode()).hexdigest()}
    if taken_from is not None:
        description["stage1_sha256"] = hashlib.sha256((taken_from / WEIGHTS_FILE).read_bytes()).hexdigest()
    description = json.loads(json.dumps(description))
    if (output / "recipe.json").exists() and read_json(output / "recipe.json") != description:
        raise ValueError(
            f"{output} holds a run with other settings or other captions; choose another output folder or delete it"
        )
    if (output / "metrics.json").exists():
        raise ValueError(f"{output} holds a finished run; choose another output folder or delete it")
    write_json(output / "recipe.json", description)


def trim_log(output: Path, stage: str, num_done: int) -> None:
    """Remove from the log what is not whole, and steps and looks of a stage that are about to be taken again."""
    path = output / "log.jsonl"
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # the process was killed while it wrote
            continue
        if entry["stage"] != stage or entry["step"] < num_done or (entry["step"] == num_done and LOOK not in entry):
            kept.append(line + "\n")
    write_text(path, "".join(kept))


def log_line(output: Path, line: dict[str, Any]) -> None:
    """Add a line to the run's log.jsonl."""
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in line.items()}
    with (output / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(rounded) + "\n")


def state_file(output: Path, stage: str) -> Path:
    """Give the file in which an unfinished stage is kept."""
    return output / f"{stage.replace(' ', '')}_state.safetensors"


def best_file(output: Path, stage: str) -> Path:
    """Give the file in which the best weights of a stage are kept until it ends."""
    return output / f"{stage.replace(' ', '')}_best.safetensors"


def take_steps(
    trainer: Trainer, stage: str, output: Path, listen: Listen, *, selection: Selection | None = None
) -> None:
    """Run a stage to its end, from where it was left, and finish it; however it ends, the steps taken are kept.

    Of several processes the first one writes.

    Args:
        trainer: The stage.
        stage: What it is called.
        output: Folder of the run.
        listen: Told after each step.
        selection: Which weights the stage leaves; those of the last step if None.
    """
    kept_in = state_file(output, stage)
    if kept_in.exists():
        trainer.restore(read_tensors(kept_in)[0])
    if is_first():
        trim_log(output, stage, trainer.num_done)
    started = time.monotonic()

    def log(step: int, **said: float) -> None:
        if is_first():
            log_line(output, {"stage": stage, "step": step, **said, "seconds": time.monotonic() - started})

    def keep() -> None:
        if is_first():
            write_tensors(kept_in, trainer.state(), metadata={})

    def look() -> None:
        if selection is not None and trainer.num_done and selection.is_due(trainer):
            selection.look(trainer, lambda score: log(trainer.num_done, **{LOOK: score}))

    look()  # the interruption may have come between a step and its look
    try:
        for step in trainer.steps():
            log(step.step, loss=step.loss)
            listen(stage, step.step, trainer.num_steps, step.loss)
            look()
            if step.step % SAVE_EVERY_STEPS == 0:
                keep()
    finally:
        keep()
    trainer.finish()
    if selection is not None:
        selection.leave_best(trainer)
