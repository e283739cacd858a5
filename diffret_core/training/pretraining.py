"""Before stage 1, where no pretrained CLIP is at hand: single frames against sentences, as CLIP itself was trained."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from diffret_core import encoders
from diffret_core.config import PretrainingConfig
from diffret_core.losses import contrastive_loss
from diffret_core.randomness import generator
from diffret_core.retriever import Retriever
from diffret_core.training.pairs import Normalise, TrainingPairs, belong_together, pairs_of_step, trim
from diffret_core.training.processes import all_rows, own_rows, refuse_batch_norm
from diffret_core.training.trainer import ParameterGroup, Trainer


def pretraining_trainer(
    model: Retriever, pairs: TrainingPairs, config: PretrainingConfig, normalise: Normalise, *, seed: int
) -> Trainer:
    """Prepare the pre-training of CLIP on frames: a caption's sentence against one random frame of its video.

    Stage 1 compares tokens with frames and takes maxima, so that few frames get a gradient. Trained CLIPs hardly mind;
    random weights do. Here each image counts, and a batch can be large, since it has one frame a video. Source:
    Radford et al. 2021.

    Args:
        model: The model; only its CLIP is trained.
        pairs: Training data.
        config: Settings of the stage.
        normalise: Turns bytes into what the image encoder reads.
        seed: Seed of the order of the pairs and of the choice of frames.

    Raises:
        ValueError: If there are fewer pairs than a batch holds, or several processes train a model with batch
            normalisation.
    """
    num_texts = len(pairs.word_ids)
    if num_texts < config.batch_size:
        raise ValueError(f"{num_texts} pairs cannot fill a batch of {config.batch_size}; use a smaller batch_size")
    refuse_batch_norm(model)

    def loss_of_step(step: int) -> Float[Tensor, ""]:
        texts = pairs_of_step(step, num_texts, config.batch_size, seed)
        videos = pairs.video_of_text[texts]
        word_ids, word_mask = pairs.word_ids[texts], pairs.word_mask[texts]
        if model.config.mode == "default":
            word_ids, word_mask = trim(word_ids, word_mask)
        frame = _frame_of_step(step, pairs.frame_mask[videos], seed)
        own_videos, own_ids, own_mask = own_rows(videos), own_rows(word_ids), own_rows(word_mask)
        images = normalise(pairs.images[own_videos, own_rows(frame)][:, None]).to(model.device)
        is_real = torch.ones(len(images), 1, dtype=torch.bool, device=model.device)
        seen = all_rows(encoders.encode_frames(model.clip, images, is_real).squeeze(1))
        said = all_rows(model.encode_tokens(own_ids.to(model.device), own_mask.to(model.device)).sentence)
        similarity = functional.normalize(said, dim=-1) @ functional.normalize(seen, dim=-1).T
        same = belong_together(word_ids, videos).to(model.device)
        return contrastive_loss(similarity, model.logit_scale, same_video=same)

    named = {name: value for name, value in model.named_parameters() if name.startswith("clip.")}
    saved = model.state_dict(keep_vars=True)
    return Trainer(
        [ParameterGroup(named, config.learning_rate, config.weight_decay)],
        loss_of_step,
        num_steps=config.num_steps,
        warmup_fraction=config.warmup_fraction,
        max_gradient_norm=config.max_gradient_norm,
        buffers={name: value for name, value in saved.items() if name.startswith("clip.") and name not in named},
    )


def _frame_of_step(step: int, frame_mask: Bool[Tensor, "B F"], seed: int) -> Int[Tensor, " B"]:
    """Draw one real frame of each video; those need not come first."""
    draw = torch.rand(frame_mask.shape, generator=generator(seed, "frames of pre-training", step))
    return draw.masked_fill(~frame_mask, -1.0).argmax(dim=1)
