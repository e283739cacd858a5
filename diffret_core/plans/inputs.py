"""What a step is counted and timed on: made-up captions and videos, or some of a collection, as often as needed."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from diffret_core.config import ModelConfig
from diffret_core.datasets import Collection
from diffret_core.encoders import tokenize
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.galleries import read_videos
from diffret_core.randomness import generator
from diffret_core.retriever import Retriever
from diffret_core.training.pairs import TrainingPairs

SAMPLED_VIDEOS, SAMPLED_CAPTIONS = 8, 256


class Sample(NamedTuple):
    """Videos and captions that stand for all.

    Attributes:
        images: Frames as bytes.
        frame_mask: True for real frames.
        word_ids: Tokens of captions.
        word_mask: True for real tokens.
        seconds_to_decode: A video, one after the other; None where the videos are made up.
    """

    images: UInt8[Tensor, "V F 3 H H"]
    frame_mask: Bool[Tensor, "V F"]
    word_ids: Int[Tensor, "T W"]
    word_mask: Bool[Tensor, "T W"]
    seconds_to_decode: float | None

    @property
    def real_share(self) -> float:
        """Part of the frame slots that hold a frame."""
        return float(self.frame_mask.float().mean())


def made_up_sample(config: ModelConfig) -> Sample:
    """Make up videos and captions that are as long as can be: no real ones take more time."""
    return Sample(*_made_up_videos(config, 1, _bytes), *_made_up_captions(config, SAMPLED_CAPTIONS), None)


def sample_of(collection: Collection, config: ModelConfig) -> Sample:
    """Read some captions and decode some videos, spread evenly over those to train on; without videos, make them up.

    Raises:
        ValueError: If a caption is empty or a video is damaged.
    """
    pairs = collection.pairs("train")
    captions = [pairs[place * len(pairs) // SAMPLED_CAPTIONS].text for place in range(SAMPLED_CAPTIONS)]
    words = tokenize(captions, config.max_words)
    missing = set(collection.missing_videos("train"))
    there = [video_id for video_id in collection.video_ids("train") if video_id not in missing]
    if not there:
        return Sample(*_made_up_videos(config, 1, _bytes), *words, None)
    number = min(SAMPLED_VIDEOS, len(there))
    paths = [collection.video_path(there[place * len(there) // number]) for place in range(number)]
    start = time.perf_counter()
    videos = read_videos(paths, config)
    return Sample(*videos, *words, (time.perf_counter() - start) / number)


def repeated(sample: Sample, num_pairs: int, num_frames: int) -> TrainingPairs:
    """Make pairs of a sample, each caption with a video of its own, with the first frames of every video."""
    video = torch.arange(num_pairs) % len(sample.images)
    caption = torch.arange(num_pairs) % len(sample.word_ids)
    return TrainingPairs(
        sample.images[video, :num_frames],
        sample.frame_mask[video, :num_frames],
        sample.word_ids[caption],
        sample.word_mask[caption],
        torch.arange(num_pairs),
    )


def fake_pairs(config: ModelConfig, num_pairs: int, fake: FakeTensorMode) -> TrainingPairs:
    """Make pairs whose masks and tokens are real, since code asks for them, and whose pictures are not."""
    with fake:
        images, _ = _made_up_videos(config, num_pairs, partial(torch.empty, dtype=torch.uint8))
    mask = torch.ones(images.shape[:2], dtype=torch.bool)
    return TrainingPairs(images, mask, *_made_up_captions(config, num_pairs), torch.arange(num_pairs))


def fake_model(config: ModelConfig, device: torch.device, fake: FakeTensorMode) -> Retriever:
    """Make a model whose weights are fake: it takes no memory, whatever its size."""
    with torch.device("meta"):
        model = Retriever(config)
    with fake:
        return model.to_empty(device=device)


def made_up_features(
    config: ModelConfig, num_texts: int, num_videos: int, *, num_words: int, device: torch.device
) -> tuple[TextFeatures, VideoFeatures]:
    """Make features of texts and videos without padding, of CLIP's size."""
    words = torch.ones(num_texts, num_words, dtype=torch.bool, device=device)
    frames = torch.ones(num_videos, config.max_frames, dtype=torch.bool, device=device)
    draw = generator(0, "made-up features")

    def features(*shape: int) -> Float[Tensor, "..."]:
        return (torch.randn(*shape, config.dim, generator=draw) * (10 / config.dim**0.5)).to(device)

    return TextFeatures(features(*words.shape), features(num_texts), words), VideoFeatures(
        features(*frames.shape), frames
    )


def _made_up_videos(
    config: ModelConfig, num_videos: int, make: Callable[..., Tensor]
) -> tuple[UInt8[Tensor, "V F 3 H H"], Bool[Tensor, "V F"]]:
    shape = (num_videos, config.max_frames, 3, config.image_size, config.image_size)
    return make(shape), torch.ones(shape[:2], dtype=torch.bool)


def _bytes(shape: Sequence[int]) -> UInt8[Tensor, "..."]:
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator(0, "made-up frames"))


def _made_up_captions(config: ModelConfig, num_texts: int) -> tuple[Int[Tensor, "T W"], Bool[Tensor, "T W"]]:
    vocab_size = config.clip["text_cfg"].get("vocab_size", 49408)
    draw = generator(0, "made-up captions")
    ids = torch.randint(1, vocab_size - 2, (num_texts, config.max_words), generator=draw)
    ids[:, -1] = vocab_size - 1  # the end token has the largest id
    return ids, torch.ones_like(ids, dtype=torch.bool)
