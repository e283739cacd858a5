"""Notebook 12: the gradient of a batch that is encoded in pieces, and of one that is dealt out to several processes.

The encoder of both is tanh(texts @ weight). The loss compares every text of a batch with every video.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.randomness import generator

Rows = Float[Tensor, "B D"]
Weight = Float[Tensor, "D D"]
LossOf = Callable[[Tensor, Tensor], Tensor]


def loss_of_batch(features: Rows, videos: Rows) -> Float[Tensor, ""]:
    """Give the contrastive loss of texts and videos, at a scale of 3."""
    logits, diagonal = 3 * features @ videos.T, torch.arange(len(videos))
    return (functional.cross_entropy(logits, diagonal) + functional.cross_entropy(logits.T, diagonal)) / 2


def _true(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight) -> Weight:
    """The gradient of the whole batch."""
    trained = weight.clone().requires_grad_()
    return torch.autograd.grad(loss_of(torch.tanh(texts @ trained), videos), trained)[0]


def _of_parts(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, size: int) -> list[Tensor]:
    """The gradient of each part's own loss, in which it is compared with nothing but itself."""
    parts = zip(texts.split(size), videos.split(size), strict=True)
    return [_true(loss_of, *part, weight) for part in parts]


def _features_and_pushes(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight) -> tuple[Rows, Rows]:
    features = torch.tanh(texts @ weight).requires_grad_()
    return features, torch.autograd.grad(loss_of(features, videos), features)[0]


# --- in pieces -------------------------------------------------------------------------------------------------------


def _in_pieces(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, size: int) -> Weight:
    features = torch.cat([torch.tanh(piece @ weight) for piece in texts.split(size)]).requires_grad_()
    (push,) = torch.autograd.grad(loss_of(features, videos), features)
    total, trained = torch.zeros_like(weight), weight.clone().requires_grad_()
    for piece, own_push in zip(texts.split(size), push.split(size), strict=True):
        again = torch.tanh(piece @ trained)
        total += torch.autograd.grad((again * own_push).sum(), trained)[0]
    return total


def _in_pieces_by_formula(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, size: int) -> Weight:
    features, push = _features_and_pushes(loss_of, texts, videos, weight)
    slope = 1 - features.detach().square()  # of tanh
    return texts.T @ (push * slope)


def _in_pieces_each_alone(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, size: int) -> Weight:
    return torch.stack(_of_parts(loss_of, texts, videos, weight, size)).mean(dim=0)


def _in_pieces_each_alone_summed(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, size: int) -> Weight:
    return torch.stack(_of_parts(loss_of, texts, videos, weight, size)).sum(dim=0)


def _in_pieces_without_slope(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, size: int) -> Weight:
    return texts.T @ _features_and_pushes(loss_of, texts, videos, weight)[1]


def _in_pieces_averaged(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, size: int) -> Weight:
    return _in_pieces(loss_of, texts, videos, weight, size) / len(texts.split(size))


def _in_pieces_last_only(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, size: int) -> Weight:
    features, push = _features_and_pushes(loss_of, texts, videos, weight)
    last = slice(len(texts) - len(texts.split(size)[-1]), None)
    return texts[last].T @ (push * (1 - features.detach().square()))[last]


_DRAW = generator(0, "a toy batch")
_TEXTS, _VIDEOS = torch.randn(8, 3, generator=_DRAW), torch.randn(8, 3, generator=_DRAW)
_WEIGHT = torch.randn(3, 3, generator=_DRAW) / 2

IN_PIECES = Exercise(
    name="gradient_in_pieces",
    reference=_in_pieces,
    second=_in_pieces_by_formula,
    mistakes=(
        Mistake(
            _in_pieces_each_alone, "Here each piece is compared with itself only: the loss must see all B features."
        ),
        Mistake(
            _in_pieces_each_alone_summed,
            "Sums of the pieces' own losses are another loss: the one loss must see all B features.",
        ),
        Mistake(
            _in_pieces_without_slope, "The way back through tanh is missing: encode the piece again and use autograd."
        ),
        Mistake(_in_pieces_averaged, "Add the pieces up, no mean: each is a part of one gradient."),
        Mistake(_in_pieces_last_only, "Only the last piece has arrived: add up with +=."),
    ),
    cases=(
        (loss_of_batch, _TEXTS, _VIDEOS, _WEIGHT, 4),
        (loss_of_batch, _TEXTS, _VIDEOS, _WEIGHT, 2),
        (loss_of_batch, _TEXTS[:7], _VIDEOS[:7], _WEIGHT, 3),
    ),
)

# --- dealt out -------------------------------------------------------------------------------------------------------


def _dealt_out(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, num_processes: int) -> Weight:
    total, size = torch.zeros_like(weight), len(texts) // num_processes
    gathered = torch.tanh(texts @ weight)  # numbers, as they come from the others
    for process in range(num_processes):
        trained = weight.clone().requires_grad_()
        own = slice(process * size, (process + 1) * size)
        features = gathered.clone()
        features[own] = torch.tanh(texts[own] @ trained)
        total += torch.autograd.grad(loss_of(features, videos), trained)[0]
    return total / num_processes


def _dealt_out_by_division(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, num_processes: int) -> Weight:
    return _true(loss_of, texts, videos, weight) / num_processes


def _dealt_out_correctly(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, num_processes: int) -> Weight:
    return _true(loss_of, texts, videos, weight)


def _dealt_out_ungathered(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, num_processes: int) -> Weight:
    return torch.stack(_of_parts(loss_of, texts, videos, weight, len(texts) // num_processes)).mean(dim=0)


def _dealt_out_first_only(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, num_processes: int) -> Weight:
    features, push = _features_and_pushes(loss_of, texts, videos, weight)
    first = slice(0, len(texts) // num_processes)
    return texts[first].T @ (push * (1 - features.detach().square()))[first]


def _dealt_out_first_averaged(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, num_processes: int) -> Weight:
    return _dealt_out_first_only(loss_of, texts, videos, weight, num_processes) / num_processes


def _dealt_out_twice_divided(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, num_processes: int) -> Weight:
    return _true(loss_of, texts, videos, weight) / num_processes**2


def _dealt_out_others_only(loss_of: LossOf, texts: Rows, videos: Rows, weight: Weight, num_processes: int) -> Weight:
    return _true(loss_of, texts, videos, weight) * (num_processes - 1) / num_processes


DEALT_OUT = Exercise(
    name="gradient_of_processes",
    reference=_dealt_out,
    second=_dealt_out_by_division,
    mistakes=(
        Mistake(
            _dealt_out_correctly,
            "That is the true gradient: here gathered rows carry none, and processes are averaged, not summed.",
        ),
        Mistake(_dealt_out_ungathered, "Every process computes the loss of the whole batch, not of its part alone."),
        Mistake(_dealt_out_first_only, "That is what the first process has; take the mean over all of them."),
        Mistake(_dealt_out_first_averaged, "Only one process has arrived: add up all of them before you divide."),
        Mistake(_dealt_out_twice_divided, "Divided twice: the mean over the processes is the only division."),
        Mistake(
            _dealt_out_others_only,
            "It is the other way round: a process's own rows carry a gradient, gathered ones do not.",
        ),
    ),
    cases=(
        (loss_of_batch, _TEXTS, _VIDEOS, _WEIGHT, 4),
        (loss_of_batch, _TEXTS[:6], _VIDEOS[:6], _WEIGHT, 3),
    ),
)
