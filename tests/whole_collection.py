"""The whole sample collection, and which of its captions are true of which of its videos.

As a program it draws all that into a file. The tests start it as one: in their own process the shapes are checked at
every call, which takes ten times as long.
"""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from caption_reader import read_caption

from diffret_core.scenes.annotations import annotate, annotation_files
from diffret_core.scenes.claims import is_true
from diffret_core.scenes.splits import SPLITS, SceneIndex

ROOT = Path(__file__).resolve().parent.parent


class WholeCollection(NamedTuple):
    """What the tests look at.

    Attributes:
        entries: Split -> its annotated scenes.
        texts: Split -> for each scene its captions as sentences.
        files: Name -> bytes of every annotation file.
        indexed: Split -> for each scene from `distinct_from` on, for each caption: ids of the videos among those of
            which the index finds it true.
        searched: Shipped split -> for each scene: ids of the videos its first caption is true of, all being tried.
        untrue: Captions that are not true of their own video.
        misread: Captions that do not say what their claim says.
    """

    entries: dict[str, list[Any]]
    texts: dict[str, list[list[str]]]
    files: dict[str, bytes]
    indexed: dict[str, list[list[list[str]]]]
    searched: dict[str, list[list[str]]]
    untrue: list[str]
    misread: list[str]


def draw_elsewhere(path):
    """Draw the collection in another process, which leaves it in a file."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, __file__, path], check=True, env=environment)
    return WholeCollection(*pickle.loads(path.read_bytes()))  # noqa: S301 (this process has just had it written)


def draw():
    annotated = annotate(SPLITS.values())
    captions = [caption for entry in annotated for caption in entry.captions]
    entries = {name: [entry for entry in annotated if entry.split.name == name] for name in SPLITS}
    return WholeCollection(
        entries=entries,
        texts={name: [[caption.text for caption in entry.captions] for entry in own] for name, own in entries.items()},
        files=annotation_files(annotated),
        indexed={name: find_by_index(own[SPLITS[name].distinct_from :]) for name, own in entries.items()},
        searched={name: find_by_trying(own) for name, own in entries.items() if SPLITS[name].is_shipped},
        untrue=[c.text for entry in annotated for c in entry.captions if not is_true(c.claim, entry.scene)],
        misread=[caption.text for caption in captions if not says_its_claim(caption)],
    )


def find_by_index(entries):
    index, video_of = SceneIndex(), {id(entry.scene): entry.video_id for entry in entries}
    for entry in entries:
        index.add(entry.scene)
    return [
        [[video_of[id(scene)] for scene in index.fitting(caption.claim)] for caption in entry.captions]
        for entry in entries
    ]


def find_by_trying(entries):
    claims = [entry.captions[0].claim for entry in entries]
    return [[entry.video_id for entry in entries if is_true(claim, entry.scene)] for claim in claims]


def says_its_claim(caption):
    try:
        return read_caption(caption.text) == caption.claim
    except ValueError:  # not to be understood
        return False


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(pickle.dumps(tuple(draw())))
