"""A training step of each stage, counted: its operations, and the most memory that its tensors take at once."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from diffret_core.config import ContrastiveConfig, GenerationConfig, ModelConfig, PretrainingConfig
from diffret_core.plans.inputs import fake_model, fake_pairs, made_up_features
from diffret_core.plans.live import LiveTensors
from diffret_core.retriever import Retriever
from diffret_core.training.contrastive import contrastive_trainer
from diffret_core.training.first_stage import normaliser
from diffret_core.training.generation import generation_trainer
from diffret_core.training.pairs import TrainingPairs
from diffret_core.training.pretraining import pretraining_trainer
from diffret_core.training.trainer import Trainer

EncoderStage = ContrastiveConfig | PretrainingConfig
MANY_STEPS = 1000
FEATURE_BYTES = 4  # of a number in single precision
_LARGEST_FEATURES = 2**28  # bytes of made-up frame features
_NARROW_IMAGE = {"image_size": 16, "patch_size": 16, "width": 64, "head_width": 64, "layers": 1}
_NARROW_TEXT = {"width": 64, "heads": 1, "layers": 1}


class Counted(NamedTuple):
    """What a step takes.

    Attributes:
        peak_bytes: The most memory at once, with gradients, without weights and the optimiser's state.
        trained_bytes: Weights that are trained; their gradients take as much.
        operations: Multiplications and additions of products.
    """

    peak_bytes: int
    trained_bytes: int
    operations: int


def encoder_trainer(model: Retriever, pairs: TrainingPairs, stage: EncoderStage) -> Trainer:
    """Make the trainer of a stage for a batch of all pairs, as often as one likes."""
    normalise, size = normaliser(model.config), len(pairs.word_ids)
    if isinstance(stage, ContrastiveConfig):
        return contrastive_trainer(
            model, pairs, replace(stage, batch_size=size, num_steps=MANY_STEPS), normalise, seed=0
        )
    stage = replace(stage, batch_size=size, num_steps=MANY_STEPS, group_size=1)
    return pretraining_trainer(model, pairs, stage, normalise, seed=0)


def count_encoder_step(
    config: ModelConfig, stage: EncoderStage, device: torch.device, *, num_processes: int = 1
) -> Counted:
    """Count a step of stage 1, or of what comes before it, by running its code on fake tensors of the device.

    All words and frames are taken for real. Where a batch is encoded in pieces, one piece is run, with gradients that
    another piece has left; what grows with the batch is added: its pictures, and the gradients of its features. That
    the loss of the whole batch may take more than a piece is looked at with encoders that take next to nothing.

    Args:
        config: The model.
        stage: Settings of the stage.
        device: Where it is to run.
        num_processes: Processes that share the batch.
    """
    own = stage.batch_size // num_processes
    at_once = (stage.encode_at_once if isinstance(stage, ContrastiveConfig) else None) or own
    features = FEATURE_BYTES * config.dim * (config.max_words + 1 + config.max_frames)  # of a pair
    if not isinstance(stage, ContrastiveConfig) or at_once >= own or own <= 2:
        whole = _count(config, stage, max(2, own), device)  # one pair has no loss
        return whole._replace(peak_bytes=whole.peak_bytes + 2 * (stage.batch_size - own) * features)
    run = max(2, at_once)
    piece = _count(config, stage, run, device, video_gradients=True)
    pictures = config.max_frames * 3 * config.image_size**2
    more = (own - run) * pictures + (stage.batch_size - run) * features
    compared = _count(narrow(config), replace(stage, encode_at_once=max(1, own // 2)), stage.batch_size, device)
    peak = max(piece.peak_bytes + more, compared.peak_bytes + own * pictures)
    return Counted(peak, piece.trained_bytes, piece.operations * own // run)


def _count(
    config: ModelConfig, stage: EncoderStage, num_pairs: int, device: torch.device, *, video_gradients: bool = False
) -> Counted:
    """Count a step of one batch; videos are encoded again before texts, so their gradients are what a piece finds."""
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    trainer = encoder_trainer(fake_model(config, device, fake), fake_pairs(config, num_pairs, fake), stage)
    found = [value for name, value in trainer.parameters.items() if video_gradients and _encodes_videos(name)]
    for parameter in found:
        parameter.grad = torch.zeros_like(parameter)
    counted = count_step(trainer)
    return counted._replace(peak_bytes=counted.peak_bytes + num_bytes(found))


def _encodes_videos(name: str) -> bool:
    return name.startswith(("clip.visual.", "temporal."))


def count_step(trainer: Trainer) -> Counted:
    """Count the next step of a trainer, without the optimiser, which takes nothing that is not there."""
    with LiveTensors() as live:
        trainer.loss_of_step(0).backward()
    return Counted(live.peak_bytes, num_bytes(trainer.parameters.values()), live.operations)


def num_bytes(tensors: Iterable[Tensor]) -> int:
    """Add up what tensors take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def weight_bytes(config: ModelConfig) -> dict[str, int]:
    """Give what each of a model's weights takes, by its name, without making them."""
    with torch.device("meta"):
        model = Retriever(config)
    return {name: num_bytes([value]) for name, value in model.state_dict().items()}


