"""Word pairs: what is known is unremarkable, whatever its writing; what is new counts by its share."""

import pytest

from diffret_core.word_pairs import known_pairs, pairs_of, share_unknown, words_of

CAPTIONS = ["A red star moves left.", "a blue star spins, then moves left"]


def test_words_are_lower_case_and_bare():
    assert words_of("“A STAR — isn't it, half-way?” 2 of 3") == ["a", "star", "isn't", "it", "half-way", "2", "of", "3"]


def test_pairs_include_both_ends():
    assert pairs_of("a star") == [("", "a"), ("a", "star"), ("star", "")]
    assert pairs_of(" … ") == [("", "")]


@pytest.mark.parametrize("text", [*CAPTIONS, "a RED star spins, then moves left!", "a blue star moves left"])
def test_text_of_known_pairs_is_known(text):
    assert share_unknown(text, known_pairs(CAPTIONS)) == 0


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("a green star moves left", 2 / 6),  # a green, green star
        ("left moves star red a", 1.0),
        ("a red star", 1 / 4),  # no caption ends with star
        ("", 1.0),
        ("红色的星星", 1.0),
    ],
)
def test_share_counts_the_pairs_that_are_new(text, share):
    assert share_unknown(text, known_pairs(CAPTIONS)) == pytest.approx(share)


def test_order_of_captions_does_not_matter():
    assert known_pairs(CAPTIONS) == known_pairs(reversed(CAPTIONS))
    assert known_pairs([]) == {} and share_unknown("a star", {}) == 1
