"""Stage 2's network, with work shared across the pairs of a batch: the same loss and gradients; SPEC section 13.

The plain network multiplies every candidate of every query by its weights. Here each text and each frame of the batch
is multiplied once (or each pooled video, where there are fewer of them), values are multiplied after they have been
summed, and the weights of the frames, which do not depend on what is learned, are outside the gradient. Terms that are
the same for all candidates of a query are left out of their logits. `Retriever.bind_denoiser` is the definition; a test
holds losses and gradients equal.
"""

from functools import reduce

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from diffret_core.config import Direction, Mode
from diffret_core.denoiser import Denoiser, frame_weights
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.retriever import Retriever, scale_for_denoiser
from diffret_core.schedule import Denoise
from diffret_core.training.pieces import Pairs, decode_pairs, pieces_of_sizes


def bind_shared(
    model: Retriever,
    direction: Direction,
    texts: TextFeatures,
    videos: VideoFeatures,
    *,
    queries: Int[Tensor, " B"],
    items: Int[Tensor, "B N"],
) -> Denoise:
    """Bind queries and candidates to the network of one direction: `Retriever.bind_denoiser`, but faster to train.

    Features get no gradient; they are frozen in stage 2.

    Args:
        model: The model.
        direction: Which side asks.
        texts: Features of all texts.
        videos: Features of all videos.
        queries: Which texts (or videos) ask.
        items: Which videos (or texts) each of them chooses from.
    """
    network, mode = model.denoiser(direction), model.config.mode
    all_sentences, all_frames = texts.sentence.detach(), videos.frames.detach()
    used, place = items.unique(return_inverse=True)  # [U], [B, N]
    if direction == "text_to_video":
        query = scale_for_denoiser(model.config, all_sentences[queries])
        frames, frame_mask = scale_for_denoiser(model.config, all_frames[used]), videos.frame_mask[used]
        bind = _bind_text_query if frame_mask.numel() < place.numel() else _bind_text_query_of_many
        return bind(network, query, frames, frame_mask, place, mode=mode)
    frames, frame_mask = scale_for_denoiser(model.config, all_frames[queries]), videos.frame_mask[queries]
    sentence = scale_for_denoiser(model.config, all_sentences[used])
    return _bind_video_query(network, frames, frame_mask, sentence, place, mode=mode)


def _bind_text_query(
    network: Denoiser,
    query: Float[Tensor, "B D"],
    frames: Float[Tensor, "U F D"],
    frame_mask: Bool[Tensor, "U F"],
    place: Int[Tensor, "B N"],
    *,
    mode: Mode,
) -> Denoise:
    """Bind sentences and, for each, the places of its candidates among the videos of the batch."""
    flat = frames.flatten(0, 1)  # [U F, D]
    by_video = place.flatten().argsort()  # the pairs of the first video, then those of the second, ...
    sizes = place.flatten().bincount(minlength=len(frames)).tolist()
    with torch.no_grad():
        score = (query @ flat.T).view(len(query), *frame_mask.shape)  # [B, U, F]
        weight = _of_candidates(frame_weights(score, frame_mask, mode=mode), place)  # [B, N, F]
    asking = by_video // place.shape[1]
    pairs = Pairs(asking, weight.flatten(0, 1)[by_video], pieces_of_sizes(sizes))

    def denoise(x_k: Float[Tensor, "B N"], k: Int[Tensor, " B"]) -> Float[Tensor, "B N"]:
        code = network.noise_level_code(k)
        match = _multiply(_fold(query + code, network.query, network.key), flat.T).view(len(query), *frame_mask.shape)
        attention = torch.softmax((_of_candidates(match, place) * weight).sum(dim=-1) + x_k, dim=-1)
        share = torch.zeros_like(match).scatter_add(
            1, place[..., None].expand_as(weight), attention[..., None] * weight
        )
        context = _context(network, share.flatten(1) @ flat + code)
        own = (flat @ _candidate_half(network).T).view(*frame_mask.shape, -1)  # [U, F, 2D]
        decoded = decode_pairs(context, own, _last(network), pairs)
        return _estimate(network, torch.zeros_like(decoded).index_copy(0, by_video, decoded), attention)

    return denoise


