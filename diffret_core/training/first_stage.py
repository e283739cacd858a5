"""Stage 1 of a run: the videos in memory, what comes before the stage, and the stage itself."""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from diffret_core import encoders
from diffret_core.config import ModelConfig, Recipe
from diffret_core.datasets import Collection
from diffret_core.features import normalise_entries
from diffret_core.frame_files import map_videos
from diffret_core.frames import normalise_frames
from diffret_core.galleries import read_videos
from diffret_core.processes import first_goes_first
from diffret_core.randomness import generator
from diffret_core.retriever import Retriever
from diffret_core.training.contrastive import contrastive_trainer, zero_unseen_words
from diffret_core.training.pairs import Normalise, TrainingPairs
from diffret_core.training.pretraining import pretraining_trainer
from diffret_core.training.run_data import captions_of, like_the_test, paths_of
from diffret_core.training.run_folder import Listen, best_file, take_steps
from diffret_core.training.selection import Selection, ValidationPairs, similarity_recall

FRAMES = "frames"  # folder in that of the run


def new_model(recipe: Recipe) -> Retriever:
    """Make the model that a run starts from; its temporal transformer is started later."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator(recipe.seed, "initial weights").initial_seed())
        model = Retriever(recipe.model)
    if recipe.clip_name is not None and recipe.pretrained is not None:
        model.clip.load_state_dict(encoders.load_pretrained_clip(recipe.clip_name, recipe.pretrained).state_dict())
    return model


def _start_temporal(model: Retriever, recipe: Recipe) -> None:
    encoders.initialise_from_clip(model.temporal, model.clip)
    if recipe.model.normalise_frames and recipe.pretrained is None:
        model.temporal.positions.data = normalise_entries(model.temporal.positions.data)  # as large as the frames


def train_encoders(model: Retriever, recipe: Recipe, collection: Collection, output: Path, listen: Listen) -> None:
    """Train everything but the denoisers.

    Args:
        model: From `new_model`, on the device to compute on.
        recipe: The run.
        collection: Its first training videos are learned from.
        output: Folder of the run.
        listen: Told what is being done and how far it is.
    """
    videos = collection.video_ids("train")[: recipe.contrastive.num_videos]
    captions, video_of_text = captions_of(collection, videos)
    word_ids, word_mask = encoders.tokenize(captions, recipe.model.max_words)
    images, frame_mask = _read(recipe, paths_of(collection, videos), output / FRAMES, "reading training videos", listen)
    normalise = normaliser(recipe.model)
    pairs = TrainingPairs(images, frame_mask, word_ids, word_mask, video_of_text)
    _pretrain(model, recipe, pairs, normalise, output=output, listen=listen)
    trainer = contrastive_trainer(model, pairs, recipe.contrastive, normalise, seed=recipe.seed)
    selection = None
    if recipe.contrastive.num_looks:
        to_validate_with = _validation_pairs(recipe, like_the_test(collection), output, listen)
        judge = partial(similarity_recall, model, to_validate_with, normalise)
        selection = Selection(best_file(output, "stage 1"), recipe.contrastive.num_looks, judge)
    take_steps(trainer, "stage 1", output, listen, selection=selection)
    if recipe.contrastive.zero_unseen_words:
        zero_unseen_words(model, word_ids)


def normaliser(config: ModelConfig) -> Normalise:
    """Make what turns videos as bytes into what a model's image encoder reads."""

    def normalise(chosen: UInt8[Tensor, "V F 3 H H"]) -> Float[Tensor, "V F 3 H H"]:
        flat = normalise_frames(chosen.flatten(0, 1), config.image_mean, config.image_std)
        return flat.unflatten(0, chosen.shape[:2])

    return normalise


def _read(
    recipe: Recipe, paths: Sequence[Path], folder: Path, what: str, listen: Listen
) -> tuple[UInt8[Tensor, "V F 3 H H"], Bool[Tensor, "V F"]]:
    """Decode videos into memory, or into a file that is mapped: the first process does, the others find all done."""
    on_disk = recipe.contrastive.frames_on_disk
    read = partial(map_videos, folder=folder) if on_disk else read_videos
    with first_goes_first() if on_disk else nullcontext():
        return read(paths, recipe.model, progress=lambda done, total: listen(what, done, total, None))


def _validation_pairs(recipe: Recipe, collection: Collection, output: Path, listen: Listen) -> ValidationPairs:
    paths = paths_of(collection, collection.video_ids("validation"))
    images, frame_mask = _read(recipe, paths, output / FRAMES / "validation", "reading validation videos", listen)
    captions = [caption.text for caption in collection.pairs("validation")]
    return ValidationPairs(captions, torch.tensor(collection.video_of_caption("validation")), images, frame_mask)


def _pretrain(
    model: Retriever, recipe: Recipe, pairs: TrainingPairs, normalise: Normalise, *, output: Path, listen: Listen
) -> None:
    """Go through what comes before stage 1; after single frames the temporal transformer starts from CLIP."""
    has_temporal = False
    for stage, phase in zip(pretraining_stages(recipe), recipe.pretraining, strict=True):
        if phase.num_frames > 1 and not has_temporal:
            has_temporal = True
            _start_temporal(model, recipe)
        take_steps(pretraining_trainer(model, pairs, phase, normalise, seed=recipe.seed), stage, output, listen)
    if not has_temporal:
        _start_temporal(model, recipe)


def pretraining_stages(recipe: Recipe) -> list[str]:
    """Name what comes before stage 1, as in the log."""
    return [f"pre-training {number}" for number in range(1, len(recipe.pretraining) + 1)]
