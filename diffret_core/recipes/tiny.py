"""The recipe of the sample collection's model: everything at the smallest size that still learns."""

from diffret_core.config import (
    ContrastiveConfig,
    GenerationConfig,
    ModelConfig,
    PretrainingConfig,
    Recipe,
    ScoringConfig,
)

DIM = 128
LOSS_SCALE = 20.0  # softmax(20 * x_0) is what stage 2 fits, so it is also how a sample is read as probabilities
PRETRAINING = (
    PretrainingConfig(num_steps=800, batch_size=256, learning_rate=1e-3, weight_decay=0.05),
    PretrainingConfig(num_steps=1200, batch_size=128, num_frames=4, learning_rate=5e-4, weight_decay=0.05),
    PretrainingConfig(num_steps=600, batch_size=128, num_frames=4, group_size=8, learning_rate=5e-4, weight_decay=0.05),
)


def tiny(*, seed: int = 0) -> Recipe:
    """Train a small CLIP from random weights, the rest of stage 1, then both denoisers, on the rendered sample videos.

    Command: diffret samples render, then diffret train --recipe tiny --seed 1 (the seed of the shipped weights).
    Hardware: two CPU cores, 6 GB of memory. Time and results: docs/results.md.

    Stage 2 learns from videos that stage 1 has not seen, and from six views of each: a generator that meets the same
    features too often learns them by heart.
    """
    clip = {
        "embed_dim": DIM,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16},
        "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": DIM, "heads": DIM // 64, "layers": 4},
    }
    model = ModelConfig(
        clip=clip,
        max_words=32,
        max_frames=12,
        frames_per_second=4.0,
        num_frame_positions=32,
        normalise_frames=True,
        normalise_for_denoiser=True,
        image_mean=(0.5, 0.5, 0.5),
        image_std=(0.5, 0.5, 0.5),
        scoring=ScoringConfig(temperature=LOSS_SCALE, num_draws=4),
    )
    return Recipe(
        name="tiny",
        model=model,
        pretraining=PRETRAINING,
        contrastive=ContrastiveConfig(
            num_videos=4000,
            num_steps=500,
            batch_size=64,
            clip_learning_rate=2e-4,
            new_learning_rate=1e-3,
            zero_unseen_words=True,
            sentence_weight=1.0,
            max_shift=3,
            frame_share=0.5,
        ),
        generation=GenerationConfig(
            first_video=4000,
            num_steps=2500,
            negative_pool=128,
            learning_rate=1.5e-3,
            loss_scale=LOSS_SCALE,
            offset_penalty=1.0,
            num_views=6,
            max_shift=3,
            frame_share=0.5,
        ),
        seed=seed,
        stored_precision="float16",
    )
