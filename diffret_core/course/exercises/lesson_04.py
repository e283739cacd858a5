"""Notebook 04, contrastive training: the loss, its gradient, what is no negative, and which negatives are hard."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.course.exercises.pushing_04 import LOSS, PUSH
from diffret_core.randomness import generator

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


def _together_by_video_with_own(videos: list[str], captions: list[str]) -> Bool[Tensor, "B B"]:
    return _together_by_video(videos, captions) | torch.eye(len(videos), dtype=torch.bool)


TOGETHER = Exercise(
    name="no_negative",
    reference=_together,
    second=_together_by_numbers,
    mistakes=(
        Mistake(_together_with_own, "The diagonal is True: then the right answer itself would be left out."),
        Mistake(_together_by_video, "Two videos may also have the very same caption; that is no negative either."),
        Mistake(
            _together_by_video_with_own,
            "A good start; two things are missing: the same caption counts too, and the diagonal must be False.",
        ),
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
