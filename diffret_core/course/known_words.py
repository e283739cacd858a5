"""Which word pieces of a sentence a model has learned: the rows of all others are zero in weights trained from scratch.

See docs/decisions.md, "Files". A CLIP that was trained on the web has a row for every piece.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diffret_core.encoders import token_names, tokenize
from diffret_core.retriever import Retriever


def unknown_pieces(model: Retriever, text: str) -> list[str]:
    """Name the word pieces of a text that the model has never learned, in order."""
    word_ids, real = tokenize([text], model.config.max_words)
    unknown = real & ~_is_known(model, word_ids)
    return token_names(word_ids[unknown].tolist())


def unknown_share(model: Retriever, texts: Sequence[str]) -> Float[Tensor, " T"]:
    """Give the share of each text's word pieces that the model has never learned, start and end not counted."""
    word_ids, real = tokenize(texts, model.config.max_words)
    num_unknown = (real & ~_is_known(model, word_ids)).sum(dim=1)
    return num_unknown / (real.sum(dim=1) - 2).clamp(min=1)


@torch.no_grad()
def _is_known(model: Retriever, word_ids: Int[Tensor, "T W"]) -> Bool[Tensor, "T W"]:
    return model.clip.token_embedding.weight.cpu()[word_ids].count_nonzero(dim=-1) > 0
