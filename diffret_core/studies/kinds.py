"""Kinds of queries that match nothing: what they are, how they are drawn anew, and two scores compared on them.

A query that was made from a matched one is as easy or as hard as that one in much. So a resample holds both equally
often; kinds that are made of nothing else are drawn by themselves.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diffret_core.confidence import risk_coverage
from diffret_core.detection import interval_of, resampled
from diffret_core.randomness import numpy_generator
from diffret_core.scenes.foreign_sentences import EVERYDAY, OTHER_LANGUAGES, halves
from diffret_core.scenes.unmatched import annotated_videos, near_misses, never_seen, shuffled_words
from diffret_core.studies.declaration import BASELINE
from diffret_core.studies.setting import TEST
from diffret_core.studies.table import StudyTable

MATCHED, MEAN = "matched", "mean"
MADE_FROM = "made from"
"""Where a study's places are kept, also under this name: the number of the matched query that each was made from."""


class Kind(NamedTuple):
    """Texts that match nothing.

    Attributes:
        texts: The texts.
        made_from: Number of the caption that each was made from; None where they are made from none.
    """

    texts: list[str]
    made_from: list[int] | None = None


class Difference(NamedTuple):
    """By how much a measure of one score, such as its AUROC, is above that of another, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Say what the interval decides."""
        return "larger" if self.low > 0 else "smaller" if self.high < 0 else "not decided"

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"{self.value:+.3f} ({self.low:.3f} to {self.high:.3f}): {self.verdict}"


def unmatched_kinds(video_ids: Sequence[str], captions: Sequence[str], *, measured: bool) -> dict[str, Kind]:
    """Give texts that match no video of a gallery, by kind; of other languages it is the language that matches none.

    Args:
        video_ids: The gallery: videos of the sample collection.
        captions: The first caption of each.
        measured: Which half of the sentences of ours to give: that to measure on, or that to choose a score on.

    Raises:
        ValueError: If there is not one caption for each video, or a video is not of the sample collection.
    """
    number = {video: place for place, (video, _) in enumerate(zip(video_ids, captions, strict=True))}
    gallery = annotated_videos(video_ids)
    near, unseen, shuffled = near_misses(gallery), never_seen(gallery), shuffled_words(captions)
    foreign = [halves(sentences)[measured] for sentences in OTHER_LANGUAGES.values()]
    return {
        "near misses": Kind([one.caption.text for one in near], [number[one.video_id] for one in near]),
        "never seen": Kind([one.caption.text for one in unseen], [number[one.video_id] for one in unseen]),
        "everyday": Kind(list(halves(EVERYDAY)[measured])),
        "shuffled words": Kind([*shuffled.values()], [*shuffled]),
        "other languages": Kind([sentence for sentences in foreign for sentence in sentences]),
    }


def drawn_anew(
    numbers: Mapping[str, int], made_from: Int[Tensor, " Q"], direction: str, *, num_resamples: int = 1000
) -> dict[str, Int[np.ndarray, "S _"]]:
    """Draw matched queries anew and with them all that were made from them; other kinds are drawn by themselves.

    Args:
        numbers: How many queries there are of each kind, "matched" first.
        made_from: Of all queries, kind by kind: the number of the matched query that it was made from, counted from 1;
            0 where it was made from none.
        direction: Which side asks; it names the draws.
        num_resamples: How often.

    Returns:
        How often each query is in each resample, by kind.

    Raises:
        ValueError: If a part of a kind only was made from matched queries.
    """
    counts: dict[str, np.ndarray] = {}
    for kind, own in zip(numbers, made_from.long().split(list(numbers.values())), strict=True):
        if bool((own > 0).all()) and kind != MATCHED:
            counts[kind] = counts[MATCHED][:, own.numpy() - 1]
            continue
        if kind != MATCHED and bool((own > 0).any()):
            raise ValueError(f"of kind {kind!r} some queries are made from matched ones and some are not")
        counts[kind] = resampled(len(own), numpy_generator(0, f"detection {direction} {kind}"), num_resamples)
    return counts


