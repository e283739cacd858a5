"""Retrieval metrics: one rank per query, what the ranks amount to, and how sure one may be of it."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

TieRule = Literal["pessimistic", "optimistic", "released"]

_CONFIDENCE_PERCENT = 95.0


def target_ranks(
    score: Float[Tensor, "Q V"], target: Int[Tensor, " Q"], *, ties: TieRule = "pessimistic"
) -> Int[Tensor, " R"]:
    """Rank of each query's target in its gallery, 1 = best.

    The three rules differ only where another item scores exactly as much as the target:

    - "pessimistic": every equal item counts against the target. A model that gives all items one score earns nothing.
    - "optimistic": no equal item counts; the rank is 1 + the number of strictly greater scores.
    - "released": as the released code does it: the row is sorted and every place that holds the target's score is
      taken as a rank. A tie adds ranks to the list, so there may be more ranks than queries and R@1 is distorted.

    Source: SPEC sections 11 and 12.

    Args:
        score: Score of every gallery item (column) for every query (row), higher is better.
        target: Column of each query's correct item.
        ties: What an equal score counts for.

    Returns:
        One rank per query, in 1..V. Under "released" one or more per query, in the order of the queries.

    Raises:
        ValueError: If shapes do not match, a target is no column, a score is not finite, or the rule is unknown.
    """
    _check_targets(score, target)
    target_score = score.gather(1, target[:, None].long())
    if ties == "pessimistic":
        return (score >= target_score).sum(dim=1)
    if ties == "optimistic":
        return (score > target_score).sum(dim=1) + 1
    if ties == "released":
        return (score.sort(dim=1, descending=True).values == target_score).nonzero()[:, 1] + 1
    raise ValueError(f'ties is {ties!r}, expected "pessimistic", "optimistic" or "released"')


def best_in_group(score: Float[Tensor, "T V"], video_of_text: Int[Tensor, " T"]) -> Float[Tensor, "V G"]:
    """Scores for video-to-text retrieval when a video has several captions.

    The gallery is then the G videos' caption groups, not single captions: a group scores for a query video what its
    best caption scores, and the query's target is its own group. Text-to-video needs none of this: there each caption
    ranks the videos, with `video_of_text` as the targets.

    Source: SPEC section 11.

    Args:
        score: Score of each caption (row) with each query video (column). Scores kept video by text are passed
            transposed.
        video_of_text: Video that each caption describes. All captions of video g, wherever they stand, form group g.

    Returns:
        Score of each caption group for each query video, G = largest video number + 1; row v's target is column v.

    Raises:
        ValueError: If shapes do not match, a score is not finite, or a video below the largest number has no caption.
    """
    _check_scores(score)
    if video_of_text.shape != score.shape[:1]:
        raise ValueError(
            f"video_of_text has shape {tuple(video_of_text.shape)} for {score.shape[0]} rows of scores; "
            "give the video of each caption, one number per row"
        )
    if int(video_of_text.min()) < 0:
        raise ValueError(f"video_of_text holds {int(video_of_text.min())}; video numbers start at 0")
    group = video_of_text.long()
    empty = (group.bincount() == 0).nonzero()
    if len(empty):
        raise ValueError(f"video {int(empty[0])} has no caption; number only videos with captions, 0, 1, 2, ...")
    best = score.new_full((int(group.max()) + 1, score.shape[1]), -torch.inf)
    return best.scatter_reduce(0, group[:, None].expand_as(score), score, "amax").T


def shifted_captions(
    score: Float[Tensor, "T V"], video_of_text: Int[Tensor, " T"]
) -> tuple[Float[Tensor, "T1 V"], Int[Tensor, " T1"]]:
    """Assign captions to videos as the released code does where a video has several: one place too late.

    It lists captions video by video and ends each video's group one caption early, so a video's last caption counts as
    one of the next video. The last caption of the last video belongs to none. That lowers R@1 by about 1 point on MSVD,
    where 1 of 41 captions is its video's last, and adds ranks far from the top.

    Source: SPEC section 12.

    Args:
        score: Score of every video for each caption.
        video_of_text: Video that each caption describes.

    Returns:
        Scores and videos of the captions that belong to one, video by video.
    """
    listed = video_of_text.argsort(stable=True)
    return score[listed[:-1]], video_of_text[listed[1:]]


def retrieval_metrics(ranks: Int[Tensor, " R"]) -> dict[str, float]:
    """Summarise ranks the way the field reports them.

    Source: SPEC section 11.

    Args:
        ranks: One rank per query, 1 = best.

    Returns:
        "R@1", "R@5", "R@10": percent of queries whose target is among the first 1, 5, 10; "median_rank" (the mean of
        the two middle ranks where their number is even) and "mean_rank".

    Raises:
        ValueError: If there are no ranks or one is below 1.
    """
    rank = _checked_ranks(ranks)
    recall = {f"R@{depth}": 100.0 * float((rank <= depth).mean()) for depth in (1, 5, 10)}
    return {**recall, "median_rank": float(np.median(rank)), "mean_rank": float(rank.mean())}


def bootstrap_interval(
    ranks: Int[Tensor, " R"], generator: np.random.Generator, *, num_resamples: int = 10_000
) -> tuple[float, float]:
    """95 % interval of R@1: the spread to expect had other queries of the same kind been asked.

    Percentile bootstrap over queries, taken as independent. Captions of one video are not quite that, so on a
    multi-caption set the text-to-video interval comes out somewhat narrow.

    Args:
        ranks: One rank per query, 1 = best.
        generator: Source of the resampling.
        num_resamples: Number of times the queries are drawn anew.

    Returns:
        Lower and upper end in percent. Both are 0 (or 100) when no (or every) query succeeds.

    Raises:
        ValueError: If there are no ranks, one is below 1, or `num_resamples` is below 1.
    """
    return _interval_of_mean(100.0 * (_checked_ranks(ranks) == 1), generator, num_resamples)


def paired_bootstrap_interval(
    ranks_a: Int[Tensor, " Ra"],
    ranks_b: Int[Tensor, " Rb"],
    generator: np.random.Generator,
    *,
    num_resamples: int = 10_000,
) -> tuple[float, float]:
    """95 % interval of the difference in R@1 between two methods asked the same queries.

    Queries are resampled in pairs: what is hard for both cancels, so a difference can be clear although the two
    separate intervals overlap. An interval that holds 0 does not decide the sign of the difference.

    Args:
        ranks_a: Rank of each query's target under method a, 1 = best.
        ranks_b: Rank of the same queries' targets, in the same order, under method b.
        generator: Source of the resampling.
        num_resamples: Number of times the queries are drawn anew.

    Returns:
        Lower and upper end of R@1 of a minus R@1 of b, in percentage points.

    Raises:
        ValueError: If the numbers of ranks differ, there are none, one is below 1, or `num_resamples` is below 1.
    """
    num_a, num_b = (_checked_ranks(ranks).size for ranks in (ranks_a, ranks_b))
    if num_a != num_b:
        raise ValueError(
            f"{num_a} ranks are paired with {num_b}; give both methods' ranks of the same queries, in order"
        )
    return paired_bootstrap_interval_over_seeds(ranks_a[None], ranks_b[None], generator, num_resamples=num_resamples)


def paired_bootstrap_interval_over_seeds(
    ranks_a: Int[Tensor, "S R"],
    ranks_b: Int[Tensor, "S R"],
    generator: np.random.Generator,
    *,
    num_resamples: int = 10_000,
) -> tuple[float, float]:
    """95 % interval of the difference in R@1, mean over the seeds, where several seeds asked the same queries.

    A query is drawn with all its seeds, which agree on what is hard. How far the seeds lie apart it does not tell.

    Args:
        ranks_a: Rank of each query's target under method a, a row for each seed.
        ranks_b: The same under method b, in the same order.
        generator: Source of the resampling.
        num_resamples: How often the queries are drawn anew.

    Raises:
        ValueError: If the shapes differ, there are no ranks, one is below 1, or `num_resamples` is below 1.
    """
    if ranks_a.shape != ranks_b.shape:
        raise ValueError(f"ranks {tuple(ranks_a.shape)} and {tuple(ranks_b.shape)}; give the same seeds and queries")
    hits_a, hits_b = (_checked_ranks(ranks.flatten()).reshape(ranks.shape) == 1 for ranks in (ranks_a, ranks_b))
    low, high = _interval_of_mean(hits_a.sum(axis=0) - hits_b.sum(axis=0), generator, num_resamples)
    return 100.0 * low / len(hits_a), 100.0 * high / len(hits_a)  # divided last: thirds would move an end that is 0


def _interval_of_mean(value: np.ndarray, generator: np.random.Generator, num_resamples: int) -> tuple[float, float]:
    if num_resamples < 1:
        raise ValueError(f"num_resamples is {num_resamples}, expected at least 1")
    # A resample of equal values is known by how often it holds each: one multinomial draw replaces R index draws.
    distinct, count = np.unique(value, return_counts=True)
    drawn = generator.multinomial(value.size, count / value.size, size=num_resamples)
    tail_percent = (100.0 - _CONFIDENCE_PERCENT) / 2
    low, high = np.percentile(drawn @ distinct / value.size, [tail_percent, 100.0 - tail_percent])
    return float(low), float(high)


def _checked_ranks(ranks: Tensor) -> np.ndarray:
    if ranks.ndim != 1 or len(ranks) == 0:
        raise ValueError(f"ranks have shape {tuple(ranks.shape)}, expected one rank per query and at least one query")
    if int(ranks.min()) < 1:
        raise ValueError(f"a rank is {int(ranks.min())}; the best rank is 1")
    return ranks.detach().cpu().numpy()


def _check_targets(score: Tensor, target: Tensor) -> None:
    _check_scores(score)
    if target.shape != score.shape[:1]:
        raise ValueError(
            f"target has shape {tuple(target.shape)} for {score.shape[0]} queries; give one column number per query"
        )
    outside = ((target < 0) | (target >= score.shape[1])).nonzero()
    if len(outside):
        query = int(outside[0])
        raise ValueError(f"query {query} has target {int(target[query])}, expected 0 to {score.shape[1] - 1}")


def _check_scores(score: Tensor) -> None:
    if score.ndim != 2 or score.numel() == 0:
        raise ValueError(f"score has shape {tuple(score.shape)}, expected queries by items, at least one of each")
    faulty = (~score.isfinite()).nonzero()
    if len(faulty):  # NaN compares false everywhere: it would pass as a hit
        row, column = faulty[0].tolist()
        raise ValueError(
            f"score[{row}, {column}] is {float(score[row, column])}; scores must be finite, "
            "so look for empty or damaged features"
        )
