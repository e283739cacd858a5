"""Stage 1: train the encoders and the similarity with the contrastive loss; SPEC section 6."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from diffret_core.config import ContrastiveConfig
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.losses import contrastive_loss
from diffret_core.randomness import generator
from diffret_core.retriever import Retriever
from diffret_core.training.processes import all_rows, own_rows
from diffret_core.training.trainer import ParameterGroup, Trainer

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


def contrastive_trainer(
    model: Retriever, pairs: TrainingPairs, config: ContrastiveConfig, normalise: Normalise, *, seed: int
) -> Trainer:
    """Prepare stage 1.

    Args:
        model: The model; everything but its denoisers is trained.
        pairs: Training data.
        config: Settings of the stage.
        normalise: Turns bytes into what the image encoder reads.
        seed: Seed of the order of the pairs.

    Raises:
        ValueError: If there are fewer pairs than a batch holds.
    """
    num_texts = len(pairs.word_ids)
    if num_texts < config.batch_size:
        raise ValueError(f"{num_texts} pairs cannot fill a batch of {config.batch_size}; use a smaller batch_size")

    def loss_of_step(step: int) -> Float[Tensor, ""]:
        texts = _pairs_of_step(step, num_texts, config.batch_size, seed)
        videos = pairs.video_of_text[texts]
        word_ids, word_mask = pairs.word_ids[texts], pairs.word_mask[texts]
        if model.config.mode == "default":  # in reference mode padding can win a maximum
            word_ids, word_mask = _trim(word_ids, word_mask)
        own_ids, own_mask, own_videos = own_rows(word_ids), own_rows(word_mask), own_rows(videos)
        frame_mask = pairs.frame_mask[own_videos]
        images = normalise(pairs.images[own_videos]) * frame_mask[..., None, None, None]  # padding: 0 after normalising
        own_texts = model.encode_tokens(own_ids.to(model.device), own_mask.to(model.device))
        own_frames = model.encode_videos(images.to(model.device), frame_mask.to(model.device))
        text_features = TextFeatures(*map(all_rows, own_texts))
        video_features = VideoFeatures(*map(all_rows, own_frames))
        same = _belong_together(word_ids, videos).to(model.device)
        return contrastive_loss(model.similarity(text_features, video_features), model.logit_scale, same_video=same)

    named = {name: value for name, value in model.named_parameters() if "denoiser" not in name}
    clip = {name: value for name, value in named.items() if name.startswith("clip.")}
    new = {name: value for name, value in named.items() if name not in clip}
    groups = [
        ParameterGroup(clip, config.clip_learning_rate, config.weight_decay),
        ParameterGroup(new, config.new_learning_rate, config.weight_decay),
    ]
    return Trainer(
        groups,
        loss_of_step,
        num_steps=config.num_steps,
        warmup_fraction=config.warmup_fraction,
        max_gradient_norm=config.max_gradient_norm,
    )


@torch.no_grad()
def zero_unseen_words(model: Retriever, word_ids: Int[Tensor, "T W"]) -> int:
    """Set the embedding of every word piece that no training caption holds to zero, and count those that stay.

    After training from scratch such an embedding is noise; as zero, an unknown word says nothing.
    """
    table = model.clip.token_embedding.weight
    seen = torch.zeros(len(table), dtype=torch.bool, device=table.device)
    seen[word_ids.unique().to(table.device)] = True
    table[~seen] = 0
    return int(seen.sum())


def _pairs_of_step(step: int, num_texts: int, batch_size: int, seed: int) -> Int[Tensor, " B"]:
    """Walk through all pairs in a new order each epoch; what does not fill a batch is left to the next order."""
    num_batches = num_texts // batch_size
    epoch, batch = divmod(step, num_batches)
    order = torch.randperm(num_texts, generator=generator(seed, "order of training pairs", epoch))
    return order[batch * batch_size : (batch + 1) * batch_size]


def _trim(
    word_ids: Int[Tensor, "B W"], word_mask: Bool[Tensor, "B W"]
) -> tuple[Int[Tensor, "B W2"], Bool[Tensor, "B W2"]]:
    """Drop the columns in which all texts are padding: they change nothing and cost time."""
    longest = int(word_mask.sum(dim=1).max())
    return word_ids[:, :longest], word_mask[:, :longest]


def _belong_together(word_ids: Int[Tensor, "B W"], videos: Int[Tensor, " B"]) -> Bool[Tensor, "B B"]:
    """Mark pairs of one video, and pairs with the same words: neither is a negative of the other."""
    same_text = (word_ids[:, None] == word_ids[None]).all(dim=-1)
    return (videos[:, None] == videos[None]) | same_text
