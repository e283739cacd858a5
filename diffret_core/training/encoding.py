"""The encoders inside a training step: in pieces that fit the memory, and in the precision of the recipe."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from diffret_core.config import ContrastiveConfig

Encode = Callable[..., tuple[Tensor, ...]]


def check_pieces(model: nn.Module, config: ContrastiveConfig) -> None:
    """Refuse pieces where the result would depend on them.

    Raises:
        ValueError: If the model has batch normalisation, which would see one piece at a time, and twice.
    """
    if config.encode_at_once is not None and any(isinstance(part, nn.BatchNorm2d) for part in model.modules()):
        raise ValueError(
            "batch normalisation would see a part of the batch at a time; give encode_at_once=None, which encodes "
            "the batch as a whole, or an image tower without it"
        )


def encode_in_pieces(encode: Encode, *inputs: Tensor, config: ContrastiveConfig) -> tuple[Tensor, ...]:
    """Encode the rows of a batch, with the gradient of encoding all of them at once.

    A contrastive loss compares every row with every other, so gradients of pieces of the batch cannot simply be added
    up: the loss would be another one. But an encoder sees a row at a time. Here features of all pieces are computed
    first, keeping nothing else; the loss is that of all of them; and when its gradient comes back to the features of a
    piece, that piece is encoded again (Gao et al. 2021, "Scaling deep contrastive learning batch size under memory
    limited setup"; Chen et al. 2016, "Training deep nets with sublinear memory cost").

    Args:
        encode: Gives some tensors, a row of each for a row of the inputs.
        inputs: B rows each.
        config: Says how many rows at once, and the precision of products.

    Returns:
        What `encode` gives for all rows; floating point in single precision or that of the weights, if that is higher.
    """

    def encode_piece(*piece: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(inputs[0].device.type, torch.bfloat16, enabled=config.compute_precision == "bfloat16"):
            encoded = encode(*piece)
        return tuple(part.float() if part.dtype == torch.bfloat16 else part for part in encoded)

    if config.encode_at_once is None:
        return encode_piece(*inputs)
    pieces = zip(*(rows.split(config.encode_at_once) for rows in inputs), strict=True)
    encoded = [checkpoint(encode_piece, *piece, use_reentrant=False) for piece in pieces]
    return tuple(torch.cat(parts) for parts in zip(*encoded, strict=True))
