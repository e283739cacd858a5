"""A whole run: all stages, then the scoring chosen on validation; interrupted anywhere, it goes on from there."""

import shutil
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from diffret_core.checkpoints import CONFIG_FILE, load_checkpoint, save_checkpoint
from diffret_core.config import Recipe
from diffret_core.datasets import Collection
from diffret_core.denoiser import Denoiser
from diffret_core.evaluation import choose_scoring, evaluate
from diffret_core.folder_lock import alone_in
from diffret_core.galleries import Gallery, encode_gallery
from diffret_core.processes import check_batches, first_does, from_first, is_first
from diffret_core.randomness import generator
from diffret_core.retriever import Retriever, take_settings
from diffret_core.scores import score_all
from diffret_core.tensor_files import write_json
from diffret_core.training.first_stage import FRAMES, new_model, pretraining_stages, train_encoders
from diffret_core.training.generation import generation_trainer, start_from_stage1
from diffret_core.training.run_data import like_the_test, paths_of
from diffret_core.training.run_folder import (
    STAGE1,
    STAGE1_FEATURES,
    Listen,
    best_file,
    check_first_stage,
    claim,
    state_file,
    take_steps,
)
from diffret_core.training.second_stage import MakeData, second_stage_data
from diffret_core.training.selection import Selection, combined_recall


def train(
    recipe: Recipe,
    collection: Collection,
    output: Path | str,
    *,
    first_stage: Path | str | None = None,
    device: torch.device | str = "cpu",
    listen: Listen = lambda *_: None,
    make_data: MakeData = second_stage_data,
) -> dict[str, Any]:
    """Train a model with both stages and leave it in a folder; call it again to resume an interrupted run.

    The folder gets `config.json` and `weights.safetensors` (the model), `recipe.json`, `log.jsonl` (a line per step),
    `metrics.json` (on validation) and `stage1/` (the model after stage 1: trained encoders, untrained denoisers, and
    what they make of videos).

    Args:
        recipe: The run.
        collection: Training and validation videos.
        output: The folder; made if missing.
        first_stage: Another run's folder whose stage 1 is taken as it is; only stage 2 is trained.
        device: Where to compute.
        listen: Told what is being done and how far it is.
        make_data: Gives what stage 2 learns from; one that remembers can share it between runs on the same stage 1.

    Returns:
        Metrics on the validation split; see `evaluation.evaluate`.

    Raises:
        FileNotFoundError: If training or validation videos are missing, or there is no stage 1 to start from.
        PermissionError: If the folder cannot be written to.
        ValueError: If the collection leaves a stage or the validation without videos, the folder holds another or a
            finished run or is trained in by another process, the stage 1 to start from is of another architecture,
            the loss stops being a number, or a batch cannot be dealt out to the processes.
    """
    output = Path(output)
    _check_videos(recipe, collection)
    encoders_folder = Path(output if first_stage is None else first_stage) / STAGE1
    if first_stage is not None:
        check_first_stage(encoders_folder, recipe)
    check_batches([*_first_batches(recipe), recipe.generation.batch_size])
    with alone_in(output, "trains in this folder") if is_first() else nullcontext():
        first_does(lambda: claim(output, recipe, collection, encoders_folder if first_stage is not None else None))
        if first_stage is None:
            _first_stage(recipe, collection, output, device, listen)
        model = load_checkpoint(encoders_folder, device=device)
        take_settings(model, recipe.model)  # another run's stage 1 may have other settings of stage 2
        cache_folder = encoders_folder / STAGE1_FEATURES
        _second_stage(model, recipe, collection, output, cache_folder=cache_folder, listen=listen, make_data=make_data)
        metrics = _finish(model, recipe, collection, output, cache_folder=cache_folder, listen=listen)
        _forget(output, "stage 2")
        return metrics


def train_first_stage(
    recipe: Recipe,
    collection: Collection,
    output: Path | str,
    *,
    device: torch.device | str = "cpu",
    listen: Listen = lambda *_: None,
) -> Path:
    """Train a model without its stage 2; call it again to resume an interrupted run.

    Args:
        recipe: The run.
        collection: Training and validation videos.
        output: The folder; made if missing. `train` goes on with stage 2 there.
        device: Where to compute.
        listen: Told what is being done and how far it is.

    Returns:
        The folder of the model: trained encoders, untrained denoisers.

    Raises:
        FileNotFoundError: As `train`.
        ValueError: As `train`.
    """
    output = Path(output)
    _check_videos(recipe, collection)
    check_batches(_first_batches(recipe))
    with alone_in(output, "trains in this folder") if is_first() else nullcontext():
        first_does(lambda: claim(output, recipe, collection, None))
        _first_stage(recipe, collection, output, device, listen)
    return output / STAGE1


