"""How long a run's work takes on this machine: a few real steps, or smaller ones scaled up by their operations."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim.optimizer import register_optimizer_step_pre_hook

from diffret_core.config import DIRECTIONS, GenerationConfig, ModelConfig, PretrainingConfig
from diffret_core.galleries import TEXTS_AT_ONCE
from diffret_core.plans.inputs import Sample, fake_model, fake_pairs, made_up_features, repeated
from diffret_core.plans.live import LiveTensors
from diffret_core.plans.steps import (
    Counted,
    EncoderStage,
    encoder_trainer,
    made_up_generation,
    narrow,
    num_bytes,
    weight_bytes,
)
from diffret_core.prepared import generate_all
from diffret_core.retriever import Retriever
from diffret_core.training.first_stage import normaliser
from diffret_core.training.trainer import Trainer

STEPS = 3
SECONDS_AT_MOST = 2.0  # of a step, about; where a whole one would take longer, a smaller one is taken
GROWTH = 4  # from a step to the next larger one: a small one is mostly overhead, and says little about a large one
_FRAMES = 2  # of each video in the smallest step
_COMPARED = (32, 128)  # texts and videos
QUERIES = 32


@dataclass(frozen=True)
class Time:
    """How long something takes here: the very thing was timed, or less of it and scaled up."""

    seconds: float
    is_measured: bool


class _Taken(NamedTuple):
    computing: float  # seconds of the loss and its gradient
    updating: float  # seconds of the optimiser
    operations: int
    trained_bytes: int


def time_encoder_step(
    config: ModelConfig, stage: EncoderStage, whole: Counted, sample: Sample, room: int, *, device: torch.device
) -> Time:
    """Time a step of stage 1, or of what comes before it.

    Steps of more and more pairs are taken. Where a whole one would take long or more than the room, loss and gradient
    go on along a straight line through the two largest steps. Where not even two whole videos, or all layers, were
    possible, they are scaled up by their operations, and the optimiser by the weights.

    Args:
        config: The model.
        stage: Settings of the stage.
        whole: A whole step, counted.
        sample: Videos and captions.
        room: Bytes that may be used.
        device: Where to compute.
    """
    state = 4 * whole.trained_bytes  # weights, gradients and two moments
    is_deep, all_frames = state < room / 2, config.max_frames
    model = random_model(config if is_deep else shallow(config), device)

    def take(num_pairs: int, num_frames: int, num_steps: int = STEPS) -> _Taken:
        return _take(encoder_trainer(model, repeated(sample, num_pairs, num_frames), stage), device, num_steps)

    most = stage.batch_size * all_frames
    if is_deep:
        most = min(most, int(most * (room - state) / whole.peak_bytes))
    num_pairs, num_frames = 2, all_frames if isinstance(stage, PretrainingConfig) else min(_FRAMES, all_frames)
    taken, less = take(num_pairs, num_frames, 1), (0, 0.0)  # pairs and seconds of a smaller step
    while taken.computing < SECONDS_AT_MOST / GROWTH and num_pairs * num_frames < most:
        less = (num_pairs, taken.computing) if num_frames == all_frames else less
        size = min(most, GROWTH * num_pairs * num_frames)
        num_frames = max(num_frames, min(all_frames, size // num_pairs))
        num_pairs = max(num_pairs, min(stage.batch_size, size // num_frames))
        taken = take(num_pairs, num_frames, 1)
    if taken.computing < SECONDS_AT_MOST:
        taken = take(num_pairs, num_frames)
    if is_deep and (num_pairs, num_frames) == (stage.batch_size, all_frames):
        return Time(taken.computing + taken.updating, True)
    if is_deep and num_frames == all_frames:  # what is the same in both steps, whatever their size, is not scaled
        each = (taken.computing - less[1]) / (num_pairs - less[0])
        computing = taken.computing + (stage.batch_size - num_pairs) * each
    else:
        computing = taken.computing * whole.operations * sample.real_share / taken.operations
    return Time(computing + taken.updating * whole.trained_bytes / taken.trained_bytes, False)


def time_generation_step(
    config: ModelConfig, stage: GenerationConfig, num_videos: int, *, device: torch.device
) -> Time:
    """Time a step of stage 2 on made-up features, of as many videos as can matter to a step."""
    trainer, number = made_up_generation(config, stage, num_videos, device)
    taken = _take(trainer, device, STEPS)
    return Time(taken.computing + taken.updating, number == num_videos)


def time_encoding(config: ModelConfig, sample: Sample, room: int, *, device: torch.device) -> tuple[Time, Time]:
    """Time the encoding of a video and of a caption, without gradients.

    Args:
        config: The model.
        sample: Videos and captions.
        room: Bytes that may be used.
        device: Where to compute.
    """
    is_deep = 2 * sum(weight_bytes(config).values()) < room
    model = random_model(config if is_deep else shallow(config), device).eval()
    deeper = (1.0, 1.0) if is_deep else _times_as_deep(config)
    all_frames, made_up = config.max_frames, repeated(sample, 16, config.max_frames).images
    normalise = normaliser(config)

    def encode_frames(number: int) -> object:
        shape = (max(1, number // all_frames), min(number, all_frames))
        images = normalise(made_up[: shape[0], : shape[1]]).to(device)
        return model.encode_videos(images, torch.ones(shape, dtype=torch.bool, device=device)).frames.cpu()

    def encode_captions(number: int) -> object:
        chosen = repeated(sample, number, 1)
        return model.encode_tokens(chosen.word_ids.to(device), chosen.word_mask.to(device)).sentence.cpu()

    with torch.no_grad():
        of_frame, enough_frames = _seconds_a_row(encode_frames, min(_FRAMES, all_frames), 16 * all_frames, device)
        of_caption, _ = _seconds_a_row(encode_captions, 16, TEXTS_AT_ONCE, device)
    of_video = of_frame * all_frames * sample.real_share * deeper[0]
    return Time(of_video, is_deep and enough_frames >= all_frames), Time(of_caption * deeper[1], is_deep)


def time_comparison(config: ModelConfig, *, device: torch.device) -> float:
    """Time the comparison of one caption with one video, every word and frame real."""
    model = random_model(narrow(config), device)
    num_texts, num_videos = _COMPARED
    features = made_up_features(config, num_texts, num_videos, num_words=config.max_words, device=device)
    with torch.no_grad():
        return _seconds(lambda: model.similarity(*features), device) / (num_texts * num_videos)


def time_generation(config: ModelConfig, *, device: torch.device) -> float:
    """Time the generation for one query; the mean of both directions."""
    model = random_model(narrow(config), device).eval()
    features = made_up_features(config, QUERIES, QUERIES, num_words=1, device=device)
    items = torch.arange(min(config.scoring.num_candidates, QUERIES), device=device).repeat(QUERIES, 1)
    ask = partial(generate_all, model, similarity=torch.zeros(items.shape, device=device))
    took = [_seconds(partial(ask, direction, *features, items), device) for direction in DIRECTIONS]
    return sum(took) / (len(took) * QUERIES)


def random_model(config: ModelConfig, device: torch.device) -> Retriever:
    """Make a model with random weights; the numbers of others are not disturbed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Retriever(config).to(device)


