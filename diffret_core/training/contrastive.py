"""Stage 1: train the encoders and the similarity with the contrastive loss; SPEC section 6."""

from functools import partial

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from diffret_core.config import ContrastiveConfig, Mode
from diffret_core.denoiser import pool_frames
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.losses import contrastive_loss
from diffret_core.processes import all_rows, own_rows, refuse_batch_norm
from diffret_core.randomness import generator
from diffret_core.retriever import Retriever
from diffret_core.training.encoding import check_pieces, encode_in_pieces
from diffret_core.training.pairs import Normalise, TrainingPairs, batch_of, belong_together, check_batch, pairs_of_step
from diffret_core.training.trainer import ParameterGroup, Trainer
from diffret_core.training.views import draw_frames, draw_shifts, shifted


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
        ValueError: If there are fewer pairs than a batch holds, or several processes or pieces of a batch train a model
            with batch normalisation.
    """
    check_batch(pairs, config.batch_size)
    refuse_batch_norm(model)
    check_pieces(model, config)
    encode = partial(encode_in_pieces, config=config)

    def encode_images(images: UInt8[Tensor, "B F 3 H H"], frame_mask: Bool[Tensor, "B F"]) -> VideoFeatures:
        real = normalise(images) * frame_mask[..., None, None, None]  # padding: 0 after normalising
        return model.encode_videos(real, frame_mask)

    def loss_of_step(step: int) -> Float[Tensor, ""]:
        texts = pairs_of_step(step, len(pairs.word_ids), config.batch_size, seed)
        videos, word_ids, word_mask = batch_of(pairs, texts, mode=model.config.mode)
        own_ids, own_mask, own_videos = own_rows(word_ids), own_rows(word_mask), own_rows(videos)
        looked_at, shift = _views_of_step(step, pairs.frame_mask[videos], config, seed)
        frame_mask = own_rows(looked_at)
        images = shifted(pairs.images[own_videos], own_rows(shift))
        own_texts = encode(model.encode_tokens, own_ids.to(model.device), own_mask.to(model.device))
        own_frames = encode(encode_images, images.to(model.device), frame_mask.to(model.device))
        text_features = TextFeatures(*map(all_rows, own_texts))
        video_features = VideoFeatures(*map(all_rows, own_frames))
        same = belong_together(word_ids, videos).to(model.device)
        loss = contrastive_loss(model.similarity(text_features, video_features), model.logit_scale, same_video=same)
        if config.sentence_weight == 0:
            return loss
        by_sentence = sentence_similarity(text_features, video_features, mode=model.config.mode)
        return loss + config.sentence_weight * contrastive_loss(by_sentence, model.logit_scale, same_video=same)

    named = {name: value for name, value in model.named_parameters() if "denoiser" not in name}
    saved = model.state_dict(keep_vars=True)
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
        average_decay=config.average_decay,
        buffers={name: value for name, value in saved.items() if name not in named and "denoiser" not in name},
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


def sentence_similarity(texts: TextFeatures, videos: VideoFeatures, *, mode: Mode) -> Float[Tensor, "T V"]:
    """Compare each sentence with each video as the denoisers see it: cosine of the sentence and the frames it pools."""
    query = texts.sentence[:, None]  # [T, 1, D]
    pooled = pool_frames(
        query,
        videos.frames[None],
        videos.frame_mask[None],
        mode=mode,
    )
    return functional.cosine_similarity(query, pooled, dim=-1)


def _views_of_step(
    step: int, frame_mask: Bool[Tensor, "B F"], config: ContrastiveConfig, seed: int
) -> tuple[Bool[Tensor, "B F"], Int[Tensor, "B 2"]]:
    """Draw which frames of each video a step looks at, and by how many pixels it moves the video down and right."""
    draw = generator(seed, "views of training videos", step)
    num_kept = (config.frame_share * frame_mask.sum(dim=1, keepdim=True).double()).ceil().long()
    looked_at = draw_frames(frame_mask, num_kept, draw)
    return looked_at, draw_shifts(len(frame_mask), config.max_shift, draw)
