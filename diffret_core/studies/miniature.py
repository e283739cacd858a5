"""Studies in miniature: every arm, on a few videos and with a few steps, in seconds; its figures mean nothing."""

from dataclasses import replace

from diffret_core.config import Recipe
from diffret_core.datasets import Collection, SplitContents

NUM_VIDEOS = 12  # of each split
SEEDS = (1,)


def miniature_recipe(recipe: Recipe) -> Recipe:
    """Shrink all stages to a few steps; what else arms differ in stays as it is."""
    settings = recipe.generation
    return replace(
        recipe,
        pretraining=tuple(replace(phase, num_steps=2, batch_size=8, num_alike=7) for phase in recipe.pretraining),
        contrastive=replace(recipe.contrastive, num_steps=2, batch_size=4),
        generation=replace(
            settings, num_steps=3, batch_size=4, first_video=0, num_videos=None, num_views=min(2, settings.num_views)
        ),
    )


def miniature_collection(collection: Collection) -> Collection:
    """Make all splits of the first test videos, which come with the samples and need not be rendered."""
    contents = collection.test
    starts = [number * NUM_VIDEOS for number in range(3)]
    test, validation, train = (_part(contents, start) for start in starts)
    return replace(collection, train=train, validation=validation, test=test)


def _part(contents: SplitContents, start: int) -> SplitContents:
    videos = contents.video_ids[start : start + NUM_VIDEOS]
    return SplitContents(videos, tuple(one for one in contents.captions if one.video_id in videos))
