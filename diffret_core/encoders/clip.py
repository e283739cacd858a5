"""Plain open_clip models: which they are, building them, loading their weights, and their tokens; SPEC section 3."""

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import open_clip
import torch
from jaxtyping import Bool, Int
from open_clip import CLIP
from torch import Tensor

from diffret_core.encoders import weights

_ARCHITECTURE_FIELDS = ("embed_dim", "vision_cfg", "text_cfg", "quick_gelu")
_CHARACTERS_PER_TOKEN = 128  # no CLIP word piece is longer: more text than this cannot be read anyway


def clip_architecture(name: str) -> dict[str, Any]:
    """Look up the architecture of a plain open_clip model.

    Args:
        name: open_clip's name of the model, such as "ViT-B-32-quickgelu".

    Returns:
        embed_dim, vision_cfg, text_cfg and quick_gelu, as `ModelConfig.clip` takes them.

    Raises:
        ValueError: If open_clip has no such model, or its text tower is not CLIP's, with the reason.
    """
    found = open_clip.get_model_config(name)
    if found is None:
        raise ValueError(f"open_clip has no model {name!r}; open_clip.list_models() lists what there is")
    _refuse_unless_plain(name, found)
    return {part: found[part] for part in _ARCHITECTURE_FIELDS if part in found}


def build_clip(architecture: Mapping[str, Any]) -> CLIP:
    """Build a CLIP model with random weights.

    Args:
        architecture: As from `clip_architecture`, or your own values in the same form.

    Raises:
        ValueError: If the text tower is not a plain CLIP one, or a field is unknown.
    """
    _refuse_unless_plain("this architecture", architecture)
    try:
        model = CLIP(**{part: architecture[part] for part in _ARCHITECTURE_FIELDS if part in architecture})
    except Exception as error:  # a bad size or name runs into whatever torch raises there
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"open_clip cannot build this architecture: {first_line}") from None
    model.visual.to(memory_format=torch.channels_last)  # convolutions are a third faster so; nothing else changes
    return model


def load_pretrained_clip(name: str, pretrained: str, *, announce: Callable[[str], None] = lambda _: None) -> CLIP:
    """Load a plain open_clip model with trained weights, in float32.

    Args:
        name: open_clip's name of the model.
        pretrained: One of its weight tags, downloaded once and kept by open_clip, or a weight file of your own.
        announce: Told in a line before weights are downloaded: how large they are, and from where.

    Raises:
        ValueError: If the model is not plain, the tag or file does not fit it, or the weights cannot be fetched: that
            is known within `weights.ANSWER_SECONDS`.
    """
    clip_architecture(name)
    is_tag = pretrained in open_clip.list_pretrained_tags_by_model(name)
    kept = True
    if is_tag:
        _refuse_other_activation(name, pretrained)
        kept = weights.are_kept(name, pretrained)
    if not kept:
        _announce_download(name, pretrained, announce)
    try:
        with weights.from_kept_files_only() if kept else nullcontext():
            return open_clip.create_model(name, pretrained=pretrained, precision="fp32")
    except Exception as error:  # open_clip raises whatever its download and its unpickler raise
        raise _not_loaded(name, pretrained, str(error) or type(error).__name__) from None


def _announce_download(name: str, tag: str, announce: Callable[[str], None]) -> None:
    found = weights.ask_for_download(name, tag)
    if found is None:
        raise _not_loaded(name, tag, f"{weights.HUB} gave no answer within {weights.ANSWER_SECONDS:g} s")
    announce(f"downloading the weights {tag!r} of {name} once: {found.num_bytes / 1e6:,.0f} MB from {found.url}")


def _not_loaded(name: str, pretrained: str, reason: str) -> ValueError:
    tags = open_clip.list_pretrained_tags_by_model(name)
    return ValueError(
        f"{name}: weights {pretrained!r} could not be loaded ({reason.splitlines()[0]}); give a weight file of this "
        f"model, or one of its tags ({', '.join(tags) or 'it has none'}) on a machine that reaches {weights.HUB}"
    )


