"""Pixels and words to features: an open_clip model, read token by token, and the temporal transformer."""

import diffret_core.torchvision_operators  # noqa: F401, I001 (before open_clip, which imports torchvision)
from diffret_core.encoders.clip import (
    CLIP,
    build_clip,
    clip_architecture,
    load_pretrained_clip,
    token_names,
    tokenize,
)
from diffret_core.encoders.temporal import TemporalTransformer, initialise_from_clip
from diffret_core.encoders.towers import encode_frames, encode_words
from diffret_core.encoders.weights import image_colours

__all__ = [
    "CLIP",
    "TemporalTransformer",
    "build_clip",
    "clip_architecture",
    "encode_frames",
    "encode_words",
    "image_colours",
    "initialise_from_clip",
    "load_pretrained_clip",
    "token_names",
    "tokenize",
]
