"""What a model is and how a run trains it: frozen, validated descriptions that read from and write to JSON."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Mode = Literal["default", "reference"]
ScheduleKind = Literal["cosine", "linear"]
Precision = Literal["float32", "float16"]
Direction = Literal["text_to_video", "video_to_text"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of the colours of CLIP's training images, on a scale of 0 to 1
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, kw_only=True)
class ScoringConfig:
    """How a generated sample becomes a score; SPEC section 10.

    Attributes:
        num_candidates: N, the candidates per query; the whole collection if it holds fewer.
        alpha: Weight of the generated probability beside the similarity.
        temperature: Factor on the sample before its softmax over the candidates.
        num_steps: Denoising steps; the noise levels they visit are spread evenly over 1..K. None visits them all.
    """

    num_candidates: int = 32
    alpha: float = 1.0
    temperature: float = 1.0
    num_steps: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        _at_least("num_candidates", self.num_candidates, 1)
        _at_least("alpha", self.alpha, 0.0)
        _above_zero("temperature", self.temperature)
        if self.num_steps is not None:
            _at_least("num_steps", self.num_steps, 1)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture, and what a video and a text must look like to fit it.

    Attributes:
        clip: An open_clip architecture: embed_dim, vision_cfg, text_cfg, quick_gelu.
        max_words: W, tokens per text with its start and end.
        max_frames: F, frames per video.
        frames_per_second: Frames taken from a second of video before at most F of them are kept.
        num_temporal_layers: Blocks of the temporal transformer.
        num_frame_positions: Position embeddings it has: the most frames a video can ever have.
        num_noise_levels: K.
        schedule: Form of the noise schedule.
        mode: "default", or "reference" for the released model's exact behaviour; SPEC section 12.
        image_mean: Subtracted from each colour channel (0 to 1).
        image_std: Divides each colour channel afterwards.
        scoring: How samples become scores.
    """

    clip: Mapping[str, Any]
    max_words: int = 32
    max_frames: int = 12
    frames_per_second: float = 1.0
    num_temporal_layers: int = 4
    num_frame_positions: int = 77
    num_noise_levels: int = 50
    schedule: ScheduleKind = "cosine"
    mode: Mode = "default"
    image_mean: tuple[float, float, float] = CLIP_MEAN
    image_std: tuple[float, float, float] = CLIP_STD
    scoring: ScoringConfig = field(default_factory=ScoringConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for part in ("embed_dim", "vision_cfg", "text_cfg"):
            if part not in self.clip:
                raise ValueError(f"clip: {part!r} is missing; an open_clip architecture needs it")
        if not isinstance(self.clip.get("quick_gelu", False), bool):
            raise ValueError(f"clip: quick_gelu is {self.clip['quick_gelu']!r}; it must be true or false")
        context_length = self.clip["text_cfg"].get("context_length", 77)
        if not 3 <= self.max_words <= context_length:
            raise ValueError(f"max_words is {self.max_words}; the text encoder takes 3 to {context_length}")
        _at_least("max_frames", self.max_frames, 1)
        _at_least("num_frame_positions", self.num_frame_positions, self.max_frames)
        _above_zero("frames_per_second", self.frames_per_second)
        _at_least("num_temporal_layers", self.num_temporal_layers, 1)
        _at_least("num_noise_levels", self.num_noise_levels, 1)
        if len(self.image_mean) != 3 or len(self.image_std) != 3 or min(self.image_std) <= 0:
            raise ValueError(f"image_std is {self.image_std}; mean and std have three numbers each, std above 0")
        _one_of("schedule", self.schedule, get_args(ScheduleKind))
        _one_of("mode", self.mode, get_args(Mode))

    @property
    def dim(self) -> int:
        """D, the size of every feature."""
        return int(self.clip["embed_dim"])

    @property
    def image_size(self) -> int:
        """Side of the square image that the image encoder reads, in pixels."""
        return int(self.clip["vision_cfg"].get("image_size", 224))


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

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        _at_least("num_steps", self.num_steps, 1)
        _at_least("batch_size", self.batch_size, 2)
        _above_zero("clip_learning_rate", self.clip_learning_rate)
        _above_zero("new_learning_rate", self.new_learning_rate)
        _at_least("weight_decay", self.weight_decay, 0.0)
        _fraction("warmup_fraction", self.warmup_fraction)
        _above_zero("max_gradient_norm", self.max_gradient_norm)


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """Stage 2: the denoisers, trained on frozen features; SPEC section 9.

    Attributes:
        first_video: Where in the training list its videos begin: those before it were stage 1's.
        num_steps: Optimiser steps.
        batch_size: Queries per step and direction.
        num_candidates: N, the positive and N-1 hard negatives.
        negative_pool: The negatives are drawn from this many most similar items; N-1 takes the hardest themselves.
        learning_rate: Peak rate.
        loss_scale: Factor on the estimate before the cross-entropy.
        offset_penalty: See `losses.generation_loss`.
        warmup_fraction: As in stage 1.
        max_gradient_norm: As in stage 1.
    """

    first_video: int = 0
    num_steps: int
    batch_size: int = 128
    num_candidates: int = 32
    negative_pool: int = 31
    learning_rate: float = 1e-4
    loss_scale: float = 100.0
    offset_penalty: float = 0.0
    warmup_fraction: float = 0.1
    max_gradient_norm: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        _at_least("first_video", self.first_video, 0)
        _at_least("num_steps", self.num_steps, 1)
        _at_least("batch_size", self.batch_size, 1)
        _at_least("num_candidates", self.num_candidates, 2)
        _at_least("negative_pool", self.negative_pool, self.num_candidates - 1)
        _above_zero("learning_rate", self.learning_rate)
        _above_zero("loss_scale", self.loss_scale)
        _at_least("offset_penalty", self.offset_penalty, 0.0)
        _fraction("warmup_fraction", self.warmup_fraction)
        _above_zero("max_gradient_norm", self.max_gradient_norm)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole run: model, data, both stages.

    Attributes:
        name: How `diffret train --recipe` calls it.
        model: The architecture.
        contrastive: Stage 1.
        generation: Stage 2.
        seed: Seed of every random choice.
        clip_name: open_clip model to start from; None starts from random weights.
        pretrained: Its open_clip weight tag or a file.
        stored_precision: Of the trained weights on disk.
    """

    name: str
    model: ModelConfig
    contrastive: ContrastiveConfig
    generation: GenerationConfig
    seed: int = 0
    clip_name: str | None = None
    pretrained: str | None = None
    stored_precision: Precision = "float32"


def to_json(config: ModelConfig | Recipe) -> dict[str, Any]:
    """Turn a configuration into plain JSON values."""
    return dataclasses.asdict(config)


def model_config_from_json(value: Any) -> ModelConfig:
    """Read a model configuration back from JSON values.

    Raises:
        ValueError: If a field is missing, unknown or out of range.
    """
    try:
        scoring = ScoringConfig(**value["scoring"])
        colours = {name: tuple(value[name]) for name in ("image_mean", "image_std")}
        return ModelConfig(**{**value, **colours, "scoring": scoring})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a model configuration of this version ({error}); train or fetch it again") from None


def _at_least(name: str, value: int | float, least: int | float) -> None:
    if type(least) is int and type(value) is not int:
        raise ValueError(f"{name} is {value!r}; it must be a whole number")
    if not value >= least:
        raise ValueError(f"{name} is {value}; it must be at least {least}")


def _above_zero(name: str, value: int | float) -> None:
    if not value > 0:
        raise ValueError(f"{name} is {value}; it must be above 0")


def _fraction(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; it must be within 0 to 1")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
