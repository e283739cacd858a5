"""Notebook 07, a step of the training: which candidates it takes, and what it costs by noise level."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake

Similarities = Float[Tensor, " V"]
Mask = Bool[Tensor, " V"]
Items = Int[Tensor, " N"]

# --- the candidates of a step ----------------------------------------------------------------------------------------


def _candidates(similarity: Similarities, positive: int, same: Mask, pool: int, places: list[int]) -> Items:
    hardest = similarity.masked_fill(same, -torch.inf).topk(pool).indices
    return torch.cat([torch.tensor([positive]), hardest[places]])


def _candidates_by_sorting(
    similarity: Similarities, positive: int, same: Mask, pool: int, places: list[int]
) -> list[int]:
    allowed = [item for item in range(len(similarity)) if not same[item]]
    hardest = sorted(allowed, key=lambda item: -float(similarity[item]))[:pool]
    return [positive, *(hardest[place] for place in places)]


def _candidates_with_doubles(
    similarity: Similarities, positive: int, same: Mask, pool: int, places: list[int]
) -> Items:
    only_own = torch.arange(len(same)) == positive
    return _candidates(similarity, positive, only_own, pool, places)


def _candidates_with_itself(similarity: Similarities, positive: int, same: Mask, pool: int, places: list[int]) -> Items:
    return _candidates(similarity, positive, torch.zeros_like(same), pool, places)


def _candidates_positive_last(
    similarity: Similarities, positive: int, same: Mask, pool: int, places: list[int]
) -> Items:
    return _candidates(similarity, positive, same, pool, places).roll(-1)


def _candidates_easy(similarity: Similarities, positive: int, same: Mask, pool: int, places: list[int]) -> Items:
    return _candidates(-similarity, positive, same, pool, places)


def _candidates_nearest(similarity: Similarities, positive: int, same: Mask, pool: int, places: list[int]) -> Items:
    return _candidates(similarity, positive, same, pool, list(range(len(places))))


def _candidates_masked_with_zero(
    similarity: Similarities, positive: int, same: Mask, pool: int, places: list[int]
) -> Items:
    return torch.cat([torch.tensor([positive]), similarity.masked_fill(same, 0).topk(pool).indices[places]])


def _candidates_renumbered(similarity: Similarities, positive: int, same: Mask, pool: int, places: list[int]) -> Items:
    return torch.cat([torch.tensor([positive]), similarity[~same].topk(pool).indices[places]])


def _candidates_as_similarities(
    similarity: Similarities, positive: int, same: Mask, pool: int, places: list[int]
) -> Float[Tensor, " N"]:
    return similarity[_candidates(similarity, positive, same, pool, places)]


_ROW = torch.tensor([0.41, 0.62, 0.10, 0.58, 0.61, 0.33, 0.55, 0.20])
_SAME = torch.tensor([False, False, False, True, True, False, False, False])

CANDIDATES = Exercise(
    name="candidates_of_step",
    reference=_candidates,
    second=_candidates_by_sorting,
    mistakes=(
        Mistake(
            _candidates_with_doubles, "An item that the caption is true of as well came in as a negative; mask `same`."
        ),
        Mistake(_candidates_with_itself, "The positive is among its own negatives: mask `same` before topk."),
        Mistake(_candidates_positive_last, "The positive must stand first: the loss expects it at index 0."),
        Mistake(_candidates_easy, "These are the least similar items, the easy ones; topk of the similarity itself."),
        Mistake(
            _candidates_masked_with_zero, "Mask with -torch.inf: a 0 still stands before every negative similarity."
        ),
        Mistake(
            _candidates_renumbered,
            "Dropping items gives the others new numbers; mask them instead of cutting them out.",
        ),
        Mistake(
            _candidates_as_similarities,
            "These are similarities; asked are the numbers of the items: topk(...).indices.",
        ),
        Mistake(_candidates_nearest, "Take the drawn `places` of the pool, not always its first ones."),
    ),
    cases=(
        (_ROW, 3, _SAME, 5, [4, 0, 2]),
        (_ROW, 3, _SAME, 4, [1, 3]),
        (_ROW.flip(0), 4, _SAME.flip(0), 3, [2, 0]),
        (_ROW - 0.5, 3, _SAME, 5, [4, 0]),
    ),
)

# --- the loss by noise level -----------------------------------------------------------------------------------------


def _by_band(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    band = (k - 1) // width
    return torch.stack([loss[band == number].mean() for number in range(int(band.max()) + 1)])


def _by_band_counting(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    band = (k - 1) // width
    return torch.bincount(band, weights=loss.double()) / torch.bincount(band)


def _by_band_shifted(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    return _by_band(loss, k + 1, width)


def _by_band_summed(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    return torch.bincount((k - 1) // width, weights=loss)


def _by_band_share(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    return _by_band_summed(loss, k, width) / len(loss)


def _by_level(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    return torch.stack([loss[k == level].mean() for level in k.unique()])


def _by_band_without_last(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    return torch.stack([loss[k // width == number].mean() for number in range(int(k.max()) // width)])


def _by_band_per_width(loss: Float[Tensor, " B"], k: Int[Tensor, " B"], width: int) -> Float[Tensor, " G"]:
    return _by_band_summed(loss, k, width) / width


_LEVELS = torch.tensor([1, 2, 3, 4, 5, 6, 7, 8, 5, 4, 8, 1])
_LOSSES = torch.tensor([0.1, 0.3, 0.2, 0.6, 0.9, 0.7, 1.4, 2.0, 1.1, 0.5, 1.8, 0.0])

BY_BAND = Exercise(
    name="loss_by_band",
    reference=_by_band,
    second=_by_band_counting,
    mistakes=(
        Mistake(_by_band_shifted, "Off by one: levels begin at 1, so level `width` belongs to the first band still."),
        Mistake(_by_band_summed, "These are sums; bands with more queries would look worse. Take means."),
        Mistake(_by_band_share, "Divide by the number of queries in the band, not in the whole batch."),
        Mistake(
            _by_band_without_last, "The highest level is lost, and level `width` is in the second band: off by one."
        ),
        Mistake(_by_band_per_width, "`width` is a number of levels; divide by the number of queries in the band."),
        Mistake(_by_level, "That is a mean per level; put `width` levels together in one band."),
    ),
    cases=((_LOSSES, _LEVELS, 4), (_LOSSES, _LEVELS, 2)),
)
