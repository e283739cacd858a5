"""What is left of a caption for a reader who counts its words and heeds neither their order nor their binding."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations


def word_counts(text: str) -> Counter[str]:
    """Count the words of a caption.

    Args:
        text: The caption; commas and colons are left out.

    Returns:
        How often it holds each word. "an" is counted as "a": which of the two is said follows from the next word.
    """
    words = text.replace(",", "").replace(":", "").split()
    return Counter("a" if word == "an" else word for word in words)


def distractor_pairs(captions: Sequence[str]) -> list[tuple[int, int]]:
    """Find the captions that hold the same words as another one: counting words cannot tell their videos apart.

    Args:
        captions: One of each video.

    Returns:
        Positions of each pair of such captions, the smaller first, in rising order.
    """
    positions: defaultdict[frozenset[tuple[str, int]], list[int]] = defaultdict(list)
    for position, text in enumerate(captions):
        positions[frozenset(word_counts(text).items())].append(position)
    return sorted(pair for alike in positions.values() for pair in combinations(alike, 2))