def _bind_text_query_of_many(
    network: Denoiser,
    query: Float[Tensor, "B D"],
    frames: Float[Tensor, "U F D"],
    frame_mask: Bool[Tensor, "U F"],
    place: Int[Tensor, "B N"],
    *,
    mode: Mode,
) -> Denoise:
    """The same where the videos have more frames than there are pairs: pooled videos are multiplied, not frames."""
    num_frames = frames.shape[1]
    with torch.no_grad():
        score = (query @ frames.flatten(0, 1).T).view(len(query), *frame_mask.shape)  # [B, U, F]
        weight = frame_weights(_of_candidates(score, place), frame_mask[place], mode=mode).view(-1, num_frames)
        rows = place.view(-1, 1) * num_frames + torch.arange(num_frames, device=place.device)
        pooled = functional.embedding_bag(rows, frames.flatten(0, 1), per_sample_weights=weight, mode="sum")
    by_query, pairs = pooled.view(*place.shape, -1), _query_by_query(torch.arange(len(pooled)).view_as(place), pooled)

    def denoise(x_k: Float[Tensor, "B N"], k: Int[Tensor, " B"]) -> Float[Tensor, "B N"]:
        code = network.noise_level_code(k)
        match = (by_query @ _fold(query + code, network.query, network.key)[:, :, None]).squeeze(-1)
        attention = torch.softmax(match + x_k, dim=-1)
        context = _context(network, (attention[:, None] @ by_query).squeeze(1) + code)
        own = pooled @ _candidate_half(network).T  # [B N, 2D]
        return _estimate(network, decode_pairs(own, context[:, None], _last(network), pairs), attention)

    return denoise


def _bind_video_query(
    network: Denoiser,
    frames: Float[Tensor, "B F D"],
    frame_mask: Bool[Tensor, "B F"],
    sentence: Float[Tensor, "U D"],
    place: Int[Tensor, "B N"],
    *,
    mode: Mode,
) -> Denoise:
    """Bind videos and, for each, the places of its candidates among the texts of the batch."""
    num_queries = len(place)
    pairs = _query_by_query(place, sentence)

    def of_texts(text: Float[Tensor, "U D"]) -> Float[Tensor, "B N F"]:
        product = _multiply(text, frames.flatten(0, 1).T).view(len(text), num_queries, -1)
        return _of_candidates(product.transpose(0, 1), place)

    with torch.no_grad():
        weight = frame_weights(of_texts(sentence), frame_mask[:, None], mode=mode)  # [B, N, F]

    def denoise(x_k: Float[Tensor, "B N"], k: Int[Tensor, " B"]) -> Float[Tensor, "B N"]:
        code = network.noise_level_code(k)
        key = _fold(sentence, network.key, network.query)  # [U, D]: M u
        of_code = (frames @ _fold(code, network.key, network.query)[:, :, None]).transpose(1, 2)  # [B, 1, F]
        match = ((of_texts(key) + of_code) * weight).sum(dim=-1) + (code @ key.T).gather(1, place)
        attention = torch.softmax(match + x_k, dim=-1)
        share = attention.new_zeros(num_queries, len(sentence)).scatter_add(1, place, attention)
        context = _context(network, share @ sentence + code)
        own = sentence @ _candidate_half(network).T  # [U, 2D]
        return _estimate(network, decode_pairs(own, context[:, None], _last(network), pairs), attention)

    return denoise


def _fold(asking: Float[Tensor, "B D"], own: nn.Linear, other: nn.Linear) -> Float[Tensor, "B D"]:
    """Multiply one side of the attention by both of its matrices, so that the logits are products with the other."""
    return _multiply(_multiply(asking, own.weight.T), other.weight)


def _multiply(left: Float[Tensor, "B D"], right: Float[Tensor, "D C"]) -> Float[Tensor, "B C"]:
    """Multiply in four parts: shorter sums round less, and the gradients are as exact as the logits."""
    parts = zip(left.chunk(4, dim=1), right.chunk(4, dim=0), strict=True)
    return reduce(torch.add, (one @ other for one, other in parts))


def _of_candidates(values: Float[Tensor, "B U F"], place: Int[Tensor, "B N"]) -> Float[Tensor, "B N F"]:
    """Pick, for each query, what belongs to its candidates."""
    return values.gather(1, place[..., None].expand(-1, -1, values.shape[2]))


def _query_by_query(row: Int[Tensor, "B N"], like: Tensor) -> Pairs:
    """Put pairs together from a row of each candidate and one context for all candidates of a query."""
    num_queries, num_candidates = row.shape
    return Pairs(
        row.flatten().to(like.device), like.new_ones(row.numel(), 1), pieces_of_sizes([num_candidates] * num_queries)
    )


def _context(network: Denoiser, attended: Float[Tensor, "B D"]) -> Float[Tensor, "B D2"]:
    """Go from the sum of the attended candidates, with the code, to what the decoder's first layer makes of it."""
    first, first_bias, *_ = network.decoder.parameters()
    from_context, _ = first.chunk(2, dim=1)
    return functional.linear(network.output(network.value(attended)), from_context, first_bias)


def _candidate_half(network: Denoiser) -> Float[Tensor, "D2 D"]:
    """Give the half of the decoder's first matrix that reads the candidate."""
    first, *_ = network.decoder.parameters()
    return first.chunk(2, dim=1)[1]


def _last(network: Denoiser) -> Float[Tensor, "1 D2"]:
    """Give the decoder's last matrix."""
    *_, last, _ = network.decoder.parameters()
    return last


def _estimate(network: Denoiser, decoded: Float[Tensor, " P"], attention: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
    """Add up the network's output: the decoded pairs, their bias and the attention."""
    *_, last_bias = network.decoder.parameters()
    return decoded.view_as(attention) + last_bias + attention
