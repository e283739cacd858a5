"""Small real models and features for the tests: nothing is mocked, only the sizes are small."""

import copy

import torch

from diffret_core.config import ModelConfig, ScoringConfig
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.retriever import Retriever

# Tensors this small gain nothing from threads, and on a busy machine threads wait for one another.
torch.set_num_threads(1)

# One layer per tower. A vocabulary of 300 is enough where no text is tokenized; 49,408 where one is.
SMALL = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 64, "head_width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 300, "width": 64, "heads": 1, "layers": 1},
}
# Several heads in every tower: a wrong split of heads shows.
WIDE = {
    "embed_dim": 128,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 24, "layers": 2, "width": 192, "head_width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 20, "vocab_size": 310, "width": 128, "heads": 2, "layers": 5},
}

_RELEASED_PREFIXES = {
    "clip.": "clip.",
    "temporal.transformer.": "transformerClip.",
    "temporal.positions": "frame_position_embeddings.weight",
    "interaction.word_score.": "text_weight_fc.",
    "interaction.frame_score.": "video_weight_fc.",
    "text_query_denoiser.": "diffusion_model.",
    "video_query_denoiser.": "diffusion_model_v.",
}
_RELEASED_PARTS = {
    "query.": "q_proj.",
    "key.": "k_proj.",
    "value.": "v_proj.",
    "output.": "proj.",
    "noise_level_code.layers.": "embed_timestep.time_embed.",
}


def architecture(base=SMALL, **changes):
    """A copy of an architecture; `text_cfg` and `vision_cfg` are merged, other values replaced."""
    changed = copy.deepcopy(base)
    for name, value in changes.items():
        changed[name] = {**changed[name], **value} if isinstance(value, dict) else value
    return changed


def tiny_config(clip=SMALL, **changes):
    sizes = {"max_words": 8, "max_frames": 4, "num_frame_positions": 6, "num_temporal_layers": 1, "num_noise_levels": 6}
    return ModelConfig(clip=clip, **{**sizes, "scoring": ScoringConfig(num_candidates=3), **changes})


def tiny_retriever(clip=SMALL, *, seed=0, spread=1.0, **changes):
    """A model with random weights; a `spread` above 1 makes the denoisers' estimates larger than fresh ones'."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Retriever(tiny_config(clip, **changes)).eval()
        with torch.no_grad():
            for name, value in model.named_parameters():
                if "denoiser.decoder" in name:
                    value.mul_(spread)
    return model


def ragged_mask(num_rows, length, *, seed=0):
    """True for 1 to `length` entries from the start of each row; the first row is full, the second has one entry."""
    lengths = torch.randint(1, length + 1, (num_rows,), generator=torch.Generator().manual_seed(seed))
    lengths[0] = length
    lengths[1:2] = 1
    return torch.arange(length)[None] < lengths[:, None]


def random_features(num_texts, num_videos, *, num_words=5, num_frames=4, dim=64, seed=0):
    """Features as the encoders give them: padded slots hold numbers too."""
    draw = torch.Generator().manual_seed(seed)
    words = torch.randn(num_texts, num_words, dim, generator=draw)
    sentence = torch.randn(num_texts, dim, generator=draw)
    frames = torch.randn(num_videos, num_frames, dim, generator=draw)
    texts = TextFeatures(words, sentence, ragged_mask(num_texts, num_words, seed=seed))
    return texts, VideoFeatures(frames, ragged_mask(num_videos, num_frames, seed=seed + 1))


def random_tokens(lengths, num_words, *, vocab_size=300, seed=0):
    """Token ids that start with the last but one id, end with the last one, and are padded with zeros."""
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, vocab_size - 2, (len(lengths), num_words), generator=draw)
    ids[:, 0] = vocab_size - 2
    for row, length in enumerate(lengths):
        ids[row, length - 1] = vocab_size - 1
        ids[row, length:] = 0
    return ids, torch.arange(num_words)[None] < torch.tensor(lengths)[:, None]


def released_state_dict(model):
    """The model's weights under the released names, with the sinusoidal tables that the released file holds twice."""
    released = {_released_name(name): value.clone() for name, value in model.state_dict().items()}
    table = torch.zeros(5000, 1, model.config.dim)
    for network in ("diffusion_model", "diffusion_model_v"):
        released[f"{network}.sequence_pos_encoder.pe"] = table
        released[f"{network}.embed_timestep.sequence_pos_encoder.pe"] = table
    return released


def _released_name(name):
    ours = next(prefix for prefix in _RELEASED_PREFIXES if name.startswith(prefix))
    rest = name.removeprefix(ours)
    if "denoiser" in ours:
        part = next((part for part in _RELEASED_PARTS if rest.startswith(part)), "")
        rest = _RELEASED_PARTS.get(part, "") + rest.removeprefix(part)
    return _RELEASED_PREFIXES[ours] + rest
