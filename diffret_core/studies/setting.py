"""What all cells of a study share: the data, stage 1, and whatever depends on these two alone, computed once."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.checkpoints import CONFIG_FILE, WEIGHTS_FILE, load_checkpoint
from diffret_core.config import Direction, Recipe, to_json
from diffret_core.datasets import Collection, Split
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.galleries import Gallery, encode_gallery
from diffret_core.locations import sample_checkpoint
from diffret_core.querybanks import bank_captions, bank_videos
from diffret_core.retriever import Retriever
from diffret_core.scores import compare
from diffret_core.tensor_files import write_bytes
from diffret_core.training.run_folder import STAGE1, STAGE1_FEATURES, Listen
from diffret_core.training.second_stage import SecondStageData, second_stage_data

VALIDATION, TEST = "validation", "test"
_OF_DATA = ("first_video", "num_videos", "num_views", "max_shift", "frame_share", "view_seed", "mining_precision")


class Listed(NamedTuple):
    """A list of pairs to measure on.

    Attributes:
        gallery: Its features.
        similarity: S of its captions and videos.
    """

    gallery: Gallery
    similarity: Float[Tensor, "T V"]


class Setting:
    """Data and stage 1 of a study, and what has been made of them.

    Attributes:
        collection: What stage 2 learns from.
        lists: Pairs to measure on, by name: a collection and its split. "validation", where everything is chosen,
            comes first.
        first_stage: The run whose stage 1 all cells start from.
        folder: Where studies are kept.
        recipe_of: Gives the baseline's recipe with a seed.
        fitted: Fits the recipe of any cell to the data, at the end.
        shipped: Whether studies without training of their own measure the shipped model, whose seeds then draw noise
            only, in place of the baselines that the study of training has made.
        device: Where to compute.
        doing: The cell that is being computed, for those who listen.
    """

    def __init__(
        self,
        collection: Collection,
        lists: Mapping[str, tuple[Collection, Split]],
        first_stage: Path,
        folder: Path,
        *,
        recipe_of: Callable[[int], Recipe],
        fitted: Callable[[Recipe], Recipe] = lambda recipe: recipe,
        shipped: bool = False,
        device: torch.device | str = "cpu",
        listen: Listen = lambda *_: None,
    ) -> None:
        """Compute nothing yet.

        Raises:
            FileNotFoundError: If there is no stage 1.
        """
        self.collection, self.lists, self.first_stage, self.folder = collection, dict(lists), first_stage, folder
        self.recipe_of, self.fitted, self.shipped = recipe_of, fitted, shipped
        self.device, self.doing, self._listen = torch.device(device), "", listen
        self.listed = cache(self._listed)
        self.bank = cache(self._bank)
        self._data: tuple[str, SecondStageData] | None = None
        if not (first_stage / STAGE1 / CONFIG_FILE).is_file():
            raise FileNotFoundError(f"{first_stage}: holds no stage 1; give the folder of a run of `diffret train`")

    def on(self, first_stage: Path) -> "Setting":
        """Give the same setting on the stage 1 of another run.

        Raises:
            FileNotFoundError: If there is no stage 1.
        """
        options: dict[str, Any] = {name: getattr(self, name) for name in ("recipe_of", "fitted", "shipped", "device")}
        other = Setting(self.collection, self.lists, first_stage, self.folder, **options, listen=self._listen)
        other.doing = self.doing
        return other

    @cached_property
    def model(self) -> Retriever:
        """The model after stage 1."""
        return load_checkpoint(self.first_stage / STAGE1, device=self.device)

    @property
    def features(self) -> Path:
        """Where features of videos are kept: beside the encoders that made them."""
        return self.first_stage / STAGE1 / STAGE1_FEATURES

    @cached_property
    def description(self) -> dict[str, Any]:
        """Stage 1 and the captions, as what decides the numbers of all cells."""
        captions = [self.collection.pairs("train"), *(one.pairs(split) for one, split in self.lists.values())]
        weights = (self.first_stage / STAGE1 / WEIGHTS_FILE).read_bytes()
        return {
            "stage1_sha256": hashlib.sha256(weights).hexdigest(),
            "captions_sha256": hashlib.sha256(json.dumps(captions).encode()).hexdigest(),
            "lists": list(self.lists),
            **({"model": "shipped"} if self.shipped else {}),
        }

    def listen(self, what: str, done: int, total: int, loss: float | None = None) -> None:
        """Say how far the cell is."""
        self._listen(f"{self.doing}: {what}", done, total, loss)

    def second_stage_data(
        self, model: Retriever, recipe: Recipe, collection: Collection, cache_folder: Path, listen: Listen
    ) -> SecondStageData:
        """Give what stage 2 learns from: that of the last cell, if this one has the same videos and views."""
        settings = to_json(recipe)["generation"]
        key = json.dumps([settings[name] for name in _OF_DATA])
        if settings["num_views"] > 1 and settings["view_seed"] is None:
            key += str(recipe.seed)
        if self._data is None or self._data[0] != key:
            self._data = None  # there may be no room for both
            self._data = key, second_stage_data(model, recipe, collection, cache_folder, listen)
        return self._data[1]

    def _listed(self, name: str) -> Listed:
        collection, split = self.lists[name]
        gallery = encode_gallery(
            self.model,
            collection,
            split,
            cache_folder=self.features,
            progress=lambda *done: self.listen(f"encoding {name}", *done),
        )
        similarity = compare(
            self.model, gallery.texts, gallery.videos, progress=lambda *done: self.listen(f"comparing {name}", *done)
        )
        return Listed(gallery, similarity)

    def _bank(self, direction: Direction, num_queries: int) -> TextFeatures | VideoFeatures:
        """Encode training captions or videos to normalise by; no list has any of them."""
        if direction == "text_to_video":
            return bank_captions(self.model, self.collection, num_queries=num_queries, without=())
        return bank_videos(
            self.model,
            self.collection,
            num_queries=num_queries,
            without=(),
            cache_folder=self.features,
            progress=lambda *done: self.listen("encoding the bank", *done),
        )


def shipped_first_stage(folder: Path) -> Path:
    """Lay the shipped model out as a run whose stage 1 can be taken, in `folder`/shipped; features are kept there."""
    run = folder / "shipped"
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        shipped = (sample_checkpoint() / name).read_bytes()
        kept = run / STAGE1 / name
        if not kept.is_file() or kept.read_bytes() != shipped:
            write_bytes(kept, shipped)
    return run
