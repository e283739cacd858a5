"""Stage 2: train the denoisers on frozen features; SPEC section 9."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.candidates import training_candidates
from diffret_core.config import DIRECTIONS, Direction, GenerationConfig
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.losses import generation_loss
from diffret_core.processes import own_rows
from diffret_core.randomness import generator
from diffret_core.retriever import Retriever
from diffret_core.schedule import without_noise
from diffret_core.training.shared import bind_shared
from diffret_core.training.trainer import ParameterGroup, Trainer


def generation_trainer(
    model: Retriever,
    texts: TextFeatures,
    views: Sequence[VideoFeatures],
    video_of_text: Int[Tensor, " T"],
    config: GenerationConfig,
    *,
    wording: Int[Tensor, " T"],
    seed: int,
    similarity: Float[Tensor, "T V"] | None = None,
) -> Trainer:
    """Prepare stage 2: both denoisers at once, everything else frozen.

    Each step draws one caption per video, so that both directions choose among V items of which one is right, as in
    use. Hard negatives among all captions would mostly be true of the video that asks.

    Args:
        model: The model after stage 1.
        texts: Features of the training captions, on the model's device.
        views: Features of the training videos, on the model's device, once for each view of them. Candidates are
            chosen by the first; a step draws one view for each video.
        video_of_text: Which video each caption describes; every video has one at least.
        config: Settings of the stage.
        wording: A number for each caption, the same for the same words: captions that say the same are never
            one another's negatives.
        seed: Seed of captions, batches, negatives, views, noise levels and noise.
        similarity: S of all captions and videos, from `mining_similarity`; computed here if None.

    Raises:
        ValueError: If a video has no caption.
    """
    similarity = mining_similarity(model, texts, views[0], config) if similarity is None else similarity
    device, by_video = similarity.device, _by_video(similarity)
    captions_of_video = _captions_by_video(video_of_text.cpu(), len(views[0].frames)).to(device)  # [V, C]
    all_views = VideoFeatures(*map(torch.cat, zip(*views, strict=True)))  # [R V, F, D], [R V, F]
    num_videos, num_choices = captions_of_video.shape

    def loss_of_direction(direction: Direction, step: int) -> Float[Tensor, ""]:
        draw = generator(seed, f"{direction} training", step)
        choice = torch.randint(num_choices, (num_videos, 1), generator=draw).to(device)
        chosen = captions_of_video.gather(1, choice).squeeze(1)  # [V], a caption for each video
        pairs = torch.randint(num_videos, (config.batch_size,), generator=draw).to(device)
        from_text = direction == "text_to_video"
        same = wording[chosen[pairs]][:, None] == wording[chosen]  # [B, V]
        if config.negatives == "batch":
            same = same | ~torch.isin(torch.arange(num_videos, device=device), pairs)
        others = training_candidates(
            similarity[chosen[pairs]] if from_text else by_video[pairs[:, None], chosen],
            pairs,
            same,
            num_candidates=config.num_candidates,
            negative_pool=config.negative_pool,
            generator=draw,
        )
        k = torch.randint(1, model.config.num_noise_levels + 1, (config.batch_size,), generator=draw).to(device)
        epsilon = torch.randn(others.shape, generator=draw).to(texts.sentence)
        row = _draw_views(len(views), num_videos, generator(seed, f"{direction} views", step)).to(device)
        queries, items = (chosen[pairs], row[others]) if from_text else (row[pairs], chosen[others])
        queries, items, k, epsilon = map(own_rows, (queries, items, k, epsilon))
        bound = bind_shared(model, direction, texts, all_views, queries=queries, items=items)
        return generation_loss(
            bound if model.config.noise else without_noise(bound),
            k,
            epsilon,
            model.alpha_bar,
            loss_scale=config.loss_scale,
            kind=config.loss,
            offset_penalty=config.offset_penalty,
        )

    def loss_of_step(step: int) -> Float[Tensor, ""]:
        return torch.stack([loss_of_direction(direction, step) for direction in DIRECTIONS]).sum()

    denoisers = {name: value for name, value in model.named_parameters() if "denoiser" in name}
    return Trainer(
        [ParameterGroup(denoisers, config.learning_rate, weight_decay=0.0)],
        loss_of_step,
        num_steps=config.num_steps,
        warmup_fraction=config.warmup_fraction,
        max_gradient_norm=config.max_gradient_norm,
    )


@torch.no_grad()
def mining_similarity(
    model: Retriever, texts: TextFeatures, videos: VideoFeatures, config: GenerationConfig
) -> Float[Tensor, "T V"]:
    """Compare all training captions with all videos, to choose negatives by; the same in every run on this stage 1."""
    dtype = getattr(torch, config.mining_precision)
    return model.interaction(texts.words, texts.word_mask, *videos, dtype=dtype)


@torch.no_grad()
def start_from_stage1(model: Retriever, texts: TextFeatures, videos: VideoFeatures) -> None:
    """Let both denoisers start where stage 1 ended, instead of from random attention.

    Query and key weights become multiples of the identity, such that the attention of a sentence and a pooled video
    starts as logit_scale times their cosine, for features of the average size. The other weights that read features
    start as if those had unit size: the network reads them as they come, and where they are large, as after training
    from scratch, it would start out saturated. Only starting weights are changed, not the network.

    Args:
        model: The model after stage 1, before the first step of stage 2.
        texts: Features of some texts.
        videos: Features of some videos.
    """
    dim = model.config.dim
    if model.config.normalise_for_denoiser:
        text_size = video_size = torch.ones((), device=model.device)
    else:
        text_size = texts.sentence.square().mean().sqrt()
        video_size = videos.frames[videos.frame_mask].square().mean().sqrt()
    identity = torch.eye(dim, device=model.device) * (model.logit_scale / dim).sqrt()
    for direction in DIRECTIONS:
        sizes = (text_size, video_size) if direction == "text_to_video" else (video_size, text_size)
        query_size, candidate_size = sizes
        network = model.denoiser(direction)
        network.query.weight.copy_(identity / query_size)
        network.key.weight.copy_(identity / candidate_size)
        network.value.weight /= candidate_size
        first, *_ = network.decoder.parameters()  # [2D, 2D]: the first half reads the context, the second the candidate
        first[:, dim:] /= candidate_size


def _draw_views(num_views: int, num_videos: int, draw: torch.Generator) -> Int[Tensor, " V"]:
    """Draw a view of each video: its row among all views, those of the first view of all videos coming first."""
    return torch.randint(num_views, (num_videos,), generator=draw) * num_videos + torch.arange(num_videos)


def _by_video(similarity: Float[Tensor, "T V"]) -> Float[Tensor, "V T"]:
    """Turn S round: in memory on a CPU, which waits for every entry of a column; a GPU does not, and may lack room."""
    return similarity.T.contiguous() if similarity.device.type == "cpu" else similarity.T


def _captions_by_video(video_of_text: Int[Tensor, " T"], num_videos: int) -> Int[Tensor, "V C"]:
    """List each video's captions; a video with fewer than the most repeats its own."""
    own = [(video_of_text == video).nonzero().squeeze(1) for video in range(num_videos)]
    for video, captions in enumerate(own):
        if len(captions) == 0:
            raise ValueError(f"video {video} has no caption; leave it out")
    most = max(len(captions) for captions in own)
    return torch.stack([captions[torch.arange(most) % len(captions)] for captions in own])
