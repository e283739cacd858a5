"""Queries that no video of a gallery matches, made from its captions; the truth function proves it wherever it can.

Each is made of one caption by one change, so that everything else about it is as in a caption that is matched; only
shuffled words also lose their commas and colons, which belong to no place any more.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from diffret_core.randomness import numpy_generator
from diffret_core.scenes.annotations import AnnotatedScene, annotate
from diffret_core.scenes.captions import Caption
from diffret_core.scenes.claims import ActorClaim
from diffret_core.scenes.sampling import choose
from diffret_core.scenes.splits import COLLECTION_SEED, SPLITS, SceneIndex
from diffret_core.scenes.vocabulary import BACKGROUNDS, COLOURS, HIDDEN, MOTIONS, ROUND, SHAPES, UNSEEN_PAIRS
from diffret_core.scenes.wording import RELATION_PHRASES, VERBS, on_background

NEVER_SEEN: dict[str, tuple[str, ...]] = {
    "colour": ("brown", "turquoise", "silver", "olive", "striped", "spotted", "transparent", "checkered"),
    "shape": ("hexagon", "octagon", "arrow", "spiral", "cube", "pyramid", "cloud", "key", "leaf", "lightning bolt"),
    "motion": ("explode", "blink", "melt", "zigzag", "fade away", "split in two", "vibrate", "fold up"),
}
"""Attribute -> values that no scene of the collection has: words of ours that its vocabulary lacks."""

_VERBS_NEVER_SEEN: dict[str, tuple[str, str]] = {
    "explode": ("explodes", "exploding"),
    "blink": ("blinks", "blinking"),
    "melt": ("melts", "melting"),
    "zigzag": ("zigzags", "zigzagging"),
    "fade away": ("fades away", "fading away"),
    "split in two": ("splits in two", "splitting in two"),
    "vibrate": ("vibrates", "vibrating"),
    "fold up": ("folds up", "folding up"),
}
_OPPOSITE = {"above": "below", "below": "above", "left of": "right of", "right of": "left of"}
_LOOKS: dict[str, tuple[str, ...]] = {"colour": tuple(COLOURS), "shape": SHAPES, "size": ("small", "large")}


class Changed(NamedTuple):
    """A caption in which one attribute is another.

    Attributes:
        caption: After the change; true of no video of the gallery.
        video_id: The video that the caption was written about.
        attribute: What was changed: "colour", "shape", "size", "motion", "background" or "relation".
    """

    caption: Caption
    video_id: str
    attribute: str


def annotated_videos(video_ids: Iterable[str]) -> list[AnnotatedScene]:
    """Find the scenes and captions of some videos of the sample collection, in the order of the ids.

    Raises:
        ValueError: If one is no video of the sample collection.
    """
    wanted = list(video_ids)
    splits = [{split.video_id(index) for index in range(split.num_videos)} for split in SPLITS.values()]
    if unknown := set(wanted).difference(*splits):
        raise ValueError(f"{min(unknown)} is no video of the sample collection, so nothing is known of what it shows")
    last = max(number for number, ids in enumerate(splits) if not ids.isdisjoint(wanted))
    by_id = _annotated(last + 1)
    return [by_id[one] for one in wanted]


@lru_cache(maxsize=2)
def _annotated(num_splits: int) -> dict[str, AnnotatedScene]:
    """Annotate the first splits: no caption depends on a later one."""
    return {entry.video_id: entry for entry in annotate(list(SPLITS.values())[:num_splits])}


def near_misses(gallery: Sequence[AnnotatedScene]) -> list[Changed]:
    """Change one attribute of each video's first caption so that it is true of no video of the gallery.

    The attribute is drawn among those the caption names, the new value among those the vocabulary has. Combinations
    that the collection holds out (`UNSEEN_PAIRS`), that cannot be seen, or that no scene could show are left out.

    Args:
        gallery: All videos; a caption of which every change is true of some video is passed over.
    """
    index = SceneIndex()
    for entry in gallery:
        index.add(entry.scene)
    found = []
    for entry in gallery:
        rng = numpy_generator(COLLECTION_SEED, "near miss", entry.video_id)
        changes = [one for one in _known_changes(entry, rng) if _can_be_shown(one.caption)]
        by_attribute: dict[str, list[Changed]] = {}
        for change in changes:
            if not index.fitting(change.caption.claim):
                by_attribute.setdefault(change.attribute, []).append(change)
        if by_attribute:
            found.append(choose(rng, by_attribute[choose(rng, sorted(by_attribute))]))
    return found


def never_seen(gallery: Sequence[AnnotatedScene]) -> list[Changed]:
    """Put a colour, a shape or a motion that no scene has into each video's first caption; see `NEVER_SEEN`."""
    found = []
    for entry in gallery:
        rng = numpy_generator(COLLECTION_SEED, "never seen", entry.video_id)
        by_attribute: dict[str, list[Changed]] = {}
        for change in _never_seen_changes(entry):
            by_attribute.setdefault(change.attribute, []).append(change)
        found.append(choose(rng, by_attribute[choose(rng, sorted(by_attribute))]))
    return found


