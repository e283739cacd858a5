"""Studies in miniature: every arm, on a few videos and with a few steps, in seconds; its figures mean nothing."""

from dataclasses import replace

from diffret_core.config import Recipe
from diffret_core.datasets import Collection, SplitContents

NUM_VIDEOS = 12  # of each split
SEEDS = (1,)


def miniature_recipe(recipe: Recipe) -> Recipe:
    """Shrink stage 2 to a few steps; what arms differ in stays as it is."""
    settings = recipe.generation
    return replace(
        recipe,
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
