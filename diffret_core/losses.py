"""The two losses: contrastive for the encoders (SPEC section 6), generation for the denoisers (SPEC section 9)."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from diffret_core.schedule import Denoise, add_noise


def contrastive_loss(
    similarity: Float[Tensor, "B B"],
    logit_scale: Float[Tensor, ""],
    *,
    same_video: Bool[Tensor, "B B"] | None = None,
) -> Float[Tensor, ""]:
    """Pull matching pairs together against all others of the batch, symmetrically.

        L = 1/2 [CE(logit_scale * S, diagonal) + CE(logit_scale * S transposed, diagonal)]

    Source: Radford et al. 2021; SPEC section 6.

    Args:
        similarity: S, text rows; pair i is text i with video i.
        logit_scale: 1/tau, already exponentiated and capped.
        same_video: True where text and video belong together though they are not the same pair, such as two captions
            of one video: those are left out of both sums instead of counting as negatives. None counts them as
            negatives, as the released code does.

    Returns:
        The mean over the batch.
    """
    logits = logit_scale * similarity
    if same_video is not None:
        own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(same_video & ~own, -torch.inf)
    diagonal = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, diagonal) + functional.cross_entropy(logits.T, diagonal)) / 2


def generation_loss(
    denoise: Denoise,
    k: Int[Tensor, " B"],
    epsilon: Float[Tensor, "B N"],
    alpha_bar: Float[Tensor, " K1"],
    *,
    loss_scale: float = 100.0,
    kind: Literal["kl", "mse"] = "kl",
    offset_penalty: float = 0.0,
) -> Float[Tensor, ""]:
    """Measure how well the network recovers the clean distribution, which is 1 at candidate 0, from its noised state.

        "kl"   cross-entropy(loss_scale * x_0_hat, 0), the divergence from x_0 to softmax(loss_scale * x_0_hat)
        "mse"  mean of (x_0_hat - x_0)^2, the paper's alternative

    The network is equivariant to the order of its candidates, so that the positive always sits at index 0 tells it
    nothing. Source: SPEC section 9.

    Args:
        denoise: The network with its query and candidates bound, the positive first.
        k: Noise level of each row, 1 to K.
        epsilon: Standard normal noise, drawn by the caller.
        alpha_bar: Signal kept at each level.
        loss_scale: Factor on the estimate before the cross-entropy.
        kind: Which of the two.
        offset_penalty: Weight of the squared distance between an estimate's mean and 1/N, the mean of every
            distribution. "kl" does not see a number added to all candidates, so nothing else keeps the estimate
            within -1..1, where the sampler clamps it and makes candidates equal. 0 is the released loss.

    Returns:
        The mean over the batch.
    """
    x_0 = torch.zeros_like(epsilon)
    x_0[:, 0] = 1
    x_0_hat = denoise(add_noise(x_0, k, epsilon, alpha_bar), k)
    if kind == "mse":
        return functional.mse_loss(x_0_hat, x_0)
    offset = x_0_hat.mean(dim=1) - 1 / x_0_hat.shape[1]
    return functional.cross_entropy(loss_scale * x_0_hat, torch.zeros_like(k)) + offset_penalty * offset.square().mean()
