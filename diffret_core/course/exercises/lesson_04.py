"""Notebook 04, contrastive training: the loss, its gradient, what is no negative, and which negatives are hard."""

import torch
from jaxtyping import Bool, Float, Int
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
    ),
    cases=_MATRICES,
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
        Mistake(_push_not_averaged, "The loss is a mean over the pairs, so its gradient is divided by their number."),
    ),
    cases=_MATRICES,
)

# --- what is no negative ---------------------------------------------------------------------------------------------


def _together(videos: list[str], captions: list[str]) -> Bool[Tensor, "B B"]:
    places = range(len(videos))
    same = [[videos[i] == videos[j] or captions[i] == captions[j] for j in places] for i in places]
    return torch.tensor(same) & ~torch.eye(len(videos), dtype=torch.bool)


def _together_by_numbers(videos: list[str], captions: list[str]) -> Bool[Tensor, "B B"]:
    video, caption = (torch.tensor([column.index(one) for one in column]) for column in (videos, captions))
    same = (video[:, None] == video) | (caption[:, None] == caption)
    return same.fill_diagonal_(False)


def _together_with_own(videos: list[str], captions: list[str]) -> Bool[Tensor, "B B"]:
    return _together(videos, captions) | torch.eye(len(videos), dtype=torch.bool)


def _together_by_video(videos: list[str], captions: list[str]) -> Bool[Tensor, "B B"]:
    return _together(videos, [str(place) for place in range(len(captions))])


def _together_by_caption(videos: list[str], captions: list[str]) -> Bool[Tensor, "B B"]:
    return _together([str(place) for place in range(len(videos))], captions)


def _together_by_both(videos: list[str], captions: list[str]) -> Bool[Tensor, "B B"]:
    return _together_by_video(videos, captions) & _together_by_caption(videos, captions)


def _together_turned(videos: list[str], captions: list[str]) -> Bool[Tensor, "B B"]:
    return ~_together(videos, captions)


TOGETHER = Exercise(
    name="no_negative",
    reference=_together,
    second=_together_by_numbers,
    mistakes=(
        Mistake(_together_with_own, "The diagonal is True: then the right answer itself would be left out."),
        Mistake(_together_by_video, "Two videos may also have the very same caption; that is no negative either."),
        Mistake(_together_by_caption, "Two captions of one video differ in words and still belong together."),
        Mistake(_together_by_both, "One reason is enough: the same video or the same caption, not both at once."),
        Mistake(_together_turned, "The mask is turned round: True is what must not count as a negative."),
    ),
    cases=(
        (["v1", "v1", "v2", "v3"], ["a star", "it spins", "a ring", "a star"]),
        (["v1", "v2", "v1"], ["a star", "a ring", "a star"]),
        (["v1", "v2"], ["a star", "a moon"]),
    ),
)

# --- which negatives are hard ----------------------------------------------------------------------------------------


def _nearest(sentences: Float[Tensor, "T D"], video_of_text: Int[Tensor, " T"], num_alike: int) -> Int[Tensor, "T A"]:
    unit = functional.normalize(sentences, dim=-1)
    own = video_of_text[:, None] == video_of_text
    return (unit @ unit.T).masked_fill(own, -torch.inf).topk(num_alike, dim=1).indices


def _nearest_by_sorting(
    sentences: Float[Tensor, "T D"], video_of_text: Int[Tensor, " T"], num_alike: int
) -> list[list[int]]:
    found = []
    for place, sentence in enumerate(sentences):
        cosine = functional.cosine_similarity(sentence[None], sentences).tolist()
        others = [i for i, video in enumerate(video_of_text.tolist()) if video != int(video_of_text[place])]
        found.append(sorted(others, key=lambda i: -cosine[i])[:num_alike])
    return found


def _nearest_of_all(
    sentences: Float[Tensor, "T D"], video_of_text: Int[Tensor, " T"], num_alike: int
) -> Int[Tensor, "T A"]:
    unit = functional.normalize(sentences, dim=-1)
    return (unit @ unit.T).topk(num_alike, dim=1).indices


def _nearest_but_itself(
    sentences: Float[Tensor, "T D"], video_of_text: Int[Tensor, " T"], num_alike: int
) -> Int[Tensor, "T A"]:
    return _nearest(sentences, torch.arange(len(sentences)), num_alike)


def _farthest(sentences: Float[Tensor, "T D"], video_of_text: Int[Tensor, " T"], num_alike: int) -> Int[Tensor, "T A"]:
    unit = functional.normalize(sentences, dim=-1)
    own = video_of_text[:, None] == video_of_text
    return (unit @ unit.T).masked_fill(own, torch.inf).topk(num_alike, dim=1, largest=False).indices


def _nearest_by_product(
    sentences: Float[Tensor, "T D"], video_of_text: Int[Tensor, " T"], num_alike: int
) -> Int[Tensor, "T A"]:
    own = video_of_text[:, None] == video_of_text
    return (sentences @ sentences.T).masked_fill(own, -torch.inf).topk(num_alike, dim=1).indices


_DIRECTIONS = torch.randn(6, 3, generator=generator(0, "sentences of an exercise"))
_SENTENCES = torch.cat([_DIRECTIONS, 0.9 * _DIRECTIONS[:2] + 0.05]) * torch.tensor([1.0, 3, 1, 5, 1, 1, 2, 1])[:, None]
_VIDEO_OF_TEXT = torch.tensor([0, 1, 2, 3, 4, 5, 0, 1])

NEAREST = Exercise(
    name="nearest_of_others",
    reference=_nearest,
    second=_nearest_by_sorting,
    mistakes=(
        Mistake(_nearest_of_all, "Nearest to a caption is the caption itself: leave out all that describe its video."),
        Mistake(_nearest_but_itself, "Other captions of the same video came along; they are no negatives."),
        Mistake(_farthest, "These are the farthest captions, the easy ones; take the largest cosines."),
        Mistake(_nearest_by_product, "Long vectors win here: normalise the sentences, so that only direction counts."),
    ),
    cases=((_SENTENCES, _VIDEO_OF_TEXT, 2), (_SENTENCES[:5], _VIDEO_OF_TEXT[:5], 1)),
)

EXERCISES = (LOSS, PUSH, TOGETHER, NEAREST)
