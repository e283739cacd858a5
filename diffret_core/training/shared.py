"""Stage 2's network, with work shared across the pairs of a batch: the same loss and gradients; SPEC section 13.

The plain network multiplies every candidate of every query by its weights. Here each video and each text of the batch
is multiplied once, values are multiplied after they have been summed, and what does not depend on the weights, the
pooled frames, is outside the gradient. Terms that are the same for all candidates of a query are left out of their
logits. `Retriever.bind_denoiser` is the definition; a test holds losses and gradients equal.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from diffret_core.config import Direction, Mode
from diffret_core.denoiser import Denoiser, frame_weights
from diffret_core.features import TextFeatures, VideoFeatures
from diffret_core.retriever import Retriever, scale_for_denoiser
from diffret_core.schedule import Denoise


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
        frames = scale_for_denoiser(model.config, all_frames[used])
        return _bind_text_query(network, query, frames, videos.frame_mask[used], place, mode=mode)
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
    num_frames = frames.shape[1]
    flat = frames.flatten(0, 1)  # [U F, D]
    with torch.no_grad():
        score = (query @ flat.T).view(len(query), *frames.shape[:2])
        score = score.gather(1, place[..., None].expand(-1, -1, num_frames))  # [B, N, F]
        weight = frame_weights(score, frame_mask[place], mode=mode).view(-1, num_frames)
        rows = place.view(-1, 1) * num_frames + torch.arange(num_frames, device=place.device)
        pooled = functional.embedding_bag(rows, flat, per_sample_weights=weight, mode="sum").view(*place.shape, -1)

    def denoise(x_k: Float[Tensor, "B N"], k: Int[Tensor, " B"]) -> Float[Tensor, "B N"]:
        code = network.noise_level_code(k)
        from_candidate = _candidate_half(network)
        if len(flat) < len(rows):  # fewer frames than pairs: multiply before pooling
            own = functional.embedding_bag(rows, flat @ from_candidate.T, per_sample_weights=weight, mode="sum")
        else:
            own = pooled.flatten(0, 1) @ from_candidate.T
        logits = (pooled @ (network.query(query + code) @ network.key.weight)[:, :, None]).squeeze(-1)
        return _decode(network, code, logits + x_k, pooled, own.view(*place.shape, -1))

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
    with torch.no_grad():
        candidates = sentence[place]  # [B, N, D]
        weight = frame_weights(candidates @ frames.transpose(1, 2), frame_mask[:, None], mode=mode)
        pooled = weight @ frames  # [B, N, D]

    def denoise(x_k: Float[Tensor, "B N"], k: Int[Tensor, " B"]) -> Float[Tensor, "B N"]:
        code = network.noise_level_code(k)
        from_candidate = _candidate_half(network)
        own = functional.embedding(place, sentence @ from_candidate.T)
        key = network.key(sentence) @ network.query.weight  # [U, D]: M u
        logits = (pooled * functional.embedding(place, key)).sum(dim=-1) + (code @ key.T).gather(1, place)
        logits = logits + (pooled @ (network.key(code) @ network.query.weight)[:, :, None]).squeeze(-1)
        return _decode(network, code, logits + x_k, candidates, own)

    return denoise


def _candidate_half(network: Denoiser) -> Float[Tensor, "D2 D"]:
    """Give the half of the decoder's first matrix that reads the candidate."""
    first, *_ = network.decoder.parameters()
    return first.chunk(2, dim=1)[1]


def _decode(
    network: Denoiser,
    code: Float[Tensor, "B D"],
    logits: Float[Tensor, "B N"],
    candidates: Float[Tensor, "B N D"],
    own: Float[Tensor, "B N D2"],
) -> Float[Tensor, "B N"]:
    """Go from the logits, the noised state among them, to the estimate."""
    first, first_bias, last, last_bias = network.decoder.parameters()
    weight = torch.softmax(logits, dim=-1)
    attended = network.value((weight[:, None] @ candidates).squeeze(1) + code)
    from_context, _ = first.chunk(2, dim=1)
    context = functional.linear(network.output(attended), from_context, first_bias)  # [B, 2D]
    return functional.linear(torch.relu(own + context[:, None]), last, last_bias).squeeze(-1) + weight
