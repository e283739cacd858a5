"""Notebook 04, the contrastive loss and its gradient: what a batch pays, and where it is pushed."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.losses import contrastive_loss
from diffret_core.randomness import generator

Matrix = Float[Tensor, "B B"]

_SMALL = torch.tensor([[0.5, 0.3, 0.1], [0.4, 0.2, 0.1], [0.0, 0.1, 0.6]])
_LARGER = torch.rand(5, 5, generator=generator(0, "similarities of an exercise"))
_MATRICES = ((_SMALL, 10.0), (_LARGER, 3.0), (_SMALL, 1.0))

# --- the loss --------------------------------------------------------------------------------------------------------


def _loss(similarity: Matrix, logit_scale: float) -> Float[Tensor, ""]:
    logits = logit_scale * similarity
    of_texts = -torch.log_softmax(logits, dim=1).diagonal().mean()
    of_videos = -torch.log_softmax(logits, dim=0).diagonal().mean()
    return (of_texts + of_videos) / 2


def _loss_in_the_core(similarity: Matrix, logit_scale: float) -> Float[Tensor, ""]:
    return contrastive_loss(similarity, torch.tensor(logit_scale))


def _loss_of_texts(similarity: Matrix, logit_scale: float) -> Float[Tensor, ""]:
    return functional.cross_entropy(logit_scale * similarity, torch.arange(len(similarity)))


def _loss_of_videos(similarity: Matrix, logit_scale: float) -> Float[Tensor, ""]:
    return functional.cross_entropy(logit_scale * similarity.T, torch.arange(len(similarity)))


def _loss_not_halved(similarity: Matrix, logit_scale: float) -> Float[Tensor, ""]:
    return 2 * _loss(similarity, logit_scale)


def _loss_summed(similarity: Matrix, logit_scale: float) -> Float[Tensor, ""]:
    return len(similarity) * _loss(similarity, logit_scale)


def _loss_without_scale(similarity: Matrix, logit_scale: float) -> Float[Tensor, ""]:
    return _loss(similarity, 1.0)


def _loss_divided_by_scale(similarity: Matrix, logit_scale: float) -> Float[Tensor, ""]:
    return _loss(similarity, 1 / logit_scale)


def _loss_softmax_twice(similarity: Matrix, logit_scale: float) -> Float[Tensor, ""]:
    pairs = torch.arange(len(similarity))
    logits = logit_scale * similarity
    of_texts = functional.cross_entropy(logits.softmax(dim=1), pairs)
    return (of_texts + functional.cross_entropy(logits.T.softmax(dim=1), pairs)) / 2


def _loss_with_the_sign_turned(similarity: Matrix, logit_scale: float) -> Float[Tensor, ""]:
    return -_loss(similarity, logit_scale)


LOSS = Exercise(
    name="symmetric_loss",
    reference=_loss,
    second=_loss_in_the_core,
    mistakes=(
        Mistake(_loss_of_texts, "That is what the texts pay, row by row; videos ask too, column by column."),
        Mistake(_loss_of_videos, "That is what the videos pay, column by column; texts ask too, row by row."),
        Mistake(_loss_not_halved, "Twice too large: the loss is the mean of both directions, not their sum."),
        Mistake(_loss_summed, "Too large by the batch size: take the mean over the pairs, not their sum."),
        Mistake(_loss_without_scale, "The similarities must be multiplied by logit_scale before the softmax."),
        Mistake(_loss_divided_by_scale, "Multiply by logit_scale: it is 1/temperature, not the temperature."),
        Mistake(_loss_softmax_twice, "cross_entropy takes logits and does the softmax itself; yours is done twice."),
        Mistake(_loss_with_the_sign_turned, "The sign is turned: minus the logarithm of a probability is positive."),
    ),
    cases=(*_MATRICES, (_SMALL.clone().requires_grad_(), 10.0)),  # and it must keep the gradient
)

# --- its gradient ----------------------------------------------------------------------------------------------------


def _push(similarity: Matrix, logit_scale: float) -> Matrix:
    logits, own = logit_scale * similarity, torch.eye(len(similarity))
    both = (logits.softmax(dim=1) - own) + (logits.softmax(dim=0) - own)
    return logit_scale / (2 * len(similarity)) * both


def _push_by_autograd(similarity: Matrix, logit_scale: float) -> Matrix:
    moved = similarity.clone().requires_grad_()
    return torch.autograd.grad(_loss(moved, logit_scale), moved)[0]


def _push_without_own(similarity: Matrix, logit_scale: float) -> Matrix:
    logits = logit_scale * similarity
    return logit_scale / (2 * len(similarity)) * (logits.softmax(dim=1) + logits.softmax(dim=0))


def _push_own_once(similarity: Matrix, logit_scale: float) -> Matrix:
    return _push_without_own(similarity, logit_scale) - logit_scale / (2 * len(similarity)) * torch.eye(len(similarity))


def _push_of_texts(similarity: Matrix, logit_scale: float) -> Matrix:
    probability = (logit_scale * similarity).softmax(dim=1)
    return logit_scale / len(similarity) * (probability - torch.eye(len(similarity)))


def _push_without_scale(similarity: Matrix, logit_scale: float) -> Matrix:
    return _push(similarity, logit_scale) / logit_scale


def _push_turned(similarity: Matrix, logit_scale: float) -> Matrix:
    return -_push(similarity, logit_scale)


def _push_not_averaged(similarity: Matrix, logit_scale: float) -> Matrix:
    return _push(similarity, logit_scale) * len(similarity)


def _push_not_halved(similarity: Matrix, logit_scale: float) -> Matrix:
    return 2 * _push(similarity, logit_scale)


def _push_without_factors(similarity: Matrix, logit_scale: float) -> Matrix:
    return 2 * len(similarity) / logit_scale * _push(similarity, logit_scale)


def _push_of_one_side_halved(similarity: Matrix, logit_scale: float) -> Matrix:
    return _push_of_texts(similarity, logit_scale) / 2


def _push_of_videos(similarity: Matrix, logit_scale: float) -> Matrix:
    return _push_of_texts(similarity.T, logit_scale).T


PUSH = Exercise(
    name="push",
    reference=_push,
    second=_push_by_autograd,
    mistakes=(
        Mistake(_push_without_own, "The 1 of the right answer is missing: subtract the identity from both softmaxes."),
        Mistake(_push_own_once, "Each direction has its own right answer: subtract the identity twice, not once."),
        Mistake(_push_of_texts, "These are the rows alone; add the softmax over the columns, and halve."),
        Mistake(_push_without_scale, "The chain rule brings logit_scale out in front as well."),
        Mistake(_push_turned, "The sign is turned round: the gradient is probability minus right answer."),
        Mistake(_push_not_halved, "Twice too large: the loss is half of what each direction pays."),
        Mistake(_push_without_factors, "The matrix is right; three factors are missing: 1/B, 1/2 and logit_scale."),
        Mistake(_push_of_one_side_halved, "Only the texts ask here; the softmax over the columns is to be added."),
        Mistake(_push_of_videos, "These are the columns alone; add the softmax over the rows, and halve."),
        Mistake(_push_not_averaged, "The loss is a mean over the pairs, so its gradient is divided by their number."),
    ),
    cases=_MATRICES,
)
