"""Notebook 03, similarity and metrics: pooling and token interaction; its other exercises are in `judging_03.py`."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.course.exercises.judging_03 import GAIN, RANKS, SUMMARY

Features = Float[Tensor, "B L D"]
Mask = Bool[Tensor, "B L"]
Cosine = Float[Tensor, "W F"]
WordWeight = Float[Tensor, " W"]
FrameWeight = Float[Tensor, " F"]

# --- a mean that leaves padding out ----------------------------------------------------------------------------------


def _mean(features: Features, mask: Mask) -> Float[Tensor, "B D"]:
    real = mask[..., None].float()
    return (features * real).sum(dim=1) / real.sum(dim=1)


def _mean_one_by_one(features: Features, mask: Mask) -> Float[Tensor, "B D"]:
    return torch.stack([own[real].mean(dim=0) for own, real in zip(features, mask, strict=True)])


def _mean_with_padding(features: Features, mask: Mask) -> Float[Tensor, "B D"]:
    return features.mean(dim=1)


def _mean_over_all_places(features: Features, mask: Mask) -> Float[Tensor, "B D"]:
    return (features * mask[..., None]).mean(dim=1)


def _mean_not_divided(features: Features, mask: Mask) -> Float[Tensor, "B D"]:
    return (features * mask[..., None]).sum(dim=1)


def _mean_of_all_rows(features: Features, mask: Mask) -> Float[Tensor, " D"]:
    return features[mask].mean(dim=0)


_FEATURES = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [9.0, 9.0]], [[2.0, 2.0], [0.0, 1.0], [4.0, 0.0]]])
_MASK = torch.tensor([[True, True, False], [True, True, True]])


def _mean_of_padding(features: Features, mask: Mask) -> Float[Tensor, "B D"]:
    return _mean(features, ~mask)


def _mean_divided_along_the_other_axis(features: Features, mask: Mask) -> Float[Tensor, "B D"]:
    return (features * mask[..., None]).sum(dim=1) / mask.sum(dim=1)


MEAN = Exercise(
    name="mean_pool",
    reference=_mean,
    second=_mean_one_by_one,
    mistakes=(
        Mistake(_mean_with_padding, "Padding is in your mean: places where the mask is False must not count."),
        Mistake(_mean_over_all_places, "You divide by the number of all places; divide by the number of real ones."),
        Mistake(_mean_not_divided, "This is a sum, not a mean: a long video would get a long vector."),
        Mistake(_mean_of_padding, "True marks what is real; you average the padding."),
        Mistake(_mean_divided_along_the_other_axis, "Counts are divided along the wrong axis: give them shape [B, 1]."),
        Mistake(_mean_of_all_rows, "Every row keeps a mean of its own; yours pours the rows of the batch together."),
    ),
    cases=((_FEATURES, _MASK), (_FEATURES[:, :2], _MASK[:, 1:])),
)

# --- one pair compared word by frame ---------------------------------------------------------------------------------


def _pair(cosine: Cosine, word_weight: WordWeight, frame_weight: FrameWeight) -> Float[Tensor, ""]:
    of_words = (word_weight * cosine.amax(dim=1)).sum()
    of_frames = (frame_weight * cosine.amax(dim=0)).sum()
    return (of_words + of_frames) / 2


def _pair_in_loops(cosine: Cosine, word_weight: WordWeight, frame_weight: FrameWeight) -> float:
    of_words = sum(float(weight) * max(row) for weight, row in zip(word_weight, cosine.tolist(), strict=True))
    of_frames = sum(float(weight) * max(row) for weight, row in zip(frame_weight, cosine.T.tolist(), strict=True))
    return 0.5 * of_words + 0.5 * of_frames


def _pair_of_words_only(cosine: Cosine, word_weight: WordWeight, frame_weight: FrameWeight) -> Float[Tensor, ""]:
    return word_weight @ cosine.amax(dim=1)


def _pair_not_halved(cosine: Cosine, word_weight: WordWeight, frame_weight: FrameWeight) -> Float[Tensor, ""]:
    return 2 * _pair(cosine, word_weight, frame_weight)


def _pair_along_the_other_axis(cosine: Cosine, word_weight: WordWeight, frame_weight: FrameWeight) -> Float[Tensor, ""]:
    return _pair(cosine.T, word_weight, frame_weight)


def _pair_without_weights(cosine: Cosine, word_weight: WordWeight, frame_weight: FrameWeight) -> Float[Tensor, ""]:
    return (cosine.amax(dim=1).mean() + cosine.amax(dim=0).mean()) / 2


def _pair_without_maxima(cosine: Cosine, word_weight: WordWeight, frame_weight: FrameWeight) -> Float[Tensor, ""]:
    return word_weight @ cosine @ frame_weight


def _pair_of_frames_only(cosine: Cosine, word_weight: WordWeight, frame_weight: FrameWeight) -> Float[Tensor, ""]:
    return frame_weight @ cosine.amax(dim=0)


def _pair_with_one_half_whole(cosine: Cosine, word_weight: WordWeight, frame_weight: FrameWeight) -> Float[Tensor, ""]:
    return word_weight @ cosine.amax(dim=1) + frame_weight @ cosine.amax(dim=0) / 2


PAIR = Exercise(
    name="pair_similarity",
    reference=_pair,
    second=_pair_in_loops,
    mistakes=(
        Mistake(_pair_of_words_only, "Only the words have looked for frames; the frames look for words as well."),
        Mistake(_pair_of_frames_only, "Only the frames have looked for words; the words look for frames as well."),
        Mistake(_pair_with_one_half_whole, "Only one half is divided by 2: put the sum of both in brackets."),
        Mistake(_pair_not_halved, "The two halves are averaged, not added, so that the result stays within -1 and 1."),
        Mistake(
            _pair_along_the_other_axis,
            "Words and frames are exchanged: a word's best frame is found along dim=1.",
        ),
        Mistake(_pair_without_weights, "All words count alike in yours; multiply each maximum by its weight."),
        Mistake(_pair_without_maxima, "There is no maximum in yours: every word is compared with all frames at once."),
    ),
    cases=(  # square, so that an axis taken for the other is a wrong number and not an error
        (torch.tensor([[0.9, 0.1], [0.2, 0.6]]), torch.tensor([0.7, 0.3]), torch.tensor([0.4, 0.6])),
        (
            torch.tensor([[0.5, -0.2, 0.1], [0.3, 0.8, -0.6], [0.7, 0.2, -0.1]]),
            torch.tensor([0.5, 0.3, 0.2]),
            torch.tensor([0.1, 0.6, 0.3]),
        ),
    ),
)

EXERCISES = (MEAN, PAIR, RANKS, SUMMARY, GAIN)
