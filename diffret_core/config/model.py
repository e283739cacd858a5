"""What a model is: a frozen, validated description that reads from and writes to JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from diffret_core.config.checks import above_zero, at_least, fraction, one_of

Mode = Literal["default", "reference"]
ScheduleKind = Literal["cosine", "linear"]
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
        num_draws: Samples drawn per query, each from its own noise; their mean counts.
        eta: Noise added at every step: 0 is deterministic, 1 that of the ancestral sampler; see `sampler.ddim_steps`.
        start_level: Noise level at which walks start, from what the similarity says of the candidates: a variant of
            this project's. None is the paper's model, whose walks start from noise alone, at level K.
    """

    num_candidates: int = 32
    alpha: float = 1.0
    temperature: float = 1.0
    num_steps: int | None = None
    num_draws: int = 1
    eta: float = 0.0
    start_level: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        at_least("num_candidates", self.num_candidates, 1)
        at_least("alpha", self.alpha, 0.0)
        above_zero("temperature", self.temperature)
        if self.num_steps is not None:
            at_least("num_steps", self.num_steps, 1)
        at_least("num_draws", self.num_draws, 1)
        fraction("eta", self.eta)
        if self.start_level is not None:
            at_least("start_level", self.start_level, 1)


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
        noise: Whether the denoisers are shown noised distributions. False shows them zeros, at a single level, and they
            answer in one pass: a re-ranker of the same size without diffusion, to compare with.
        mode: "default", or "reference" for the released model's exact behaviour; SPEC section 12.
        normalise_frames: Whether frame features are scaled to size sqrt(D) each before the temporal transformer; the
            paper's go in as CLIP gives them.
        normalise_for_denoiser: Whether the denoisers read sentences and frames scaled to size sqrt(D) each; the paper's
            read them as they come.
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
    noise: bool = True
    mode: Mode = "default"
    normalise_frames: bool = False
    normalise_for_denoiser: bool = False
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
        at_least("max_frames", self.max_frames, 1)
        at_least("num_frame_positions", self.num_frame_positions, self.max_frames)
        above_zero("frames_per_second", self.frames_per_second)
        at_least("num_temporal_layers", self.num_temporal_layers, 1)
        at_least("num_noise_levels", self.num_noise_levels, 1)
        if len(self.image_mean) != 3 or len(self.image_std) != 3 or min(self.image_std) <= 0:
            raise ValueError(f"image_std is {self.image_std}; mean and std have three numbers each, std above 0")
        one_of("schedule", self.schedule, get_args(ScheduleKind))
        for name in ("noise", "normalise_frames", "normalise_for_denoiser"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be true or false")
        if not self.noise and self.num_noise_levels != 1:
            raise ValueError(f"num_noise_levels is {self.num_noise_levels}; without noise there is 1 level, one pass")
        if self.scoring.start_level is not None and not (self.noise and self.first_level <= self.num_noise_levels):
            raise ValueError(
                f"start_level is {self.first_level}; a model with noise has levels 1 to {self.num_noise_levels}"
                if self.noise
                else f"start_level is {self.first_level}; without noise there is no walk to start: leave it out"
            )
        one_of("mode", self.mode, get_args(Mode))

    @property
    def first_level(self) -> int:
        """The noise level at which walks start: K, unless the scoring says where."""
        start = self.scoring.start_level
        return self.num_noise_levels if start is None else start

    @property
    def dim(self) -> int:
        """D, the size of every feature."""
        return int(self.clip["embed_dim"])

    @property
    def image_size(self) -> int:
        """Side of the square image that the image encoder reads, in pixels."""
        return int(self.clip["vision_cfg"].get("image_size", 224))


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
