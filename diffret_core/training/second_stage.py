"""What stage 2 learns from: frozen features of captions and videos, and their similarity; made once for many runs."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.config import Recipe
from diffret_core.datasets import Collection
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.galleries import encode_captions, encode_video_files
from diffret_core.retriever import Retriever
from diffret_core.training.generation import mining_similarity
from diffret_core.training.run_data import captions_of, paths_of
from diffret_core.training.run_folder import Listen
from diffret_core.training.views import view_for_stage2


class SecondStageData(NamedTuple):
    """Everything that stage 2 reads; it depends on stage 1 and on the choice of videos and views, on no other setting.

    Attributes:
        texts: Features of the captions.
        views: Features of the videos, once for each view.
        video_of_text: Which video each caption describes.
        wording: A number for each caption, the same for the same words.
        similarity: S of all captions and videos.
    """

    texts: TextFeatures
    views: list[VideoFeatures]
    video_of_text: Int[Tensor, " T"]
    wording: Int[Tensor, " T"]
    similarity: Float[Tensor, "T V"]


MakeData = Callable[[Retriever, Recipe, Collection, Path, Listen], SecondStageData]


def second_stage_data(
    model: Retriever, recipe: Recipe, collection: Collection, cache_folder: Path, listen: Listen
) -> SecondStageData:
    """Encode the captions and all views of the videos of stage 2, and compare them.

    Args:
        model: The model after stage 1.
        recipe: Says which videos, and in how many views.
        collection: The collection.
        cache_folder: Where features of videos are kept.
        listen: Told how far it is.

    Raises:
        FileNotFoundError: If a video is missing.
    """
    settings = recipe.generation
    videos = collection.video_ids("train")[settings.first_video :][: settings.num_videos]
    captions, video_of_text = captions_of(collection, videos)
    view_seed = recipe.seed if settings.view_seed is None else settings.view_seed
    views = [
        encode_video_files(
            model,
            paths_of(collection, videos),
            cache_folder=cache_folder,
            view=view_for_stage2(settings, number, seed=view_seed),
            all_processes=True,
            progress=lambda done, total: listen("encoding training videos", done, total, None),
        )
        for number in range(settings.num_views)
    ]
    texts = encode_captions(model, captions)
    numbers = {caption: number for number, caption in enumerate(dict.fromkeys(captions))}
    return SecondStageData(
        texts,
        views,
        video_of_text.to(model.device),
        torch.tensor([numbers[caption] for caption in captions], device=model.device),
        mining_similarity(model, texts, views[0], settings),
    )