def tokenize(texts: Sequence[str], max_words: int) -> tuple[Int[Tensor, "T W"], Bool[Tensor, "T W"]]:
    """Cut texts into CLIP's byte-pair tokens: start, at most W-2 word pieces, end, zeros.

    Args:
        texts: At least one text, none of them empty.
        max_words: W.

    Returns:
        The token ids, and the mask that is True from the start to the end token.

    Raises:
        ValueError: If a text holds no word.
    """
    readable = [" ".join(text.split())[: _CHARACTERS_PER_TOKEN * max_words] for text in texts]
    ids = _tokenizer()(readable, context_length=max_words)
    mask = word_mask_of(ids)
    empty = (mask.sum(dim=1) <= 2).nonzero()  # only start and end
    if len(empty):
        i = int(empty[0])
        raise ValueError(f"text {i} is empty ({texts[i][:40]!r}); write at least one word")
    return ids, mask


def word_mask_of(word_ids: Int[Tensor, "T W"]) -> Bool[Tensor, "T W"]:
    """Mark the real tokens: from the start to the end token, which has the largest id of its text."""
    end = word_ids.argmax(dim=-1, keepdim=True)
    return torch.arange(word_ids.shape[1], device=word_ids.device) <= end


def token_names(word_ids: Sequence[int]) -> list[str]:
    """Write the tokens of a text as people read them; a piece that the next one goes on with ends with a hyphen.

    Args:
        word_ids: Ids of real tokens, from start to end.
    """
    tokenizer = _tokenizer()
    ends = {tokenizer.sot_token_id: "start", tokenizer.eot_token_id: "end"}
    return [ends[one] if one in ends else _piece_name(tokenizer.decoder[one]) for one in word_ids]


def _piece_name(piece: str) -> str:
    """Turn CLIP's spelling, a letter for each byte and a mark where a word ends, into text."""
    spelled = bytes(_tokenizer().byte_decoder[letter] for letter in piece.removesuffix("</w>"))
    return spelled.decode("utf-8", errors="replace") + ("" if piece.endswith("</w>") else "-")


@functools.cache
def _tokenizer() -> open_clip.SimpleTokenizer:
    return open_clip.SimpleTokenizer()


def _refuse_unless_plain(name: str, architecture: Mapping[str, Any]) -> None:
    text = architecture.get("text_cfg", {})
    reasons = {
        "it has a caption decoder": "multimodal_cfg" in architecture,
        "its text tower is a Hugging Face model": bool(text.get("hf_model_name")),
        "its tokens are not CLIP's": bool(text.get("hf_tokenizer_name")) or bool(text.get("tokenizer_kwargs")),
        "its text tower is not part of a plain CLIP": bool(architecture.get("custom_text")),
        "it has no start-to-end causal attention": bool(text.get("no_causal_mask")),
        "its sentence feature is not the end token's": text.get("pool_type", "argmax") != "argmax",
        "it appends a class token to the text": bool(text.get("embed_cls")),
        "its text projection is not a plain matrix": bool(text.get("proj_bias"))
        or text.get("proj_type", "linear") != "linear",
    }
    for reason, holds in reasons.items():
        if holds:
            raise ValueError(f"{name} cannot be used: {reason}; choose a plain CLIP such as ViT-B-32-quickgelu")


def _refuse_other_activation(name: str, tag: str) -> None:
    trained_with = bool(open_clip.get_pretrained_cfg(name, tag).get("quick_gelu", False))
    built_with = bool((open_clip.get_model_config(name) or {}).get("quick_gelu", False))
    if trained_with != built_with:
        right = f"{name}-quickgelu" if trained_with else name.removesuffix("-quickgelu")
        raise ValueError(f"{name}: the weights {tag!r} were trained with the other activation; use {right}")
