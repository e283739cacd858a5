"""The collection's captions and lists, laid out in the files of MSR-VTT."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from diffret_core.randomness import numpy_generator
from diffret_core.scenes.captions import Caption, draw_caption
from diffret_core.scenes.sampling import KIND_SHARES
from diffret_core.scenes.scene import Scene
from diffret_core.scenes.splits import COLLECTION_SEED, SceneIndex, Split, split_scenes

CAPTIONS_PER_VIDEO = 5
_FREE_TRIES = 12  # draws of an ordinary sentence before nothing may be left unsaid
_KINDS = tuple(KIND_SHARES)


class AnnotatedScene(NamedTuple):
    """A scene of the collection with the sentences about it."""

    split: Split
    video_id: str
    scene: Scene
    captions: tuple[Caption, ...]


def annotate(splits: Iterable[Split]) -> list[AnnotatedScene]:
    """Draw all scenes and write their captions.

    No sentence of a split occurs in a split after it. In distinct splits every sentence is true of one video only.

    Args:
        splits: Usually all of `SPLITS`; what comes first has its captions to itself.

    Returns:
        All scenes with their captions, split by split; the same at every call.
    """
    annotated: list[AnnotatedScene] = []
    for split in splits:
        taken = {caption.text for entry in annotated for caption in entry.captions}
        scenes = split_scenes(split)
        index = SceneIndex()
        for scene in scenes:
            index.add(scene)
        for number, scene in enumerate(scenes):
            rng = numpy_generator(COLLECTION_SEED, f"captions of {split.name}", number)
            captions = _write_captions(scene, index if split.distinct else None, taken, rng)
            annotated.append(AnnotatedScene(split, split.video_id(number), scene, captions))
    return annotated


def _write_captions(
    scene: Scene, unique_in: SceneIndex | None, taken: set[str], rng: np.random.Generator
) -> tuple[Caption, ...]:
    captions: dict[str, Caption] = {}
    tries = 0
    while len(captions) < CAPTIONS_PER_VIDEO:
        caption = draw_caption(scene, rng, complete=tries >= _FREE_TRIES)
        tries += 1
        is_unique = unique_in is None or unique_in.fitting(caption.claim) == [scene]
        if caption.text not in taken and is_unique:
            captions[caption.text] = caption
    return tuple(captions.values())


def annotation_files(annotated: Sequence[AnnotatedScene]) -> dict[str, bytes]:
    """Lay annotations out as MSR-VTT does.

    Args:
        annotated: The scenes of all splits.

    Returns:
        Name of each file -> its bytes: MSRVTT_data.json (all sentences), MSRVTT_train.csv (training list) and
        MSRVTT_JSFUSION_test.csv (the first sentence of every test video).
    """
    train = [(entry.video_id,) for entry in annotated if entry.split.name == "train"]
    tested = [entry for entry in annotated if entry.split.name == "test"]
    test = [
        (f"ret{row}", entry.video_id.replace("video", "msr"), entry.video_id, entry.captions[0].text)
        for row, entry in enumerate(tested)
    ]
    return {
        "MSRVTT_data.json": _data_json(annotated),
        "MSRVTT_train.csv": _csv(("video_id",), train),
        "MSRVTT_JSFUSION_test.csv": _csv(("key", "vid_key", "video_id", "sentence"), test),
    }


def _data_json(annotated: Sequence[AnnotatedScene]) -> bytes:
    videos = [_video_record(number, entry) for number, entry in enumerate(annotated)]
    spoken = [(caption.text, entry.video_id) for entry in annotated for caption in entry.captions]
    sentences = [
        {"caption": text, "video_id": video_id, "sen_id": number} for number, (text, video_id) in enumerate(spoken)
    ]
    return b'{"videos":[\n%b\n],"sentences":[\n%b\n]}\n' % (_one_a_line(videos), _one_a_line(sentences))


def _video_record(number: int, entry: AnnotatedScene) -> dict[str, object]:
    return {
        "video_id": entry.video_id,
        "split": entry.split.label,
        "id": number,
        "category": _KINDS.index(entry.scene.kind),
        "url": "",
        "start time": 0.0,
        "end time": round(entry.scene.seconds, 3),
    }


def _one_a_line(records: list[dict[str, object]]) -> bytes:
    return ",\n".join(json.dumps(record, separators=(",", ":")) for record in records).encode()


def _csv(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()