def auroc_difference(
    table: StudyTable, one: str, other: str, direction: str, *, kind: str = MEAN, num_resamples: int = 1000
) -> Difference:
    """Compare the AUROC of two scores on test, on the same resamples of the queries, each with all its seeds.

    Args:
        table: Of the study of detection.
        one: A score.
        other: The score that it is compared with.
        direction: Which side asks.
        kind: Of the unmatched queries; "mean" counts every kind the same.
        num_resamples: How often the queries are drawn anew.

    Returns:
        One minus the other, mean over the seeds.

    Raises:
        KeyError: If the table has no such score, or does not say what its queries were made from.
    """
    seeds = table.seeds(BASELINE)
    numbers = _numbers(table, one, direction)
    made_from = table.ranks[BASELINE, seeds[0], TEST, direction, MADE_FROM]
    counts = drawn_anew(numbers, made_from, direction, num_resamples=num_resamples)
    drawn = {name: np.concatenate([np.ones_like(own[:1]), own]) for name, own in counts.items()}
    kinds = [name for name in numbers if name != MATCHED] if kind == MEAN else [kind]
    total = np.zeros(1 + num_resamples)
    for name in kinds:
        more = np.zeros((numbers[MATCHED], numbers[name]))
        for seed, (score, sign) in product(seeds, ((one, 1), (other, -1))):
            places = table.ranks[BASELINE, seed, TEST, direction, score].split(list(numbers.values()))
            of = dict(zip(numbers, places, strict=True))
            more += sign * _points(of[MATCHED], of[name]) / len(seeds)
        num_pairs = numbers[MATCHED] * drawn[name].sum(axis=1)
        total += (drawn[MATCHED] @ more * drawn[name]).sum(axis=1) / num_pairs / len(kinds)
    return Difference(*interval_of(total))


def risk_difference(
    one: Float[Tensor, " Q"],
    other: Float[Tensor, " Q"],
    wrong: Bool[Tensor, " Q"],
    generator: np.random.Generator,
    *,
    num_resamples: int = 1000,
) -> Difference:
    """Compare how two scores order the same answers, by the area under `risk_coverage`, on the same resamples.

    Args:
        one: A score.
        other: The score that it is compared with.
        wrong: Whether each answer is wrong.
        generator: Draws the queries anew.
        num_resamples: How often.

    Returns:
        The area of one minus that of the other; below 0, one has the better order.

    Raises:
        ValueError: If there is no query, or a score is not finite.
    """
    once = np.ones((1, len(wrong)), dtype=int)
    counts = torch.from_numpy(np.concatenate([once, resampled(len(wrong), generator, num_resamples)]))
    more = []
    for count in counts:
        drawn = torch.arange(len(wrong)).repeat_interleave(count)
        mine, others = (float(risk_coverage(score[drawn], wrong[drawn]).mean()) for score in (one, other))
        more.append(mine - others)
    return Difference(*interval_of(np.array(more)))


def _points(matched: Int[Tensor, " M"], unmatched: Int[Tensor, " U"]) -> Float[np.ndarray, "M U"]:
    """Give each pair a point if the unmatched query is placed above the matched one, half a point if beside it."""
    return ((unmatched > matched[:, None]).double() + (unmatched == matched[:, None]).double() / 2).numpy()


def _numbers(table: StudyTable, score: str, direction: str) -> dict[str, int]:
    """Count the queries of each kind, in the order of their places."""
    seed = table.seeds(BASELINE)[0]
    of = {"list": TEST, "direction": direction, "method": score, "seed": seed}
    rows = [row for row in table.rows if all(row[name] == value for name, value in of.items())]
    if not rows:
        raise KeyError(f"the table has no score {score!r}")
    return {MATCHED: rows[0]["num_matched"], **{row["kind"]: row["num_queries"] for row in rows if row["kind"] != MEAN}}
