"""Which words stand next to each other in captions: by pairs never seen, texts unlike all captions stand out."""

import re
from collections.abc import Iterable, Mapping, Sequence

WordPairs = Mapping[str, Sequence[str]]
"""For each word those that followed it, in alphabetical order; "" stands for the start and the end of a text."""


def words_of(text: str) -> list[str]:
    """Split a text into words: lower case, without punctuation, numbers included.

    Example:
        >>> words_of("A star, then it doesn't move.")
        ['a', 'star', 'then', 'it', "doesn't", 'move']
    """
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text.lower())


def pairs_of(text: str) -> list[tuple[str, str]]:
    """List the pairs of neighbouring words of a text, its start and its end included."""
    words = ["", *words_of(text), ""]
    return list(zip(words, words[1:], strict=False))


def known_pairs(captions: Iterable[str]) -> WordPairs:
    """Collect the word pairs of captions."""
    followers: dict[str, set[str]] = {}
    for caption in captions:
        for word, follower in pairs_of(caption):
            followers.setdefault(word, set()).add(follower)
    return {word: sorted(some) for word, some in sorted(followers.items())}


def share_unknown(text: str, known: WordPairs) -> float:
    """Give the share of a text's word pairs that are not known, 0 to 1; a text without words has one pair, unknown.

    Args:
        text: Any text.
        known: From `known_pairs`.
    """
    pairs = pairs_of(text)
    return sum(follower not in known.get(word, ()) for word, follower in pairs) / len(pairs)