def trained_bytes(weights: Mapping[str, int], stage: EncoderStage | GenerationConfig) -> int:
    """Add up the weights that a stage trains, from `weight_bytes`."""
    parts: tuple[str, ...] = ("clip.", "temporal.", "interaction.")
    if isinstance(stage, GenerationConfig):
        parts = ("text_query_denoiser.", "video_query_denoiser.")
    elif isinstance(stage, PretrainingConfig):
        parts = parts[:1] if stage.num_frames == 1 else parts[:2]
    return sum(size for name, size in weights.items() if name.startswith(parts))


def narrow(config: ModelConfig) -> ModelConfig:
    """Make the encoders as small as can be, with features of the same size."""
    clip = {**config.clip, "vision_cfg": _NARROW_IMAGE, "text_cfg": {**config.clip["text_cfg"], **_NARROW_TEXT}}
    return replace(config, clip=clip, num_temporal_layers=1)


def made_up_generation(
    config: ModelConfig, stage: GenerationConfig, num_videos: int, device: torch.device
) -> tuple[Trainer, int]:
    """Prepare steps of stage 2 on made-up features, with an encoder that takes next to nothing.

    Args:
        config: The model.
        stage: Settings of the stage.
        num_videos: Videos to choose candidates from; fewer are made up if they would not all be looked at in a step,
            or are too large.
        device: Where to compute.

    Returns:
        The trainer, and how many videos were made up.
    """
    most = min(stage.batch_size * stage.num_candidates, _LARGEST_FEATURES // (config.max_frames * config.dim * 4))
    number = max(2, min(num_videos, most))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Retriever(narrow(config)).eval().requires_grad_(False)
    for denoiser in (model.text_query_denoiser, model.video_query_denoiser):
        denoiser.train().requires_grad_(True)
    model.add_module("interaction", _MadeUpSimilarity())
    texts, videos = made_up_features(config, number, number, num_words=1, device=device)
    own = torch.arange(number, device=device)
    settings = replace(stage, num_steps=MANY_STEPS, num_views=1)
    return generation_trainer(model.to(device), texts, [videos], own, settings, wording=own, seed=0), number


def count_generation_step(
    config: ModelConfig, stage: GenerationConfig, num_videos: int, device: torch.device, *, num_processes: int = 1
) -> Counted:
    """Count a step of stage 2 by taking one.

    The similarities among which a step picks its negatives are added for the videos that were not made up.

    Args:
        config: The model.
        stage: Settings of the stage.
        num_videos: Videos of the stage.
        device: Where it is to run.
        num_processes: Processes that share the batch.
    """
    trainer, number = made_up_generation(
        config, replace(stage, batch_size=stage.batch_size // num_processes), num_videos, device
    )
    counted = count_step(trainer)
    to_pick = 2 * getattr(torch, stage.mining_precision).itemsize + 2  # a similarity, a copy to mask, and two masks
    more = (num_videos - number) * stage.batch_size * to_pick
    return counted._replace(peak_bytes=counted.peak_bytes + more)


class _MadeUpSimilarity(nn.Module):
    """Random numbers in place of the comparison, which takes longer than many steps and changes nothing about them."""

    def forward(
        self, words: Tensor, word_mask: Tensor, frames: Tensor, frame_mask: Tensor, *, dtype: torch.dtype
    ) -> Float[Tensor, "T V"]:
        return torch.rand(len(words), len(frames)).to(frames.device, dtype)
