"""What a run keeps at once, moment by moment: on the device, in the host's memory, and on disk."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from diffret_core.config import ModelConfig, Recipe
from diffret_core.datasets import Counts
from diffret_core.plans.steps import FEATURE_BYTES, Counted
from diffret_core.prepared import LARGEST_TABLE
from diffret_core.similarity import TEXTS_AT_ONCE, VIDEOS_AT_ONCE

Bytes = Mapping[str, int]  # by what they are of


@dataclass(frozen=True)
class Moment:
    """What is kept at one time of a stage.

    Attributes:
        name: What is being done.
        device: Bytes on the device.
        host: Bytes in the host's memory; where the device is the processor, both are there.
    """

    name: str
    device: Bytes
    host: Bytes


@dataclass(frozen=True)
class Sizes:
    """The numbers on which memory and time of a run depend.

    Attributes:
        first_stage_videos: Videos of stage 1.
        first_stage_captions: Their captions.
        second_stage_videos: Videos of stage 2.
        second_stage_captions: Their captions.
        validation_videos: Videos to validate with.
        validation_captions: Captions that they are validated with.
        num_views: In how many versions stage 2 sees its videos.
    """

    first_stage_videos: int
    first_stage_captions: int
    second_stage_videos: int
    second_stage_captions: int
    validation_videos: int
    validation_captions: int
    num_views: int

    @property
    def decoded(self) -> int:
        """How often a video is decoded: once for stage 1, and once for every view of stage 2 and validation."""
        return self.first_stage_videos + self.num_views * self.second_stage_videos + self.validation_videos


def sizes_of(recipe: Recipe, counts: Counts) -> Sizes:
    """Count what each stage reads of a collection; captions are spread evenly over its videos.

    Raises:
        ValueError: If there are too few videos for stage 2 or to validate with.
    """
    train, validation, test = counts
    first = min(train.num_videos, recipe.contrastive.num_videos or train.num_videos)
    second = train.num_videos - recipe.generation.first_video
    second = min(second, recipe.generation.num_videos or second)
    if second < 1 or validation.num_videos < 1:
        raise ValueError(
            f"{train.num_videos} training and {validation.num_videos} validation videos; recipe {recipe.name} needs "
            f"more than {recipe.generation.first_video} to train and at least 1 to validate with"
        )
    on_pairs = test.num_captions == test.num_videos
    return Sizes(
        first,
        round(train.num_captions * first / train.num_videos),
        second,
        round(train.num_captions * second / train.num_videos),
        validation.num_videos,
        validation.num_videos if on_pairs else validation.num_captions,
        recipe.generation.num_views,
    )


def encoder_moments(
    recipe: Recipe, sizes: Sizes, counted: Counted, weights: int, *, average: bool, unified: bool
) -> tuple[Moment, ...]:
    """Give the moments of stage 1, or of what comes before it.

    Args:
        recipe: The run.
        sizes: Of its data.
        counted: A step of the stage.
        weights: Bytes of the model.
        average: Whether an average of the weights is kept.
        unified: Whether the device's memory is the host's.
    """
    host = {"tokens of captions": sizes.first_stage_captions * recipe.model.max_words * 9}
    if not recipe.contrastive.frames_on_disk:
        host["frames of all videos"] = frame_bytes(recipe.model, _num_decoded(recipe, sizes))
    trained = counted.trained_bytes
    kept = {"weights": weights, "gradients": trained, "state of the optimiser": 2 * trained}
    kept |= {"average of the weights": trained} if average else {}
    state = {"copy of the state": (4 if average else 3) * trained}
    return (
        Moment("a step", {**kept, "pictures and activations": max(0, counted.peak_bytes - trained)}, host),
        Moment("saving", {**kept, **state}, host if unified else {**host, **state}),
        reading_moment(recipe, weights, trained),
    )


def reading_moment(recipe: Recipe, weights: int, gradients: int = 0) -> Moment:
    """Give the moment in which a model is read from disk, while the one that was trained, with gradients, is there."""
    text = recipe.model.clip["text_cfg"]
    table = FEATURE_BYTES * text.get("vocab_size", 49408) * text.get("width", 512)
    host = {"weights as read": weights, "a new model": weights, "its token table": table}
    return Moment("reading the stored model", {"weights": weights, "gradients of before": gradients}, host)


def generation_moments(
    recipe: Recipe, sizes: Sizes, counted: Counted, weights: int, *, unified: bool
) -> tuple[Moment, ...]:
    """Give the moments of stage 2; see `encoder_moments`."""
    num_texts, num_videos, views = sizes.second_stage_captions, sizes.second_stage_videos, recipe.generation.num_views
    texts, videos = text_bytes(recipe.model, num_texts), video_bytes(recipe.model, num_videos)
    similarity = getattr(torch, recipe.generation.mining_precision).itemsize * num_texts * num_videos
    of_videos = {"weights": weights, "features of videos": views * videos}
    both = {**of_videos, "features of captions": texts}
    half = num_videos * recipe.model.max_frames * (2 * recipe.model.dim + 1)
    joined = {"features of videos in half precision, twice": 2 * half}
    if not unified:
        joined["features of videos"] = videos
    trained = counted.trained_bytes
    step = {
        **both,
        "features of all views": views * videos,
        "similarity of all captions and videos": similarity,
        "gradients": trained,
        "state of the optimiser": 2 * trained,
        "activations": max(0, counted.peak_bytes - trained),
    }
    if unified:
        step["similarity, video by video"] = similarity
    block = FEATURE_BYTES * TEXTS_AT_ONCE * recipe.model.max_words * VIDEOS_AT_ONCE * recipe.model.max_frames
    comparing = {
        **both,
        "copy of the frames": videos,
        "similarity of all captions and videos": similarity,
        "cosines of a block, twice": 2 * block,
    }
    return (
        Moment("joining the features of videos", of_videos, joined),
        Moment("comparing all captions with all videos", comparing, {}),
        Moment("a step", step, {}),
    )


def validation_moments(recipe: Recipe, sizes: Sizes, weights: int) -> tuple[Moment, ...]:
    """Give the moments of validation, by a second model, which is read from disk as it was stored."""
    config = recipe.model
    num_texts, num_videos = sizes.validation_captions, sizes.validation_videos
    per_video = FEATURE_BYTES * config.max_frames * (4 * config.dim + config.num_noise_levels)
    per_text = FEATURE_BYTES * (5 * config.dim + config.num_noise_levels)
    products = [size for size in (per_video * num_videos, per_text * num_texts) if size <= LARGEST_TABLE]
    features = text_bytes(config, num_texts) + video_bytes(config, num_videos)
    device = {
        "weights, twice": 2 * weights,
        "features": features,
        "similarity": FEATURE_BYTES * num_texts * num_videos,
        "products of the sampler": max(products, default=0),
    }
    return reading_moment(recipe, weights), Moment("generating", device, {})


def disk_bytes(recipe: Recipe, sizes: Sizes, weights: int, trained: int, *, first_stage: bool = True) -> dict[str, int]:
    """Give what a run writes; the frames are removed after stage 1."""
    stored = 2 if recipe.stored_precision == "float16" else 4
    encoded = recipe.generation.num_views * sizes.second_stage_videos + sizes.validation_videos
    average = 0 if recipe.contrastive.average_decay is None else 1
    num_decoded = _num_decoded(recipe, sizes) if first_stage and recipe.contrastive.frames_on_disk else 0
    looked_at = (recipe.contrastive.num_looks if first_stage else 0) or recipe.generation.num_looks
    return {
        "decoded frames": frame_bytes(recipe.model, num_decoded),
        "features": encoded * recipe.model.max_frames * (2 * recipe.model.dim + 1),
        "state of a stage, and the next beside it": 2 * (3 + average) * trained,
        "best weights, and the next beside them": 2 * trained if looked_at else 0,
        "two models": 2 * weights * stored // 4,
    }


def _num_decoded(recipe: Recipe, sizes: Sizes) -> int:
    """Count the videos whose frames stage 1 keeps: those to train on, and those to look at on the way."""
    return sizes.first_stage_videos + (sizes.validation_videos if recipe.contrastive.num_looks else 0)


def peak(moments: tuple[Moment, ...], *, unified: bool) -> tuple[int, int]:
    """Give the most bytes that are on the device, and in the host's memory, at any moment."""
    device = max(sum(one.device.values()) + (sum(one.host.values()) if unified else 0) for one in moments)
    return device, max(sum(one.host.values()) for one in moments) if not unified else device


def frame_bytes(config: ModelConfig, num_videos: int) -> int:
    """Give what decoded frames take, with their mask."""
    return num_videos * config.max_frames * (3 * config.image_size**2 + 1)


def text_bytes(config: ModelConfig, num_texts: int) -> int:
    """Give what features of texts take."""
    return num_texts * ((config.max_words + 1) * config.dim * FEATURE_BYTES + config.max_words)


def video_bytes(config: ModelConfig, num_videos: int) -> int:
    """Give what features of videos take."""
    return num_videos * config.max_frames * (config.dim * FEATURE_BYTES + 1)
