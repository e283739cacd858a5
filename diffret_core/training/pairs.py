"""Training pairs of a caption and its video, in memory, and the choice of those that a step sees."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from diffret_core.config import Mode
from diffret_core.randomness import generator

Normalise = Callable[[UInt8[Tensor, "V F 3 H H"]], Float[Tensor, "V F 3 H H"]]


class TrainingPairs(NamedTuple):
    """Captioned videos in memory: every text is one pair with its video.

    Attributes:
        images: Frames as bytes, resized and cropped, padded with zeros.
        frame_mask: True for real frames.
        word_ids: Tokens of every caption.
        word_mask: True for real tokens.
        video_of_text: Which video each caption describes.
    """

    images: UInt8[Tensor, "V F 3 H H"]
    frame_mask: Bool[Tensor, "V F"]
    word_ids: Int[Tensor, "T W"]
    word_mask: Bool[Tensor, "T W"]
    video_of_text: Int[Tensor, " T"]


class Batch(NamedTuple):
    """The pairs of one step.

    Attributes:
        videos: The video of each pair.
        word_ids: Tokens of each caption.
        word_mask: True for real tokens.
    """

    videos: Int[Tensor, " B"]
    word_ids: Int[Tensor, "B W"]
    word_mask: Bool[Tensor, "B W"]


def check_batch(pairs: TrainingPairs, batch_size: int) -> None:
    """Refuse batches that cannot be filled.

    Raises:
        ValueError: If there are fewer pairs than a batch holds.
    """
    num_texts = len(pairs.word_ids)
    if num_texts < batch_size:
        raise ValueError(f"{num_texts} pairs cannot fill a batch of {batch_size}; use a smaller batch_size")


def pairs_of_step(step: int, num_texts: int, batch_size: int, seed: int) -> Int[Tensor, " B"]:
    """Walk through all pairs in a new order each epoch; what does not fill a batch is left to the next order."""
    num_batches = num_texts // batch_size
    epoch, batch = divmod(step, num_batches)
    order = torch.randperm(num_texts, generator=generator(seed, "order of training pairs", epoch))
    return order[batch * batch_size : (batch + 1) * batch_size]


def batch_of(pairs: TrainingPairs, texts: Int[Tensor, " B"], *, mode: Mode) -> Batch:
    """Give the pairs of some captions; in default mode without the columns that are padding in all of them."""
    word_ids, word_mask = pairs.word_ids[texts], pairs.word_mask[texts]
    if mode == "default":  # in reference mode padding can win a maximum
        word_ids, word_mask = trim(word_ids, word_mask)
    return Batch(pairs.video_of_text[texts], word_ids, word_mask)


def trim(
    word_ids: Int[Tensor, "B W"], word_mask: Bool[Tensor, "B W"]
) -> tuple[Int[Tensor, "B W2"], Bool[Tensor, "B W2"]]:
    """Drop the columns in which all texts are padding: they change nothing and cost time."""
    longest = int(word_mask.sum(dim=1).max())
    return word_ids[:, :longest], word_mask[:, :longest]


def belong_together(word_ids: Int[Tensor, "B W"], videos: Int[Tensor, " B"]) -> Bool[Tensor, "B B"]:
    """Mark pairs of one video, and pairs with the same words: neither is a negative of the other."""
    same_text = (word_ids[:, None] == word_ids[None]).all(dim=-1)
    return (videos[:, None] == videos[None]) | same_text
