"""Captions read back: from the English sentence alone to what it claims, by other means than they are written by."""

import re

from diffret_core.scenes.claims import ActorClaim, Claim
from diffret_core.scenes.vocabulary import BACKGROUNDS, COLOURS, SHAPES
from diffret_core.scenes.wording import RELATION_PHRASES, VERBS

SIZES = dict.fromkeys(("small", "little", "tiny"), "small") | dict.fromkeys(("large", "big", "huge"), "large")
PHRASES = {form: ("motion", motion) for motion, verbs in VERBS.items() for verb in verbs for form in verb}
PHRASES |= {phrase: ("relation", relation) for relation, phrases in RELATION_PHRASES.items() for phrase in phrases}
PHRASES |= {
    f"{where} a {background} background": ("background", background)
    for where in ("on", "in front of", "against")
    for background in BACKGROUNDS
}
# At each place the longest phrase counts, and any phrase before a noun: "moves in a circle" speaks of no circle.
PART = re.compile(
    rf"\b(?:(?P<phrase>{'|'.join(sorted(PHRASES, key=len, reverse=True))})|"
    rf"(?:(?P<size>{'|'.join(SIZES)}) )?(?:(?P<colour>{'|'.join(COLOURS)}) )?(?P<shape>{'|'.join(SHAPES)}|shape))\b"
)
CONNECTIVES = {"a", "an", "the", "one", "it", "is", "stays", "and", "while", "as", "two", "shapes", "of", "video"}
CONNECTIVES |= {"there", "here", "that", "we", "see", "can", "be", "seen"}
ORDER = {"first", "then", "before", "after", "later"}


def read_caption(text):
    """Read what a caption claims.

    The objects of a claim come in the order in which the collection names them: of two that move in turn the first
    mover first, of two beside each other the one of which the relation is said.
    """
    objects, said = [], {"motion": [], "relation": [], "background": []}
    for part in PART.finditer(text):
        if part["phrase"]:
            kind, meaning = PHRASES[part["phrase"]]
            said[kind].append((meaning, len(objects)))  # and how many objects were named before
        else:
            shape = None if part["shape"] == "shape" else part["shape"]
            objects.append((shape, part["colour"], SIZES.get(part["size"])))
    words = set(re.findall(r"\w+", PART.sub("", text)))
    if words - CONNECTIVES - ORDER or len(said["relation"]) > 1 or len(said["background"]) > 1:
        raise ValueError(f"{text!r}: says more than a caption can")
    motions = [motion for motion, _ in said["motion"]]
    background = said["background"][0][0] if said["background"] else None
    if said["relation"]:
        relation, num_before = said["relation"][0]
        first, second = objects if num_before == 1 else objects[::-1]  # "above b there is a"
        return Claim((ActorClaim(*first, tuple(motions)), ActorClaim(*second)), background, relation)
    if [place for _, place in said["motion"]] != ([1, 2] if len(objects) == 2 else [1] * len(motions)):
        raise ValueError(f"{text!r}: does not say of each object in turn what it does")
    if text.startswith("while ") or re.search(r"(?<!^)\bafter (?!that)", text):  # what comes first is named last
        objects, motions = objects[::-1], motions[::-1]
    in_turn = bool(words & ORDER)
    if len(objects) == 1:
        spans = [tuple(motions)]
    else:
        spans = [(motions[0], "still"), ("still", motions[1])] if in_turn else [(motion,) for motion in motions]
    actors = tuple(ActorClaim(*look, span) for look, span in zip(objects, spans, strict=True))
    return Claim(actors, background, at_once=len(objects) == 2 and not in_turn)
