"""Whether a query is off the map: its best similarity beside what the collection's own captions reach."""

from bisect import bisect_left
from collections.abc import Sequence

from diffret_core.course.demo.collection import SampleCollection
from diffret_core.course.demo.running import DemoCollection, Run

RARE = 0.05
"""A best similarity that fewer of the collection's own captions fall short of is said to be off the map."""


def familiarity(usual: Sequence[float], best: float) -> float:
    """Give the share of the collection's own captions whose best similarity is lower than a query's.

    Args:
        usual: The best similarity of each of them, in rising order, at least one.
        best: The query's best similarity.
    """
    return bisect_left(usual, best) / len(usual)


def familiarity_in_words(collection: DemoCollection, run: Run) -> str:
    """Say how familiar a sentence is; nothing where videos ask, or where there are no captions to compare with.

    Args:
        collection: What was searched.
        run: The answer.
    """
    if not isinstance(collection, SampleCollection) or run.state.direction != "text_to_video":
        return ""
    best = float(run.walk.proposal.similarity.max())
    share = familiarity(collection.usual_similarity, best)
    if share < RARE:
        return (
            f"Probably off the map: the best similarity, {best:.3f}, is lower than that of {1 - share:.0%} of the "
            "collection's captions, so perhaps no video matches."
        )
    return f"On the map: the best similarity, {best:.3f}, is at least that of {share:.0%} of the collection's captions."
