"""A recipe rehearsed: every step of it on a few videos with a small encoder, in a minute, before hours are spent."""

from dataclasses import replace

from diffret_core.config import Recipe
from diffret_core.datasets import Collection, Counts, SplitCounts
from diffret_core.datasets.counts import ALL_SPLITS

NUM_VIDEOS = 32
_BATCH_SIZE = 8
_SMALL_CLIP = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "head_width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 4},
}


def rehearsal(recipe: Recipe) -> Recipe:
    """Make a small run of the same kind: a CLIP of few layers from random weights, some steps of each stage.

    Words, frames, precision, files and the order of work stay as they are, so that what would stop the recipe stops
    its rehearsal. Its figures mean nothing.
    """
    return replace(
        recipe,
        model=replace(recipe.model, clip=_SMALL_CLIP),
        pretraining=tuple(
            replace(phase, num_steps=4, batch_size=_BATCH_SIZE, group_size=1) for phase in recipe.pretraining
        ),
        contrastive=replace(
            recipe.contrastive,
            num_videos=None,
            num_steps=4,
            batch_size=_BATCH_SIZE,
            encode_at_once=None if recipe.contrastive.encode_at_once is None else _BATCH_SIZE // 4,
        ),
        generation=replace(
            recipe.generation,
            first_video=0,
            num_videos=None,
            num_steps=8,
            batch_size=_BATCH_SIZE,
            num_candidates=4,
            negative_pool=4,
        ),
        clip_name=None,
        pretrained=None,
    )


def first_videos(collection: Collection, num_videos: int = NUM_VIDEOS) -> Collection:
    """Keep the first videos of each split, and no others."""
    of_split = {split: collection.video_ids(split) for split in ALL_SPLITS}
    kept = {video_id for video_ids in of_split.values() for video_id in video_ids[:num_videos]}
    return collection.without_videos({one for video_ids in of_split.values() for one in video_ids} - kept)


def first_counts(counts: Counts, num_videos: int = NUM_VIDEOS) -> Counts:
    """Count what `first_videos` keeps, where captions are spread evenly over videos."""
    return Counts(*(SplitCounts(*(one * min(num_videos, split[0]) // split[0] for one in split)) for split in counts))
