"""The decoder for many pairs of a query and a candidate, a piece at a time: nothing of their size stays in memory."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Piece(NamedTuple):
    """Some pairs, one after the other, that share a matrix.

    Attributes:
        matrix: Which of the matrices.
        start: First pair.
        stop: The pair after the last.
    """

    matrix: int
    start: int
    stop: int


class Pairs(NamedTuple):
    """How the hidden values of each pair are put together.

    Attributes:
        row: Which of the rows each pair reads.
        mixture: How each pair adds up the rows of its piece's matrix.
        pieces: All pairs, in order.
    """

    row: Int[Tensor, " P"]
    mixture: Float[Tensor, "P F"]
    pieces: list[Piece]


def pieces_of_sizes(sizes: Sequence[int]) -> list[Piece]:
    """Cut pairs of which the first `sizes[0]` share the first matrix, the next `sizes[1]` the second, and so on."""
    pieces, start = [], 0
    for matrix, size in enumerate(sizes):
        pieces.append(Piece(matrix, start, start + size))
        start += size
    return pieces


def decode_pairs(
    rows: Float[Tensor, "R D2"], matrices: Float[Tensor, "M F D2"], last: Float[Tensor, "1 D2"], pairs: Pairs
) -> Float[Tensor, " P"]:
    """Compute the last two layers of the network for pairs whose hidden values are sums of two known parts.

        y_p = <last, relu(rows[row_p] + mixture_p @ matrix of p's piece)>

    Hidden values are computed twice, for the estimate and again for the gradient, instead of being kept: for 128
    queries of 128 candidates at D = 512 they take 67 MB, and writing and reading them takes longer than multiplying.

    Args:
        rows: What pairs share one by one.
        matrices: What all pairs of a piece share.
        last: The weights of the last layer.
        pairs: How the parts are put together; gets no gradient.
    """
    return cast(Tensor, _DecodePairs.apply(rows, matrices, last, pairs))


class _DecodePairs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, matrices: Tensor, last: Tensor, pairs: Pairs) -> Tensor:
        ctx.save_for_backward(rows, matrices, last)
        ctx.pairs = pairs
        y = rows.new_empty(len(pairs.row))
        for piece in pairs.pieces:
            torch.mv(_hidden(rows, matrices, pairs, piece), last[0], out=y[piece.start : piece.stop])
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, matrices, last = ctx.saved_tensors
        row, mixture, pieces = ctx.pairs
        of_rows, of_matrices, of_last = torch.zeros_like(rows), torch.zeros_like(matrices), torch.zeros_like(last)
        for piece in pieces:
            part = slice(piece.start, piece.stop)
            hidden = _hidden(rows, matrices, ctx.pairs, piece)
            of_last[0].addmv_(hidden.T, gradient[part])
            of_hidden = hidden.sign_().mul_(last).mul_(gradient[part, None])  # relu lets through what is above 0
            of_rows.index_add_(0, row[part], of_hidden)
            of_matrices[piece.matrix].addmm_(mixture[part].T, of_hidden)
        return of_rows, of_matrices, of_last, None


def _hidden(
    rows: Float[Tensor, "R D2"], matrices: Float[Tensor, "M F D2"], pairs: Pairs, piece: Piece
) -> Float[Tensor, "P D2"]:
    part = slice(piece.start, piece.stop)
    return rows[pairs.row[part]].addmm_(pairs.mixture[part], matrices[piece.matrix]).relu_()