def shallow(config: ModelConfig) -> ModelConfig:
    """Take all layers but the first from both encoders where they are transformers."""
    vision, text = config.clip["vision_cfg"], config.clip["text_cfg"]
    layers = 1 if isinstance(vision.get("layers", 12), int) else vision["layers"]
    clip = {**config.clip, "vision_cfg": {**vision, "layers": layers}, "text_cfg": {**text, "layers": 1}}
    return replace(config, clip=clip)


def _times_as_deep(config: ModelConfig) -> tuple[float, float]:
    """How many times the operations of its shallow form a model takes: for a video, and for a caption."""
    whole, less = _forward_operations(config), _forward_operations(shallow(config))
    return whole[0] / less[0], whole[1] / less[1]


@torch.no_grad()
def _forward_operations(config: ModelConfig) -> tuple[int, int]:
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    model, pair = fake_model(config, torch.device("cpu"), fake), fake_pairs(config, 1, fake)
    with LiveTensors() as of_video:
        model.encode_videos(normaliser(config)(pair.images), pair.frame_mask)
    with LiveTensors() as of_caption:
        model.encode_tokens(pair.word_ids, pair.word_mask)
    return of_video.operations, of_caption.operations


def _take(trainer: Trainer, device: torch.device, num_steps: int) -> _Taken:
    """Take a step that is counted and not timed, since the first is slower, then some that are; give the medians."""
    steps = trainer.steps()
    with LiveTensors() as live:
        next(steps)
    updates: list[float] = []
    handle = register_optimizer_step_pre_hook(lambda *_: updates.append(_now(device)))
    computing, updating = [], []
    for _ in range(num_steps):
        start = _now(device)
        next(steps)
        updating.append(_now(device) - updates[-1])
        computing.append(updates[-1] - start)
    handle.remove()
    trained = num_bytes(trainer.parameters.values())
    return _Taken(statistics.median(computing), statistics.median(updating), live.operations, trained)


def _seconds_a_row(compute: Callable[[int], object], fewest: int, most: int, device: torch.device) -> tuple[float, int]:
    """Time few rows, then as many as are done in reasonable time; give the time of one, and how many there were."""
    few = _seconds(partial(compute, fewest), device) / fewest
    number = max(fewest, min(most, int(SECONDS_AT_MOST / few)))
    if number == fewest:
        return few, number
    return _seconds(partial(compute, number), device) / number, number


def _seconds(compute: Callable[[], object], device: torch.device) -> float:
    """Give the least time of two, after one that is not timed."""
    compute()
    took = []
    for _ in range(2):
        start = _now(device)
        compute()
        took.append(_now(device) - start)
    return min(took)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
