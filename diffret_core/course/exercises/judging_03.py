"""Notebook 03, how a ranking is judged: ranks, what they amount to, and a gain that choosing cannot make up."""

import statistics

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diffret_core.course.exercise import Exercise, Mistake
from diffret_core.metrics import retrieval_metrics

Scores = Float[Tensor, "Q V"]
Targets = Int[Tensor, " Q"]
Ranks = Int[Tensor, " Q"]
Summary = tuple[float, float, float, float]
Hits = Bool[Tensor, "M Q"]
Chosen = Int[Tensor, " C"]
Judged = Int[Tensor, " J"]

# --- ranks -----------------------------------------------------------------------------------------------------------


def _own(score: Scores, target: Targets) -> Float[Tensor, "Q 1"]:
    return score[torch.arange(len(score)), target][:, None]


def _ranks(score: Scores, target: Targets) -> Ranks:
    return (score >= _own(score, target)).sum(dim=1)


def _ranks_in_a_loop(score: Scores, target: Targets) -> list[int]:
    return [sum(one >= row[place] for one in row) for row, place in zip(score.tolist(), target.tolist(), strict=True)]


def _ranks_by_better_ones(score: Scores, target: Targets) -> Ranks:
    return (score > _own(score, target)).sum(dim=1) + 1


def _ranks_by_sorting(score: Scores, target: Targets) -> Ranks:
    order = score.argsort(dim=1, descending=True, stable=True)
    return (order == target[:, None]).int().argmax(dim=1) + 1


def _ranks_counting_the_target_twice(score: Scores, target: Targets) -> Ranks:
    return _ranks(score, target) + 1


def _ranks_from_zero(score: Scores, target: Targets) -> Ranks:
    return (score >= _own(score, target)).sum(dim=1) - 1


def _ranks_from_the_worst(score: Scores, target: Targets) -> Ranks:
    return (score <= _own(score, target)).sum(dim=1)


def _ranks_of_the_diagonal(score: Scores, target: Targets) -> Ranks:
    return (score >= score.diagonal()[:, None]).sum(dim=1)


def _ranks_read_off_the_order(score: Scores, target: Targets) -> Ranks:
    order = score.argsort(dim=1, descending=True, stable=True)
    return order[torch.arange(len(score)), target] + 1


_SCORE = torch.tensor([[0.8, 0.1, 0.3, 0.4], [0.6, 0.5, 0.7, 0.2], [0.1, 0.3, 0.3, 0.2], [0.9, 0.4, 0.6, 0.5]])

RANKS = Exercise(
    name="rank_targets",
    reference=_ranks,
    second=_ranks_in_a_loop,
    mistakes=(
        Mistake(_ranks_by_better_ones, "An equal score counts against the target; in yours a tie costs nothing."),
        Mistake(_ranks_by_sorting, "Sorting puts equal scores in some order, by luck; count scores at least as high."),
        Mistake(_ranks_counting_the_target_twice, "With >= the target counts itself already: no 1 is to be added."),
        Mistake(_ranks_from_zero, "The best rank is 1, not 0."),
        Mistake(_ranks_from_the_worst, "A high score is a good one; you count the items that score less."),
        Mistake(_ranks_of_the_diagonal, "The target of row i need not be column i: look it up in `target`."),
        Mistake(
            _ranks_read_off_the_order,
            "argsort says which item stands at a place, not at which place an item stands; counting needs no sorting.",
        ),
    ),
    cases=((_SCORE, torch.tensor([0, 1, 2, 3])), (_SCORE[:3], torch.tensor([3, 0, 1]))),
)

# --- what ranks amount to --------------------------------------------------------------------------------------------


def _summary(ranks: Ranks) -> Summary:
    recall = [100 * (ranks <= depth).double().mean().item() for depth in (1, 5)]
    return recall[0], recall[1], float(np.median(ranks)), ranks.double().mean().item()


def _summary_in_the_core(ranks: Ranks) -> Summary:
    found = retrieval_metrics(ranks)
    return found["R@1"], found["R@5"], float(statistics.median(ranks.tolist())), found["mean_rank"]


def _summary_in_shares(ranks: Ranks) -> Summary:
    first, fifth, median, mean = _summary(ranks)
    return first / 100, fifth / 100, median, mean


def _summary_below_the_depth(ranks: Ranks) -> Summary:
    first, fifth = (100 * (ranks < depth).double().mean().item() for depth in (1, 5))
    return first, fifth, *_summary(ranks)[2:]


