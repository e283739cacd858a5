"""The temporal transformer: frames learn what comes before and after them; SPEC section 4."""

import torch
from jaxtyping import Bool, Float
from open_clip import CLIP
from open_clip.transformer import QuickGELU, Transformer
from torch import Tensor, nn

from diffret_core.encoders.towers import additive_mask, refuse_videos_without_frames

HEAD_WIDTH = 64
EPSILON = 1e-12  # of the layer norms, in this transformer only


class LayerNorm(nn.Module):
    """Layer norm written out, as the released model computes it: a fused kernel rounds the variance differently."""

    def __init__(self, dim: int) -> None:
        """Start as a plain normalisation of features of size `dim`."""
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Normalise each row, then scale and shift it."""
        centred = x - x.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        return self.weight * (centred / (variance + EPSILON).sqrt()) + self.bias


class TemporalTransformer(nn.Module):
    """Add to each frame what the other frames say about it.

        g = f + Transformer(f + P[0..F-1])

    Pre-norm blocks with QuickGELU, no final norm, layer norm eps 1e-12 here only. Source: SPEC section 4.
    """

    def __init__(self, dim: int, num_layers: int, num_positions: int) -> None:
        """Make the blocks with random weights.

        Args:
            dim: D, as a rule a multiple of 64, the width of a head.
            num_layers: Number of blocks.
            num_positions: Most frames a video can have.
        """
        super().__init__()
        num_heads = dim // HEAD_WIDTH
        if num_heads == 0 or dim % num_heads:
            raise ValueError(f"dim is {dim}; it must split into heads of about {HEAD_WIDTH}: use a multiple of that")
        self.transformer = Transformer(dim, num_layers, num_heads, act_layer=QuickGELU, norm_layer=LayerNorm)
        self.positions = nn.Parameter(0.01 * torch.randn(num_positions, dim))

    def forward(self, frames: Float[Tensor, "V F D"], frame_mask: Bool[Tensor, "V F"]) -> Float[Tensor, "V F D"]:
        """Let real frames attend to one another; padded slots attend to them too, and are attended to by none.

        Args:
            frames: f, CLIP's image features.
            frame_mask: True for real frames.

        Returns:
            g; the padded slots' outputs mean nothing and every later stage masks them.

        Raises:
            ValueError: If a video has no real frame, or there are more frames than positions.
        """
        num_frames = frames.shape[1]
        if num_frames > len(self.positions):
            raise ValueError(f"videos have {num_frames} frames; this model has {len(self.positions)} positions")
        refuse_videos_without_frames(frame_mask)
        allowed = frame_mask[:, None, :].expand(-1, num_frames, -1)
        num_heads = self.transformer.resblocks[0].attn.num_heads
        mask = additive_mask(allowed, num_heads, frames.dtype)
        return frames + self.transformer(frames + self.positions[:num_frames], attn_mask=mask)


@torch.no_grad()
def initialise_from_clip(temporal: TemporalTransformer, clip: CLIP) -> None:
    """Start the temporal transformer from CLIP's text transformer: its first blocks and its position embeddings.

    Source: SPEC section 4.

    Raises:
        ValueError: If the text transformer has other sizes or fewer blocks, or fewer positions than are needed.
    """
    blocks, text_blocks = temporal.transformer.resblocks, clip.transformer.resblocks
    positions, text_positions = temporal.positions, clip.positional_embedding
    if text_positions.shape[1] != positions.shape[1]:
        raise ValueError(
            f"the text transformer is {text_positions.shape[1]} wide and features have size {positions.shape[1]}; "
            "only a model where both are equal can start its temporal transformer from CLIP"
        )
    if len(text_blocks) < len(blocks) or len(text_positions) < len(positions):
        raise ValueError(
            f"the text transformer has {len(text_blocks)} blocks and {len(text_positions)} positions; "
            f"the temporal transformer needs {len(blocks)} and {len(positions)} to start from it"
        )
    for block, text_block in zip(blocks, text_blocks, strict=False):
        block.load_state_dict(text_block.state_dict())
    positions.copy_(text_positions[: len(positions)])
