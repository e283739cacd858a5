"""How a run trains a model: its stages, and the recipe that joins them."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

from diffret_core.config.checks import above_zero, at_least, fraction, one_of
from diffret_core.config.model import ModelConfig

Precision = Literal["float32", "float16"]
ComputePrecision = Literal["float32", "bfloat16"]
LossKind = Literal["kl", "mse"]
Negatives = Literal["split", "batch"]


@dataclass(frozen=True, kw_only=True)
class PretrainingConfig:
    """What comes before stage 1 where CLIP starts from random weights: few frames against sentences.

    It sees the videos of stage 1.

    Attributes:
        num_steps: Optimiser steps.
        batch_size: Pairs of a caption and frames of its video per step.
        num_frames: Frames of a video that a step sees. 1 trains CLIP alone, as CLIP itself was trained; several train
            the temporal transformer too, by the mean of what it gives.
        group_size: Captions of a batch come in groups of this many that the model, as the phase begins, takes for
            alike; 1 draws all at random.
        num_alike: The others of a group are drawn from this many captions, the nearest to its first one.
        learning_rate: Peak rate.
        weight_decay: AdamW's, on matrices only.
        warmup_fraction: As in stage 1.
        max_gradient_norm: As in stage 1.
    """

    num_steps: int
    batch_size: int = 256
    num_frames: int = 1
    group_size: int = 1
    num_alike: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.2
    warmup_fraction: float = 0.1
    max_gradient_norm: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        at_least("num_steps", self.num_steps, 1)
        at_least("batch_size", self.batch_size, 2)
        at_least("num_frames", self.num_frames, 1)
        at_least("group_size", self.group_size, 1)
        at_least("num_alike", self.num_alike, self.group_size - 1)
        if self.batch_size % self.group_size != 0:
            raise ValueError(
                f"group_size is {self.group_size} and does not divide batch_size, {self.batch_size}, into whole groups"
            )
        above_zero("learning_rate", self.learning_rate)
        at_least("weight_decay", self.weight_decay, 0.0)
        fraction("warmup_fraction", self.warmup_fraction)
        above_zero("max_gradient_norm", self.max_gradient_norm)


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig:
    """Stage 1: the encoders, trained with the contrastive loss; SPEC section 6.

    Attributes:
        num_videos: Training videos used, from the start of the training list; None uses all.
        num_steps: Optimiser steps.
        batch_size: Pairs of a caption and its video per step.
        clip_learning_rate: Peak rate of CLIP's own weights.
        new_learning_rate: Peak rate of the temporal transformer and the token interaction.
        weight_decay: AdamW's, on matrices only.
        warmup_fraction: Part of the steps over which the rate rises from 0, before it falls as a cosine.
        max_gradient_norm: Gradients are scaled down to this norm.
        zero_unseen_words: Set the embeddings of word pieces that no training caption holds to zero at the end, so
            that an unknown word says nothing instead of noise. Only sensible for training from scratch.
        sentence_weight: Weight of a second contrastive loss, on the very features that the denoisers read: the
            sentence against the frames it pools. 0 is the paper's loss, which trains the sentence only as one word.
        max_shift: Videos are moved by up to this many pixels in each direction, anew at every step.
        frame_share: Part of each video's real frames that a step looks at, drawn anew at every step.
        encode_at_once: Captions and videos of a batch that are encoded at once. What the encoders compute on the way is
            then not kept but computed again for the gradient, so that memory is that of so many; the loss is still
            that of the whole batch. None encodes all at once and keeps everything.
        compute_precision: Of the products inside the encoders. Weights, features and the loss are in single precision.
        frames_on_disk: Keep the decoded frames in a file of the run's folder and not in memory.
        average_decay: The stage leaves an exponential average of the weights, of which each step keeps this part; None
            leaves those of the last step.
        num_looks: How often the stage is looked at on validation, at even distances; the weights that did best there
            are left. 0 leaves those of the last step.
    """

    num_videos: int | None = None
    num_steps: int
    batch_size: int = 128
    clip_learning_rate: float
    new_learning_rate: float = 1e-4
    weight_decay: float = 0.2
    warmup_fraction: float = 0.1
    max_gradient_norm: float = 1.0
    zero_unseen_words: bool = False
    sentence_weight: float = 0.0
    max_shift: int = 0
    frame_share: float = 1.0
    encode_at_once: int | None = None
    compute_precision: ComputePrecision = "float32"
    frames_on_disk: bool = False
    average_decay: float | None = None
    num_looks: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.num_videos is not None:
            at_least("num_videos", self.num_videos, 2)
        if self.encode_at_once is not None:
            at_least("encode_at_once", self.encode_at_once, 1)
        one_of("compute_precision", self.compute_precision, get_args(ComputePrecision))
        if self.average_decay is not None:
            fraction("average_decay", self.average_decay)
        at_least("num_looks", self.num_looks, 0)
        at_least("num_steps", self.num_steps, 1)
        at_least("batch_size", self.batch_size, 2)
        above_zero("clip_learning_rate", self.clip_learning_rate)
        above_zero("new_learning_rate", self.new_learning_rate)
        at_least("weight_decay", self.weight_decay, 0.0)
        fraction("warmup_fraction", self.warmup_fraction)
        above_zero("max_gradient_norm", self.max_gradient_norm)
        at_least("sentence_weight", self.sentence_weight, 0.0)
        at_least("max_shift", self.max_shift, 0)
        fraction("frame_share", self.frame_share)
        above_zero("frame_share", self.frame_share)


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """Stage 2: the denoisers, trained on frozen features; SPEC section 9.

    Attributes:
        first_video: Where in the training list its videos begin: those before it were stage 1's.
        num_videos: How many videos from there; None uses all that follow.
        num_steps: Optimiser steps.
        batch_size: Queries per step and direction.
        num_candidates: N, the positive and N-1 hard negatives.
        negatives: Where negatives come from: all items of the split, or only those that the queries of the same batch
            look for, as in the released code.
        negative_pool: The negatives are drawn from this many most similar items; N-1 takes the hardest themselves.
        mining_precision: Of the similarity of all captions and videos, from which the negatives are chosen; it is
            the largest thing in memory where there are many.
        learning_rate: Peak rate.
        loss: Which loss; see `losses.generation_loss`.
        loss_scale: Factor on the estimate before the cross-entropy.
        offset_penalty: See `losses.generation_loss`.
        num_views: In how many versions each video is encoded; a step draws one of them for each. The first is the
            video as it is, the others are moved and lack some frames, so that the denoisers learn no video by heart.
        max_shift: The other views are moved by up to this many pixels in each direction.
        frame_share: The other views keep at least this part of the real frames.
        view_seed: Seed of the other views, so that runs of several seeds can share them; the run's own if None.
        warmup_fraction: As in stage 1.
        max_gradient_norm: As in stage 1.
        num_looks: As in stage 1.
    """

    first_video: int = 0
    num_videos: int | None = None
    num_steps: int
    batch_size: int = 128
    num_candidates: int = 32
    negatives: Negatives = "split"
    negative_pool: int = 31
    mining_precision: Precision = "float32"
    learning_rate: float = 1e-4
    loss: LossKind = "kl"
    loss_scale: float = 100.0
    offset_penalty: float = 0.0
    num_views: int = 1
    max_shift: int = 0
    frame_share: float = 1.0
    view_seed: int | None = None
    warmup_fraction: float = 0.1
    max_gradient_norm: float = 1.0
    num_looks: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        at_least("first_video", self.first_video, 0)
        if self.num_videos is not None:
            at_least("num_videos", self.num_videos, 2)
        at_least("num_steps", self.num_steps, 1)
        at_least("batch_size", self.batch_size, 1)
        at_least("num_candidates", self.num_candidates, 2)
        one_of("negatives", self.negatives, get_args(Negatives))
        at_least("negative_pool", self.negative_pool, self.num_candidates - 1)
        one_of("loss", self.loss, get_args(LossKind))
        one_of("mining_precision", self.mining_precision, get_args(Precision))
        above_zero("learning_rate", self.learning_rate)
        above_zero("loss_scale", self.loss_scale)
        at_least("offset_penalty", self.offset_penalty, 0.0)
        at_least("num_views", self.num_views, 1)
        at_least("max_shift", self.max_shift, 0)
        fraction("frame_share", self.frame_share)
        above_zero("frame_share", self.frame_share)
        fraction("warmup_fraction", self.warmup_fraction)
        above_zero("max_gradient_norm", self.max_gradient_norm)
        at_least("num_looks", self.num_looks, 0)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run: model, data, all stages.

    Attributes:
        name: How `diffret train --recipe` calls it.
        model: The architecture.
        contrastive: Stage 1.
        generation: Stage 2.
        collection: The reader of the annotation files; a key of `datasets.READERS`.
        pretraining: What comes before stage 1, single frames first; nothing where CLIP is pretrained.
        seed: Seed of every random choice.
        clip_name: open_clip model to start from; None starts from random weights.
        pretrained: Its open_clip weight tag or a file.
        stored_precision: Of the trained weights on disk.
    """

    name: str
    model: ModelConfig
    contrastive: ContrastiveConfig
    generation: GenerationConfig
    collection: str = "msrvtt"
    pretraining: tuple[PretrainingConfig, ...] = ()
    seed: int = 0
    clip_name: str | None = None
    pretrained: str | None = None
    stored_precision: Precision = "float32"

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        sizes = [phase.num_frames for phase in self.pretraining]
        if sizes != sorted(sizes):
            raise ValueError(f"pretraining: phases see {sizes} frames; give those with fewer frames first")


def to_json(config: ModelConfig | Recipe) -> dict[str, Any]:
    """Turn a configuration into plain JSON values; a variant that is not used is left out, as before it existed."""
    values: dict[str, Any] = dataclasses.asdict(config)
    scoring = values.get("model", values)["scoring"]
    if scoring["start_level"] is None:
        del scoring["start_level"]
    return values
