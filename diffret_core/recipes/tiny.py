"""The recipe of the sample collection's model: everything at the smallest size that still learns."""

from diffret_core.config import ContrastiveConfig, GenerationConfig, ModelConfig, Recipe, ScoringConfig

DIM = 128
LOSS_SCALE = 20.0  # softmax(20 * x_0) is what stage 2 fits, so it is also how a sample is read as probabilities


def tiny(*, seed: int = 0) -> Recipe:
    """Train a small CLIP from random weights, then both denoisers, on the rendered sample videos.

    Command: diffret samples render, then diffret train --recipe tiny. Hardware: two CPU cores, 4 GB of memory.
    Time: about 5 minutes to render, 25 to train. Result on the 300 test pairs: R@1 near 40 % text-to-video and 45 %
    video-to-text; docs/results.md has all of it.

    Stage 2 learns from videos that stage 1 has not seen: on its own training videos stage 1's features are
    over-fitted, and a generator trained on them would learn to trust them too much.
    """
    clip = {
        "embed_dim": DIM,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 64, "patch_size": 16, "width": DIM, "head_width": 64, "layers": 3},
        "text_cfg": {"context_length": 32, "vocab_size": 49408, "width": DIM, "heads": DIM // 64, "layers": 4},
    }
    model = ModelConfig(
        clip=clip,
        max_words=32,
        max_frames=12,
        frames_per_second=4.0,
        num_frame_positions=32,
        image_mean=(0.5, 0.5, 0.5),
        image_std=(0.5, 0.5, 0.5),
        scoring=ScoringConfig(temperature=LOSS_SCALE),
    )
    return Recipe(
        name="tiny",
        model=model,
        contrastive=ContrastiveConfig(
            num_videos=2600,
            num_steps=2000,
            batch_size=64,
            clip_learning_rate=1e-3,
            new_learning_rate=1e-3,
            zero_unseen_words=True,
        ),
        generation=GenerationConfig(
            first_video=2600,
            num_steps=3000,
            negative_pool=128,
            learning_rate=5e-4,
            loss_scale=LOSS_SCALE,
            offset_penalty=1.0,
        ),
        seed=seed,
        stored_precision="float16",
    )
