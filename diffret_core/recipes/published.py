"""Figures that others have published on the benchmarks; none of them is ours. Source: SPEC section 11."""

from typing import Any, NamedTuple

from diffret_core.config import Direction
from diffret_core.datasets import Collection, Split

PAPER = "published (paper), not ours"
_READ = "CLIP ViT-B/32; read in a later paper's table"
_ONE_NUMBER = "R@1 alone; the direction is not stated, the usual one is text-to-video"


class PublishedRow(NamedTuple):
    """What somebody has published for one direction of a benchmark.

    Attributes:
        name: Whose, and of what; it says that it is not ours.
        direction: Which side asks.
        source: What is known of where it comes from.
        recall: R@1, R@5 and R@10 in percent; as many of them as are known.
        median_rank: None where it is not known.
        mean_rank: None where it is not known.
    """

    name: str
    direction: Direction
    source: str
    recall: tuple[float, ...] = ()
    median_rank: float | None = None
    mean_rank: float | None = None

    def figures(self) -> dict[str, float | str | None]:
        """Give the figures by the names they have in `evaluation.evaluate`, None where unknown, and the source."""
        known: dict[str, float | str | None] = dict.fromkeys(("R@1", "R@5", "R@10"))
        known.update(zip(known, self.recall, strict=False))
        return {**known, "median_rank": self.median_rank, "mean_rank": self.mean_rank, "source": self.source}


def _paper(direction: Direction, recall: tuple[float, ...], *ranks: float) -> PublishedRow:
    return PublishedRow(PAPER, direction, _READ, recall, *ranks)


def _not_verified(direction: Direction) -> PublishedRow:
    return PublishedRow(PAPER, direction, "not verified: no source for these figures has been read")


def _single(whose: str, recall_at_1: float) -> PublishedRow:
    return PublishedRow(f"published ({whose}), not ours", "text_to_video", _ONE_NUMBER, (recall_at_1,))


_TEXT: Direction = "text_to_video"
_VIDEO: Direction = "video_to_text"
# videos of the test that the figures are of, and the figures
_PUBLISHED: dict[str, tuple[int, tuple[PublishedRow, ...]]] = {
    "msrvtt": (
        1_000,
        (
            _paper(_TEXT, (49.0, 75.2, 82.7), 2.0, 12.1),
            _paper(_VIDEO, (47.7, 73.8, 84.5), 2.0, 8.8),
            _single("another paper, stage 1 alone", 46.6),
            _single("independent reproduction, stage 1", 46.8),
            _single("independent reproduction, both stages", 47.3),
            _single("CLIP, zero-shot", 31.1),
        ),
    ),
    "lsmdc": (1_000, (_paper(_TEXT, (24.4, 43.1, 54.3), 8.0, 40.7), _not_verified(_VIDEO))),
    "msvd": (670, (_paper(_TEXT, (46.6, 75.9, 84.1), 2.0, 15.7), _paper(_VIDEO, (61.9, 88.3, 92.9)))),
    "activitynet": (
        4_917,
        (
            _paper(_TEXT, (45.8, 75.6, 86.3), 2.0, 6.5),
            _paper(_VIDEO, (43.8, 75.3, 86.7), 2.0, 6.3),
            _single("paper, with QB-norm", 48.1),
        ),
    ),
    "didemo": (1_004, (_paper(_TEXT, (46.7, 74.7, 82.7), 2.0, 14.3), _not_verified(_VIDEO))),
}


def published_figures(collection: Collection, split: Split) -> dict[str, dict[str, dict[str, Any]]]:
    """Give what others have published on the test of a benchmark.

    Args:
        collection: From its reader. Collections that are only laid out like it, such as the samples, have no published
            size, and nothing is published of them; nor of its other splits.
        split: What was measured.

    Returns:
        figures[direction][name], with the keys R@1, R@5, R@10, median_rank and mean_rank, None where no source is
        known, and source. Empty if nothing is published.
    """
    size = None if collection.published is None else collection.published.test.num_videos
    num_videos, rows = _PUBLISHED.get(collection.name, (None, ()))
    if split != "test" or size is None or size != num_videos:
        return {}
    found: dict[str, dict[str, dict[str, Any]]] = {row.direction: {} for row in rows}
    for row in rows:
        found[row.direction][row.name] = row.figures()
    return found
