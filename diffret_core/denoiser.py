"""The denoising network: from a noised distribution over candidates to an estimate of the clean one; SPEC section 8."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from diffret_core.config import Mode


def pool_frames(
    sentence: Float[Tensor, "*#B D"],
    frames: Float[Tensor, "*#B F D"],
    frame_mask: Bool[Tensor, "*#B F"],
    *,
    mode: Mode = "default",
) -> Float[Tensor, "*B D"]:
    """Pool a video's frames by their attention to a sentence: the text-frame attention encoder.

        a_f = softmax over real frames of <sentence, frame_f>,  z = sum over f of a_f * frame_f

    Source: SPEC section 8. Features are raw: no normalisation, no temperature.

    Args:
        sentence: One sentence feature per pair; leading dimensions broadcast against those of `frames`.
        frames: Frame features per pair.
        frame_mask: True for real frames.
        mode: "reference" takes the softmax over all F slots and multiplies by the mask afterwards, without
            renormalising, as the released model does.

    Returns:
        z, the video as this sentence sees it.
    """
    weight = frame_weights((frames @ sentence[..., None]).squeeze(-1), frame_mask, mode=mode)
    return (weight[..., None] * frames).sum(dim=-2)


def frame_weights(
    score: Float[Tensor, "*B F"], frame_mask: Bool[Tensor, "*#B F"], *, mode: Mode = "default"
) -> Float[Tensor, "*B F"]:
    """Turn the products of a sentence with each frame into a_f; see `pool_frames`."""
    if mode == "reference":
        return torch.softmax(score, dim=-1) * frame_mask
    return torch.softmax(score.masked_fill(~frame_mask, -torch.inf), dim=-1)


def sinusoidal_code(k: Int[Tensor, " B"], dim: int) -> Float[Tensor, "B D"]:
    """Look up the sinusoidal code of noise level k, which sits at position k - 1: sine on even features, else cosine.

    Source: Vaswani et al. 2017, section 3.5; SPEC section 8.

    Args:
        k: Noise levels, 1 to K.
        dim: D, even.

    Returns:
        The code, float32: the table is float32 in the released model too.

    Raises:
        ValueError: If a level is below 1, since the clean level is never an input.
    """
    if k.numel() and int(k.min()) < 1:
        raise ValueError(f"noise level {int(k.min())} cannot be denoised; levels run from 1 to K")
    position = (k - 1).float()[:, None]
    even = torch.arange(0, dim, 2, device=k.device).float()
    angle = position * torch.exp(even * (-torch.log(torch.tensor(10000.0, device=k.device)) / dim))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


class NoiseLevelCode(nn.Module):
    """c_k: what the network is told about the noise level."""

    def __init__(self, dim: int) -> None:
        """Make the two layers on top of the sinusoidal code of size `dim`."""
        super().__init__()
        if dim % 2:
            raise ValueError(f"dim is {dim}; the sinusoidal code pairs features, so it must be even")
        self.dim = dim
        self.layers = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, k: Int[Tensor, " B"]) -> Float[Tensor, "B D"]:
        """Code noise levels 1..K."""
        return self.layers(sinusoidal_code(k, self.dim).to(next(self.layers.parameters()).dtype))


class Denoiser(nn.Module):
    """The query-candidate attention network; one class serves both directions, each with its own weights.

        q = Wq (query + c_k),  key_j = Wk (candidate_j + c_k),  value_j = Wv (candidate_j + c_k)
        w = softmax over j of (<q, key_j> + x_k[j])          no 1/sqrt(D)
        o = Wo (sum over j of w_j value_j) + b_o
        x_0_hat[j] = MLP([o ; candidate_j]) + w_j

    A text query is one vector for all its candidates. A video query differs per candidate, because the candidate's
    text pools its frames: then q_j takes the place of q. Source: SPEC section 8.
    """

    def __init__(self, dim: int) -> None:
        """Make the network for features of size `dim`."""
        super().__init__()
        self.noise_level_code = NoiseLevelCode(dim)
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        self.output = nn.Linear(dim, dim)
        self.decoder = nn.Sequential(nn.Linear(2 * dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, 1))

    def forward(
        self,
        x_k: Float[Tensor, "B N"],
        k: Int[Tensor, " B"],
        query: Float[Tensor, "B Q D"],
        candidates: Float[Tensor, "B N D"],
    ) -> Float[Tensor, "B N"]:
        """Estimate the clean distribution.

        Args:
            x_k: Noised distribution over the candidates.
            k: Noise level of each row, 1 to K.
            query: Q = 1 for a query shared by all candidates, Q = N for one query per candidate.
            candidates: Candidate features, in the order of x_k.

        Returns:
            x_0_hat, unclamped.

        Raises:
            ValueError: If Q is neither 1 nor N, or a level is below 1.
        """
        num_candidates = x_k.shape[1]
        if query.shape[1] not in (1, num_candidates):
            raise ValueError(f"query has {query.shape[1]} vectors a row; expected 1 or {num_candidates}")
        code = self.noise_level_code(k)[:, None]  # [B, 1, D]
        q, key = self.query(query + code), self.key(candidates + code)
        weight = torch.softmax((q * key).sum(dim=-1) + x_k, dim=-1)  # [B, N]
        attended = (weight[:, None] @ self.value(candidates + code)).squeeze(1)  # [B, D]
        context = self.output(attended)[:, None].expand_as(candidates)
        return self.decoder(torch.cat([context, candidates], dim=-1)).squeeze(-1) + weight
