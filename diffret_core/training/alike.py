"""Batches that are hard to tell apart: captions together with others that the model takes for alike."""

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional

from diffret_core.randomness import generator
from diffret_core.retriever import Retriever
from diffret_core.training.pairs import TrainingPairs, pairs_of_step

TEXTS_AT_ONCE = 500


@torch.no_grad()
def alike_captions(model: Retriever, pairs: TrainingPairs, num_alike: int) -> Int[Tensor, "T A"]:
    """Find the captions of other videos that are nearest to each, by the cosine of the sentence features.

    Args:
        model: As it is now; what it has not learned to tell apart is nearest.
        pairs: The captions.
        num_alike: How many of each.

    Returns:
        Captions, nearest first, on the CPU.

    Raises:
        ValueError: If a caption has fewer others.
    """
    most_of_one_video = int(pairs.video_of_text.bincount().max())
    if num_alike > len(pairs.word_ids) - most_of_one_video:
        raise ValueError(
            f"num_alike is {num_alike}, but a caption has {len(pairs.word_ids) - most_of_one_video} of other videos"
        )
    sentences = torch.cat(
        [
            functional.normalize(model.encode_tokens(ids.to(model.device), mask.to(model.device)).sentence, dim=-1)
            for ids, mask in zip(pairs.word_ids.split(TEXTS_AT_ONCE), pairs.word_mask.split(TEXTS_AT_ONCE), strict=True)
        ]
    )
    found = []
    for some, videos in zip(sentences.split(TEXTS_AT_ONCE), pairs.video_of_text.split(TEXTS_AT_ONCE), strict=True):
        own = (videos[:, None] == pairs.video_of_text).to(model.device)
        found.append((some @ sentences.T).masked_fill(own, -torch.inf).topk(num_alike, dim=1).indices.cpu())
    return torch.cat(found)


def grouped_pairs_of_step(
    step: int, alike: Int[Tensor, "T A"], batch_size: int, group_size: int, seed: int
) -> Int[Tensor, " B"]:
    """Walk through all captions in a new order each epoch, each with some that are alike.

    Args:
        step: Which step.
        alike: From `alike_captions`.
        batch_size: Captions of a step.
        group_size: A caption and group_size - 1 drawn from its own of `alike`.
        seed: Seed of order and draws.
    """
    first = pairs_of_step(step, len(alike), batch_size // group_size, seed)
    draw = generator(seed, "captions that are alike", step)
    order = torch.rand(len(first), alike.shape[1], generator=draw).argsort(dim=1)[:, : group_size - 1]
    return torch.cat([first[:, None], alike[first].gather(1, order)], dim=1).flatten()
