"""Notebook 11, the demo: what is found off the map at a threshold, and the best segment of each video."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake


def _threshold(matched: Float[Tensor, " Q"], recall: float) -> float:
    return float(matched.sort().values[math.ceil(recall * len(matched) - 1e-9) - 1])


def _found(matched: Float[Tensor, " Q"], unmatched: Float[Tensor, " U"], recall: float) -> float:
    return float((unmatched > _threshold(matched, recall)).float().mean())


def _found_by_trying(matched: Float[Tensor, " Q"], unmatched: Float[Tensor, " U"], recall: float) -> float:
    enough = [value for value in matched.tolist() if int((matched <= value).sum()) >= recall * len(matched) - 1e-9]
    return sum(value > min(enough) for value in unmatched.tolist()) / len(unmatched)


def _missed(matched: Float[Tensor, " Q"], unmatched: Float[Tensor, " U"], recall: float) -> float:
    return 1 - _found(matched, unmatched, recall)


def _found_at_lowest(matched: Float[Tensor, " Q"], unmatched: Float[Tensor, " U"], recall: float) -> float:
    return _found(matched, unmatched, 1 - recall)


def _threshold_of_unmatched(matched: Float[Tensor, " Q"], unmatched: Float[Tensor, " U"], recall: float) -> float:
    return float((matched > _threshold(unmatched, recall)).float().mean())


def _with_equal_ones(matched: Float[Tensor, " Q"], unmatched: Float[Tensor, " U"], recall: float) -> float:
    return float((unmatched >= _threshold(matched, recall)).float().mean())


def _only_threshold(matched: Float[Tensor, " Q"], unmatched: Float[Tensor, " U"], recall: float) -> float:
    return _threshold(matched, recall)


FOUND = Exercise(
    name="found_off_the_map",
    reference=_found,
    second=_found_by_trying,
    mistakes=(
        Mistake(_missed, "That is the share of unmatched sentences that goes unnoticed."),
        Mistake(_found_at_lowest, "At least the share `recall` of the matched must lie at or BELOW the threshold."),
        Mistake(_threshold_of_unmatched, "The threshold is chosen on the matched sentences, then used on the others."),
        Mistake(_with_equal_ones, "Off the map is who scores above the threshold; one exactly at it passes."),
        Mistake(_only_threshold, "That is the threshold itself; which share of the unmatched scores above it?"),
    ),
    cases=(
        (torch.tensor([0.1, 0.5, 0.2, 0.4, 0.3]), torch.tensor([0.4, 0.9, 0.35, 0.6]), 0.8),
        (torch.tensor([-0.9, -0.7, -0.8, -0.2]), torch.tensor([-0.75, -0.7, -0.1, -0.6, -0.5]), 0.75),
    ),
)

Similarity = Float[Tensor, " S"]
Places = Int[Tensor, " S"]


def _best(similarity: Similarity, video_of_segment: Places) -> Int[Tensor, " V"]:
    best = []
    for video in range(int(video_of_segment.max()) + 1):
        own = (video_of_segment == video).nonzero().flatten()
        best.append(own[similarity[own].argmax()])
    return torch.stack(best)


def _best_by_masking(similarity: Similarity, video_of_segment: Places) -> Int[Tensor, " V"]:
    is_of = video_of_segment[None] == torch.arange(int(video_of_segment.max()) + 1)[:, None]
    return similarity.expand(is_of.shape).masked_fill(~is_of, -torch.inf).argmax(dim=1)


def _places_within(similarity: Similarity, video_of_segment: Places) -> Int[Tensor, " V"]:
    videos = range(int(video_of_segment.max()) + 1)
    return torch.stack([similarity[video_of_segment == video].argmax() for video in videos])


def _best_similarity(similarity: Similarity, video_of_segment: Places) -> Float[Tensor, " V"]:
    return similarity[_best(similarity, video_of_segment)]


def _first_segments(similarity: Similarity, video_of_segment: Places) -> Int[Tensor, " V"]:
    videos = range(int(video_of_segment.max()) + 1)
    return torch.stack([(video_of_segment == video).nonzero()[0, 0] for video in videos])


def _all_by_similarity(similarity: Similarity, video_of_segment: Places) -> Places:
    return similarity.argsort(descending=True)


def _worst(similarity: Similarity, video_of_segment: Places) -> Int[Tensor, " V"]:
    return _best(-similarity, video_of_segment)


SEGMENTS = Exercise(
    name="best_segment_of_each",
    reference=_best,
    second=_best_by_masking,
    mistakes=(
        Mistake(_places_within, "These places count within each video; give those among all segments."),
        Mistake(_best_similarity, "These are the highest similarities; give the places where they stand."),
        Mistake(_first_segments, "These are the first segments; the most similar one may come later."),
        Mistake(_all_by_similarity, "This ranks all segments: a long video would appear many times."),
        Mistake(_worst, "These are the least similar segments of each video."),
    ),
    cases=(
        (torch.tensor([0.2, 0.7, 0.4, 0.3, 0.9, 0.8]), torch.tensor([0, 0, 0, 1, 2, 2])),
        (torch.tensor([-0.3, -0.6, -0.1, -0.4]), torch.tensor([0, 0, 1, 1])),
    ),
)
