"""Before stage 1, where no pretrained CLIP is at hand: few frames against sentences, as CLIP itself was trained."""

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from diffret_core import encoders
from diffret_core.config import PretrainingConfig
from diffret_core.losses import contrastive_loss
from diffret_core.processes import all_rows, own_rows, refuse_batch_norm
from diffret_core.randomness import generator
from diffret_core.retriever import Retriever
from diffret_core.training.alike import alike_captions, grouped_pairs_of_step
from diffret_core.training.pairs import Normalise, TrainingPairs, batch_of, belong_together, check_batch, pairs_of_step
from diffret_core.training.trainer import ParameterGroup, Trainer
from diffret_core.training.views import draw_frames


def pretraining_trainer(
    model: Retriever, pairs: TrainingPairs, config: PretrainingConfig, normalise: Normalise, *, seed: int
) -> Trainer:
    """Prepare the pre-training: a caption's sentence against random frames of its video.

    Stage 1 compares tokens with frames and takes maxima, so that few frames get a gradient; random weights do not get
    far with that. Here each frame counts, and a batch can be large. A single frame is compared as CLIP encodes it
    (Radford et al. 2021); of several, the temporal transformer's outputs are averaged (Luo et al. 2021, CLIP4Clip).
    Captions drawn at random mostly differ in colour or shape already, so that little else is learned from them; in
    groups of captions that are alike the motions, their order, and what belongs to what tell them apart.

    Args:
        model: The model; its CLIP is trained and, with several frames, its temporal transformer.
        pairs: Training data.
        config: Settings of the stage.
        normalise: Turns bytes into what the image encoder reads.
        seed: Seed of the order of the pairs and of the choice of frames.

    Raises:
        ValueError: If there are fewer pairs than a batch holds or than are to be alike, or several processes train a
            model with batch normalisation.
    """
    check_batch(pairs, config.batch_size)
    refuse_batch_norm(model)
    alike = alike_captions(model, pairs, config.num_alike) if config.group_size > 1 else None

    def texts_of_step(step: int) -> Int[Tensor, " B"]:
        if alike is None:
            return pairs_of_step(step, len(pairs.word_ids), config.batch_size, seed)
        return grouped_pairs_of_step(step, alike, config.batch_size, config.group_size, seed)

    def loss_of_step(step: int) -> Float[Tensor, ""]:
        videos, word_ids, word_mask = batch_of(pairs, texts_of_step(step), mode=model.config.mode)
        draw = generator(seed, "frames of pre-training", step)
        looked_at = own_rows(draw_frames(pairs.frame_mask[videos], config.num_frames, draw))
        own_videos, own_ids, own_mask = own_rows(videos), own_rows(word_ids), own_rows(word_mask)
        encode = _encode_single if config.num_frames == 1 else _encode_several
        seen = all_rows(encode(model, pairs.images[own_videos], looked_at, normalise))
        said = all_rows(model.encode_tokens(own_ids.to(model.device), own_mask.to(model.device)).sentence)
        similarity = functional.normalize(said, dim=-1) @ functional.normalize(seen, dim=-1).T
        same = belong_together(word_ids, videos).to(model.device)
        return contrastive_loss(similarity, model.logit_scale, same_video=same)

    parts = ("clip.",) if config.num_frames == 1 else ("clip.", "temporal.")
    named = {name: value for name, value in model.named_parameters() if name.startswith(parts)}
    saved = model.state_dict(keep_vars=True)
    return Trainer(
        [ParameterGroup(named, config.learning_rate, config.weight_decay)],
        loss_of_step,
        num_steps=config.num_steps,
        warmup_fraction=config.warmup_fraction,
        max_gradient_norm=config.max_gradient_norm,
        buffers={name: value for name, value in saved.items() if name.startswith(parts) and name not in named},
    )


def _encode_single(
    model: Retriever, images: UInt8[Tensor, "B F 3 H H"], looked_at: Bool[Tensor, "B F"], normalise: Normalise
) -> Float[Tensor, "B D"]:
    """Give what CLIP makes of the one frame looked at."""
    alone = torch.ones(len(images), 1, dtype=torch.bool, device=model.device)
    return encoders.encode_frames(model.clip, normalise(images[looked_at][:, None]).to(model.device), alone).squeeze(1)


def _encode_several(
    model: Retriever, images: UInt8[Tensor, "B F 3 H H"], looked_at: Bool[Tensor, "B F"], normalise: Normalise
) -> Float[Tensor, "B D"]:
    """Give the mean of what the temporal transformer makes of the frames looked at."""
    looked_at = looked_at.to(model.device)
    frames = model.encode_videos(normalise(images).to(model.device), looked_at).frames
    return (frames * looked_at[..., None]).sum(dim=1) / looked_at.sum(dim=1, keepdim=True)