def shuffled_words(captions: Sequence[str]) -> dict[int, str]:
    """Shuffle the words of each caption, without commas and colons, until no two neighbours are neighbours as before.

    By chance the result can still read as a sentence; none is one of the captions.

    Args:
        captions: Of three words or more. One whose words cannot be shuffled so is passed over.

    Returns:
        Number of a caption, from 0 -> its words.
    """
    shuffled, known = {}, set(captions)
    for number, text in enumerate(captions):
        rng = numpy_generator(COLLECTION_SEED, "shuffled words", text)
        words = text.replace(",", "").replace(":", "").split()
        before = set(zip(words, words[1:], strict=False))
        for _ in range(1000):
            drawn = [words[place] for place in np.argsort([rng.random() for _ in words])]
            if before.isdisjoint(zip(drawn, drawn[1:], strict=False)) and " ".join(drawn) not in known:
                shuffled[number] = " ".join(drawn)
                break
    return shuffled


def videos_without_caption(videos: Sequence[AnnotatedScene], captions: Sequence[AnnotatedScene]) -> list[str]:
    """List those of some videos of which no caption of a gallery is true.

    Args:
        videos: Videos to be asked with, such as those in the shifted style.
        captions: The gallery, whose first captions are meant.
    """
    index = SceneIndex()
    for entry in videos:
        index.add(entry.scene)
    described = {id(scene) for entry in captions for scene in index.fitting(entry.captions[0].claim)}
    return [entry.video_id for entry in videos if id(entry.scene) not in described]


def _known_changes(entry: AnnotatedScene, rng: np.random.Generator) -> Iterator[Changed]:
    """Make all changes of the first caption to other values of the vocabulary."""
    caption = entry.captions[0]
    claim = caption.claim
    for number, said in enumerate(claim.actors):
        for attribute, value in _other_looks(said, _LOOKS):
            yield Changed(_with_look(caption, number, attribute, value), entry.video_id, attribute)
        for place, value in product(_said_motions(caption, number), MOTIONS):
            if value not in said.motions:
                verb = choose(rng, VERBS[value])
                yield Changed(_with_motion(caption, number, place, value, verb), entry.video_id, "motion")
    if claim.background is not None:
        for value in BACKGROUNDS:
            if value != claim.background:
                phrases = {**caption.phrases, "on": on_background(value, rng)}
                changed = replace(caption, claim=replace(claim, background=value), phrases=phrases)
                yield Changed(changed, entry.video_id, "background")
    if claim.relation is not None:
        value = _OPPOSITE[claim.relation]
        phrases = {**caption.phrases, "rel": choose(rng, RELATION_PHRASES[value])}
        changed = replace(caption, claim=replace(claim, relation=value), phrases=phrases)
        yield Changed(changed, entry.video_id, "relation")


def _never_seen_changes(entry: AnnotatedScene) -> Iterator[Changed]:
    caption = entry.captions[0]
    looks = {attribute: NEVER_SEEN[attribute] for attribute in ("colour", "shape")}
    for number, said in enumerate(caption.claim.actors):
        for attribute, value in _other_looks(said, looks):
            yield Changed(_with_look(caption, number, attribute, value), entry.video_id, attribute)
        for place, value in product(_said_motions(caption, number), NEVER_SEEN["motion"]):
            verb = _VERBS_NEVER_SEEN[value]
            yield Changed(_with_motion(caption, number, place, value, verb), entry.video_id, "motion")


def _other_looks(said: ActorClaim, looks: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Give all other values of the attributes that a caption says of an actor."""
    for attribute, values in looks.items():
        own = getattr(said, attribute)
        yield from ((attribute, value) for value in values if own is not None and value != own)


def _said_motions(caption: Caption, number: int) -> list[int]:
    return [place for place, verb in enumerate(caption.words[number].motions) if verb is not None]


def _with_look(caption: Caption, number: int, attribute: str, value: str) -> Caption:
    actors: list[Any] = list(caption.claim.actors)
    words: list[Any] = list(caption.words)
    actors[number] = replace(actors[number], **{attribute: value})
    words[number] = replace(words[number], **{attribute: value})
    return replace(caption, claim=replace(caption.claim, actors=tuple(actors)), words=tuple(words))


def _with_motion(caption: Caption, number: int, place: int, value: str, verb: tuple[str, str]) -> Caption:
    actors, words = list(caption.claim.actors), list(caption.words)
    motions, verbs = list(actors[number].motions), list(words[number].motions)
    motions[place], verbs[place] = value, verb
    actors[number] = replace(actors[number], motions=tuple(motions))
    words[number] = replace(words[number], motions=tuple(verbs))
    return replace(caption, claim=replace(caption.claim, actors=tuple(actors)), words=tuple(words))


def _can_be_shown(caption: Caption) -> bool:
    """Whether a scene of the collection could show what a caption says, and be seen to."""
    claim = caption.claim
    looks = [(said.shape, said.colour) for said in claim.actors]
    for said in claim.actors:
        turns_unseen = "spin" in said.motions and said.shape in ROUND
        resizes = bool({"grow", "shrink"} & set(said.motions)) and said.size is not None
        hidden = (said.colour, claim.background) in HIDDEN
        if turns_unseen or resizes or hidden or (said.shape, said.colour) in UNSEEN_PAIRS:
            return False
    return len(set(looks)) == len(looks)
