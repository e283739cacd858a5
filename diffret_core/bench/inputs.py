"""What is measured on: sizes, models with random weights, features of the size that CLIP gives."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.config import Direction, ModelConfig, ScoringConfig
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.randomness import generator
from diffret_core.retriever import Retriever

FEATURE_NORM = 10.0  # about that of CLIP ViT-B/32: larger ones saturate the attention, smaller ones hide rounding
VOCABULARY = 49408


class Sizes(NamedTuple):
    """What can be chosen; each bench has its own defaults and uses the sizes that mean something to it.

    Attributes:
        queries: Queries of each direction, or texts that are compared.
        candidates: N.
        levels: K.
        dim: D, a multiple of 64.
        frames: F.
        words: W.
        videos: Items that queries choose from.
    """

    queries: int
    candidates: int
    levels: int
    dim: int
    frames: int
    words: int
    videos: int

    def checked(self) -> "Sizes":
        """Refuse sizes that cannot work.

        Raises:
            ValueError: If a size is below 1 or D is no multiple of 64.
        """
        for name, value in self._asdict().items():
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        if self.dim % 64:
            raise ValueError(
                f"dim is {self.dim}; attention heads have 64 features each, so it must be a multiple of 64"
            )
        return self._replace(candidates=min(self.candidates, self.videos))


class Case(NamedTuple):
    """Queries of one direction, and what each of them chooses from."""

    direction: Direction
    texts: TextFeatures
    videos: VideoFeatures
    items: Int[Tensor, "Q N"]


def make_model(sizes: Sizes, device: torch.device, *, num_text_layers: int = 1, vocabulary: int = 300) -> Retriever:
    """Make a retriever with random weights whose image tower is as small as can be."""
    text = {
        "context_length": max(3, sizes.words),
        "vocab_size": vocabulary,
        "width": sizes.dim,
        "heads": sizes.dim // 64,
        "layers": num_text_layers,
    }
    image = {"image_size": 16, "layers": 1, "width": 64, "head_width": 64, "patch_size": 8}
    config = ModelConfig(
        clip={"embed_dim": sizes.dim, "quick_gelu": True, "vision_cfg": image, "text_cfg": text},
        max_words=text["context_length"],
        max_frames=sizes.frames,
        num_frame_positions=sizes.frames,
        num_temporal_layers=1,
        num_noise_levels=sizes.levels,
        scoring=ScoringConfig(num_candidates=sizes.candidates),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Retriever(config).eval().requires_grad_(False).to(device)


def make_texts(num_texts: int, num_words: int, dim: int, device: torch.device) -> TextFeatures:
    """Make features of texts, every word real."""
    words, sentence = _features("words", num_texts, num_words, dim), _features("sentences", num_texts, dim)
    mask = torch.ones(num_texts, num_words, dtype=torch.bool)
    return TextFeatures(words.to(device), sentence.to(device), mask.to(device))


def make_videos(num_videos: int, num_frames: int, dim: int, device: torch.device) -> VideoFeatures:
    """Make features of videos, every frame real."""
    mask = torch.ones(num_videos, num_frames, dtype=torch.bool)
    return VideoFeatures(_features("frames", num_videos, num_frames, dim).to(device), mask.to(device))


def make_case(direction: Direction, sizes: Sizes, device: torch.device) -> Case:
    """Make queries that choose among items picked at random, all different."""
    from_text = direction == "text_to_video"
    num_texts, num_videos = (sizes.queries, sizes.videos) if from_text else (sizes.videos, sizes.queries)
    texts, videos = (
        make_texts(num_texts, 1, sizes.dim, device),
        make_videos(num_videos, sizes.frames, sizes.dim, device),
    )
    draw = generator(0, f"bench {direction}")
    order = torch.rand(sizes.queries, sizes.videos, generator=draw).topk(sizes.candidates, dim=1).indices
    return Case(direction, texts, videos, order.to(device))


def _features(what: str, *shape: int) -> Float[Tensor, "..."]:
    draw = generator(0, f"bench {what}")
    return torch.randn(shape, generator=draw) * (FEATURE_NORM / shape[-1] ** 0.5)