def _check_videos(recipe: Recipe, collection: Collection) -> None:
    num_videos, first_video = len(collection.video_ids("train")), recipe.generation.first_video
    num_validating = len(collection.video_ids("validation"))
    if first_video >= num_videos or num_validating == 0:
        raise ValueError(
            f"{collection.name}: {num_videos} training and {num_validating} validation videos; "
            f"recipe {recipe.name} needs more than {first_video} to train and at least 1 to validate with"
        )
    for split in ("train", "validation"):  # missing videos are named before any work
        paths_of(collection, collection.video_ids(split))


def _first_batches(recipe: Recipe) -> list[int]:
    return [*(phase.batch_size for phase in recipe.pretraining), recipe.contrastive.batch_size]


def _forget(output: Path, *stages: str) -> None:
    """Delete what was kept of stages while they were not finished."""
    for name in stages:
        for kept in (state_file(output, name), best_file(output, name)):
            first_does(partial(kept.unlink, missing_ok=True))


def _first_stage(
    recipe: Recipe, collection: Collection, output: Path, device: torch.device | str, listen: Listen
) -> None:
    """Train the encoders, unless that is done."""
    if not (output / STAGE1 / CONFIG_FILE).exists():
        model = new_model(recipe).to(device)
        train_encoders(model, recipe, collection, output, listen)
        dtype = getattr(torch, recipe.stored_precision)
        first_does(partial(save_checkpoint, output / STAGE1, model, dtype=dtype))
        first_does(partial(shutil.rmtree, output / FRAMES, ignore_errors=True))
    _forget(output, *pretraining_stages(recipe), "stage 1")


def _new_denoisers(model: Retriever, seed: int) -> None:
    """Give the model untrained denoisers of this run's own, also where the encoders are another run's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(seed, "initial denoisers").initial_seed())
        for denoiser in (model.text_query_denoiser, model.video_query_denoiser):
            denoiser.load_state_dict(Denoiser(model.config.dim).state_dict())


def _second_stage(
    model: Retriever,
    recipe: Recipe,
    collection: Collection,
    output: Path,
    *,
    cache_folder: Path,
    listen: Listen,
    make_data: MakeData,
) -> None:
    _new_denoisers(model, recipe.seed)
    model.eval().requires_grad_(False)
    for denoiser in (model.text_query_denoiser, model.video_query_denoiser):
        denoiser.train().requires_grad_(True)
    data = make_data(model, recipe, collection, cache_folder, listen)
    start_from_stage1(model, data.texts, data.views[0])
    trainer = generation_trainer(
        model,
        data.texts,
        data.views,
        data.video_of_text,
        recipe.generation,
        wording=data.wording,
        seed=recipe.seed,
        similarity=data.similarity,
    )
    selection = None
    if recipe.generation.num_looks:
        gallery = _validation_gallery(model, collection, cache_folder, listen)
        judge = partial(combined_recall, model, gallery)
        selection = Selection(best_file(output, "stage 2"), recipe.generation.num_looks, judge)
    take_steps(trainer, "stage 2", output, listen, selection=selection)
    model.eval()


def _validation_gallery(model: Retriever, collection: Collection, cache_folder: Path, listen: Listen) -> Gallery:
    return encode_gallery(
        model,
        like_the_test(collection),
        "validation",
        cache_folder=cache_folder,
        progress=lambda done, total: listen("encoding validation videos", done, total, None),
    )


def _finish(
    model: Retriever, recipe: Recipe, collection: Collection, output: Path, *, cache_folder: Path, listen: Listen
) -> dict[str, Any]:
    """Save the model, and choose its scoring and measure it as it will be loaded, on pairs like those of the test."""
    about = {"recipe": recipe.name, "seed": recipe.seed, "torch": torch.__version__}
    save = partial(save_checkpoint, output, dtype=getattr(torch, recipe.stored_precision), about=about)
    first_does(lambda: save(model))
    stored = load_checkpoint(output, device=model.device)
    gallery = _validation_gallery(stored, collection, cache_folder, listen)
    scores = score_all(
        stored,
        gallery.texts,
        gallery.videos,
        progress=lambda done, total: listen("generating for validation", done, total, None),
    )
    scoring = from_first(choose_scoring(scores, gallery.video_of_text, stored.config.scoring))
    stored.config = replace(stored.config, scoring=scoring)
    first_does(lambda: save(stored))
    metrics = from_first(evaluate(scores, gallery.video_of_text, scoring))
    first_does(lambda: write_json(output / "metrics.json", {"split": "validation", **metrics}))
    return metrics
