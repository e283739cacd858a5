"""Queries that match nothing: the truth function proves it, and everything else about them is as in those that do."""

from dataclasses import replace
from itertools import pairwise

import pytest

from diffret_core.scenes import unmatched
from diffret_core.scenes.claims import is_true
from diffret_core.scenes.foreign_sentences import EVERYDAY, OTHER_LANGUAGES, halves
from diffret_core.scenes.splits import SPLITS
from diffret_core.scenes.unmatched import (
    NEVER_SEEN,
    annotated_videos,
    near_misses,
    never_seen,
    shuffled_words,
    videos_without_caption,
)
from diffret_core.scenes.vocabulary import BACKGROUNDS, COLOURS, MOTIONS, SHAPES, UNSEEN_PAIRS

# the first videos of both lists: with the types of every call checked, all of them would take minutes
TEST, SHIFTED = replace(SPLITS["test"], num_videos=150), replace(SPLITS["shifted"], num_videos=40)


@pytest.fixture(scope="module", autouse=True)
def lists_are_short():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unmatched, "SPLITS", {"test": TEST, "shifted": SHIFTED})
        unmatched._annotated.cache_clear()
        yield
    unmatched._annotated.cache_clear()


@pytest.fixture(scope="module")
def gallery():
    return annotated_videos(TEST.video_id(index) for index in range(TEST.num_videos))


@pytest.fixture(scope="module")
def shifted():
    return annotated_videos(SHIFTED.video_id(index) for index in range(SHIFTED.num_videos))


@pytest.fixture(scope="module")
def kinds(gallery):
    return {
        "near misses": near_misses(gallery),
        "attributes never seen": never_seen(gallery),
    }


def words_of(text):
    return text.replace(",", "").replace(":", "").split()


def test_annotated_videos_are_in_the_order_of_their_ids():
    assert [one.video_id for one in annotated_videos(["video9003", "video9000"])] == ["video9003", "video9000"]
    with pytest.raises(ValueError, match="video77777 is no video of the sample collection"):
        annotated_videos(["video9000", "video77777"])


def test_no_video_matches_a_near_miss_or_an_attribute_never_seen(gallery, kinds):
    scenes = [entry.scene for entry in gallery]
    assert all(len(changes) > 0.95 * len(gallery) for changes in kinds.values())
    for changes in kinds.values():
        assert not [change.caption.text for change in changes if any(is_true(change.caption.claim, s) for s in scenes)]


def test_what_a_change_is_made_of_matches_its_own_video(gallery, kinds):
    entries = {entry.video_id: entry for entry in gallery}
    for changes in kinds.values():
        assert len({change.video_id for change in changes}) == len(changes)
        for change in changes:
            entry = entries[change.video_id]
            assert is_true(entry.captions[0].claim, entry.scene)
            assert change.caption.pattern == entry.captions[0].pattern


def facts(claim):
    """Everything that a claim says, by what it is said of."""
    said = {"background": claim.background, "relation": claim.relation, "at once": claim.at_once}
    for number, actor in enumerate(claim.actors):
        said |= {(number, name): getattr(actor, name) for name in ("shape", "colour", "size")}
        said |= {(number, "motion", place): motion for place, motion in enumerate(actor.motions)}
    return said


def test_one_attribute_is_changed_and_it_is_the_one_that_is_named(gallery, kinds):
    entries = {entry.video_id: entry for entry in gallery}
    for changes in kinds.values():
        for change in changes:
            before, after = facts(entries[change.video_id].captions[0].claim), facts(change.caption.claim)
            assert before.keys() == after.keys()
            (name,) = (name for name in before if before[name] != after[name])
            assert change.attribute in (name, name[1])


def test_near_misses_change_every_attribute_within_what_training_shows(kinds):
    changes = kinds["near misses"]
    assert {one.attribute for one in changes} == {"colour", "shape", "size", "motion", "background", "relation"}
    for change in changes:
        looks = {(said.shape, said.colour) for said in change.caption.claim.actors}
        assert not looks & UNSEEN_PAIRS and len(looks) == len(change.caption.claim.actors)


def test_attributes_never_seen_are_outside_the_vocabulary_and_are_said(kinds):
    known = {*COLOURS, *SHAPES, *MOTIONS, *BACKGROUNDS}
    assert not known & {value for values in NEVER_SEEN.values() for value in values}
    changes = kinds["attributes never seen"]
    assert {one.attribute for one in changes} == set(NEVER_SEEN)
    for attribute in ("colour", "shape"):
        own = [one.caption.text for one in changes if one.attribute == attribute]
        assert all(
            any(f" {value} " in f" {' '.join(words_of(text))} " for value in NEVER_SEEN[attribute]) for text in own
        )


def test_no_kind_holds_a_matched_query_or_one_of_another_kind(gallery, kinds):
    matched = {caption.text for entry in gallery for caption in entry.captions}
    first = [entry.captions[0].text for entry in gallery]
    texts = [
        {change.caption.text for change in kinds["near misses"]},
        {change.caption.text for change in kinds["attributes never seen"]},
        set(shuffled_words(first).values()),
        set(EVERYDAY),
        {sentence for sentences in OTHER_LANGUAGES.values() for sentence in sentences},
    ]
    sets = [set(first), *texts]
    for number, one in enumerate(sets):
        assert not any(one & other for other in sets[number + 1 :])
    assert not matched & texts[2]


def test_shuffled_words_are_the_same_words_with_new_neighbours(gallery):
    first = [entry.captions[0].text for entry in gallery]
    shuffled = shuffled_words(first)
    assert len(shuffled) > 0.95 * len(first)
    own = shuffled_words(first[:5])
    assert own == {number: shuffled[number] for number in own}  # one does not depend on the others
    for number, text in shuffled.items():
        assert sorted(text.split()) == sorted(words_of(first[number]))
        assert set(pairwise(text.split())).isdisjoint(pairwise(words_of(first[number])))


def test_unmatched_queries_are_the_same_at_every_call(gallery, kinds):
    again = near_misses(gallery), never_seen(gallery)
    for changes, others in zip(kinds.values(), again, strict=True):
        assert [one.caption.text for one in changes] == [one.caption.text for one in others]


def test_sentences_of_ours_are_many_and_all_different():
    assert len(set(EVERYDAY)) == len(EVERYDAY) >= 60
    assert len(OTHER_LANGUAGES) >= 4
    sentences = [one for own in OTHER_LANGUAGES.values() for one in own]
    assert len(set(sentences)) == len(sentences) >= 40
    to_choose, to_measure = halves(EVERYDAY)
    assert sorted(to_choose + to_measure) == sorted(EVERYDAY) and len(to_measure) >= 40


def test_videos_without_caption_are_those_of_which_no_caption_is_true(gallery, shifted):
    found = videos_without_caption(shifted[:40], gallery)
    assert 10 < len(found) <= 40
    for entry in shifted[:40]:
        described = any(is_true(other.captions[0].claim, entry.scene) for other in gallery)
        assert (entry.video_id in found) == (not described)
    assert videos_without_caption(gallery[:20], gallery) == []