def _summary_with_the_lower_median(ranks: Ranks) -> Summary:
    first, fifth, _, mean = _summary(ranks)
    return first, fifth, float(ranks.median()), mean


def _summary_turned_round(ranks: Ranks) -> Summary:
    first, fifth, median, mean = _summary(ranks)
    return first, fifth, mean, median


SUMMARY = Exercise(
    name="summarise",
    reference=_summary,
    second=_summary_in_the_core,
    mistakes=(
        Mistake(_summary_in_shares, "Recall is given in percent, from 0 to 100."),
        Mistake(_summary_below_the_depth, "Rank 1 is among the first 1: compare with <=, not with <."),
        Mistake(
            _summary_with_the_lower_median, "Of an even number of ranks torch takes the lower middle; average both."
        ),
        Mistake(_summary_turned_round, "Median and mean have changed places: the median comes first."),
    ),
    cases=((torch.tensor([1, 2, 3, 8]),), (torch.tensor([5, 1, 1, 40, 6, 2]),), (torch.tensor([1, 7, 1]),)),
)

# --- a gain that choosing cannot make up -----------------------------------------------------------------------------


def _recall(hits: Hits, queries: Int[Tensor, " n"]) -> Float[Tensor, " M"]:
    return 100 * hits[:, queries].float().mean(dim=1)


def _gain(hits: Hits, chosen_on: Chosen, judged_on: Judged) -> Float[Tensor, ""]:
    best, recall = _recall(hits, chosen_on).argmax(), _recall(hits, judged_on)
    return recall[best] - recall.mean()


def _gain_by_counting(hits: Hits, chosen_on: Chosen, judged_on: Judged) -> float:
    table = hits.numpy()
    best = max(range(len(table)), key=lambda row: table[row, chosen_on.numpy()].sum())
    return 100 * float(np.mean(table[best, judged_on.numpy()]) - np.mean(table[:, judged_on.numpy()]))


def _gain_chosen_where_judged(hits: Hits, chosen_on: Chosen, judged_on: Judged) -> Float[Tensor, ""]:
    return _gain(hits, judged_on, judged_on)


def _gain_judged_where_chosen(hits: Hits, chosen_on: Chosen, judged_on: Judged) -> Float[Tensor, ""]:
    return _gain(hits, chosen_on, chosen_on)


def _gain_chosen_on_all(hits: Hits, chosen_on: Chosen, judged_on: Judged) -> Float[Tensor, ""]:
    return _gain(hits, torch.arange(hits.shape[1]), judged_on)


def _gain_over_nothing(hits: Hits, chosen_on: Chosen, judged_on: Judged) -> Float[Tensor, ""]:
    return _recall(hits, judged_on)[_recall(hits, chosen_on).argmax()]


def _gain_turned_round(hits: Hits, chosen_on: Chosen, judged_on: Judged) -> Float[Tensor, ""]:
    return -_gain(hits, chosen_on, judged_on)


def _gain_in_shares(hits: Hits, chosen_on: Chosen, judged_on: Judged) -> Float[Tensor, ""]:
    return _gain(hits, chosen_on, judged_on) / 100


_HITS = torch.tensor(
    [
        [0, 1, 1, 1, 1, 0, 0, 1, 0, 0],
        [1, 0, 1, 0, 1, 1, 0, 0, 0, 1],
        [0, 1, 1, 0, 1, 1, 0, 0, 1, 1],
        [0, 1, 0, 0, 0, 1, 0, 1, 1, 1],
    ]
).bool()

GAIN = Exercise(
    name="honest_gain",
    reference=_gain,
    second=_gain_by_counting,
    mistakes=(
        Mistake(_gain_chosen_where_judged, "This is the leak: you choose on the very queries that you judge on."),
        Mistake(_gain_judged_where_chosen, "You report on the queries you chose on; report on `judged_on`."),
        Mistake(
            _gain_chosen_on_all, "Choosing on all queries looks at those of `judged_on` too; use `chosen_on` only."
        ),
        Mistake(_gain_over_nothing, "This is the R@1 of the chosen model; subtract the mean of all models."),
        Mistake(_gain_turned_round, "The sign is turned: the chosen model minus the mean of all."),
        Mistake(_gain_in_shares, "The gain is in percentage points: multiply by 100."),
    ),
    cases=(
        (_HITS, torch.arange(5), torch.arange(5, 10)),
        (_HITS, torch.tensor([0, 2, 4, 6]), torch.tensor([1, 3, 5, 7, 8, 9])),
        (_HITS, torch.arange(5, 10), torch.arange(5)),
    ),
)
