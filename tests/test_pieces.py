"""The decoder a piece at a time: values and gradients against autograd and against finite differences."""

import torch

from diffret_core.training.pieces import Pairs, Piece, decode_pairs, pieces_of_sizes

NUM_ROWS, NUM_MATRICES, NUM_MIXED, DIM = 4, 3, 2, 5
SIZES = (3, 0, 4)  # pairs of each matrix; the second has none


def drawn(*shape, seed):
    value = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return value.requires_grad_()


def learned():
    return drawn(NUM_ROWS, DIM, seed=0), drawn(NUM_MATRICES, NUM_MIXED, DIM, seed=1), drawn(1, DIM, seed=2)


ROW = torch.tensor([3, 0, 3, 1, 1, 2, 3])
MIXTURE = drawn(sum(SIZES), NUM_MIXED, seed=3).detach()


def in_pieces(rows, matrices, last):
    return decode_pairs(rows, matrices, last, Pairs(ROW, MIXTURE, pieces_of_sizes(SIZES)))


def all_at_once(rows, matrices, last):
    of_pair = torch.arange(NUM_MATRICES).repeat_interleave(torch.tensor(SIZES))
    hidden = rows[ROW] + torch.einsum("pf,pfd->pd", MIXTURE, matrices[of_pair])
    return torch.relu(hidden) @ last[0]


def test_pieces_change_neither_values_nor_gradients():
    parts = learned()
    weight = torch.arange(1.0, sum(SIZES) + 1, dtype=torch.float64)
    found, expected = in_pieces(*parts), all_at_once(*parts)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    pairs = (torch.autograd.grad((y * weight).sum(), parts) for y in (found, expected))
    for one, other in zip(*pairs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_gradients_are_the_slopes():
    assert torch.autograd.gradcheck(in_pieces, learned())


def test_nothing_as_large_as_the_pairs_is_kept():
    kept = []
    rows, matrices, last = drawn(2, 64, seed=0), drawn(1, 2, 64, seed=1), drawn(1, 64, seed=2)
    pairs = Pairs(torch.arange(300) % 2, drawn(300, 2, seed=3).detach(), pieces_of_sizes([300]))

    def keep(value):
        kept.append(value.numel())
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        decode_pairs(rows, matrices, last, pairs).sum().backward()
    assert 0 < max(kept) < 300 * 64


def test_pieces_of_sizes_stand_one_after_the_other():
    assert pieces_of_sizes([2, 0, 3]) == [Piece(0, 0, 2), Piece(1, 2, 2), Piece(2, 2, 5)]
