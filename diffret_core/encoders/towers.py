"""CLIP's two towers read token by token and frame by frame; SPEC sections 3 and 4."""

import torch
from jaxtyping import Bool, Float, Int
from open_clip import CLIP
from torch import Tensor
from torch.nn import functional

from diffret_core.config import Mode


def encode_words(
    clip: CLIP, word_ids: Int[Tensor, "T W"], word_mask: Bool[Tensor, "T W"], *, mode: Mode = "default"
) -> tuple[Float[Tensor, "T W D"], Float[Tensor, "T D"]]:
    """Encode texts into token features.

    A token attends to the real tokens up to itself: causal and padding mask together. The padding mask changes only
    the padded tokens' own outputs, since padding comes last.

    Args:
        clip: A plain open_clip model.
        word_ids: Token ids, W at most the model's context length.
        word_mask: True for real tokens, which come first.
        mode: "reference" encodes the padding like any other token, as the released model does; by default no text is
            read beyond the end of the longest, and the features of padding are 0.

    Returns:
        words, every token's feature after the final norm and the projection; sentence, the end token's. Neither is
        normalised.

    Raises:
        ValueError: If the texts are longer than the model's context, or a token is not in its vocabulary.
    """
    num_words = word_ids.shape[1]
    if num_words > clip.context_length:
        raise ValueError(f"texts have {num_words} tokens; this model reads at most {clip.context_length}")
    if mode == "reference":
        return _encode_all_words(clip, word_ids, word_mask)
    num_read = int(word_mask.sum(dim=1).max())
    words, sentence = _encode_all_words(clip, word_ids[:, :num_read], word_mask[:, :num_read])
    real = words.masked_fill(~word_mask[:, :num_read, None], 0.0)
    return functional.pad(real, (0, 0, 0, num_words - num_read)), sentence


def _encode_all_words(
    clip: CLIP, word_ids: Int[Tensor, "T W"], word_mask: Bool[Tensor, "T W"]
) -> tuple[Float[Tensor, "T W D"], Float[Tensor, "T D"]]:
    """Read every token, padding included."""
    num_texts, num_words = word_ids.shape
    causal = torch.ones(num_words, num_words, dtype=torch.bool, device=word_ids.device).tril()
    allowed = causal & word_mask[:, None, :]  # [T, W, W]
    largest_id, vocab_size = int(word_ids.max()), len(clip.token_embedding.weight)
    if largest_id >= vocab_size:
        raise ValueError(f"a token has id {largest_id}; this model knows {vocab_size}, so its tokenizer is not CLIP's")
    num_heads = clip.transformer.resblocks[0].attn.num_heads
    x = clip.token_embedding(word_ids) + clip.positional_embedding[:num_words]
    x = clip.transformer(x, attn_mask=additive_mask(allowed, num_heads, x.dtype))
    words = clip.ln_final(x) @ clip.text_projection
    end = word_ids.argmax(dim=-1)  # the end token has the largest id
    return words, words[torch.arange(num_texts, device=words.device), end]


def encode_frames(
    clip: CLIP, images: Float[Tensor, "V F 3 H H"], frame_mask: Bool[Tensor, "V F"], *, mode: Mode = "default"
) -> Float[Tensor, "V F D"]:
    """Encode frames one by one into CLIP's image features, not normalised.

    Args:
        clip: A plain open_clip model.
        images: Frames after CLIP's normalisation; padding is zeros.
        frame_mask: True for real frames.
        mode: "reference" encodes the padded frames like any other, as the released model does; by default they are
            never looked at and their features are 0.

    Returns:
        One feature per frame slot.

    Raises:
        ValueError: If a video has no real frame.
    """
    refuse_videos_without_frames(frame_mask)
    if mode == "reference":
        return clip.visual(images.flatten(0, 1)).unflatten(0, frame_mask.shape)
    real = clip.visual(images[frame_mask])
    features = real.new_zeros(*frame_mask.shape, real.shape[-1])
    features[frame_mask] = real
    return features


def refuse_videos_without_frames(frame_mask: Bool[Tensor, "V F"]) -> None:
    """Stop at a video that is all padding: attention over nothing would give NaN.

    Raises:
        ValueError: If there is one, naming it by its place.
    """
    has_frame = frame_mask.any(dim=1)
    if not bool(has_frame.all()):
        raise ValueError(f"video {int(has_frame.long().argmin())} has no real frame; leave it out")


def additive_mask(allowed: Bool[Tensor, "B L L"], num_heads: int, dtype: torch.dtype) -> Float[Tensor, "BH L L"]:
    """Turn "may attend" into what open_clip's blocks add to attention logits: 0 or -inf, one copy per head."""
    blocked = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(~allowed, -torch.inf)
    return blocked.repeat_interleave(num_heads, dim=0)
