"""The collection's captions and lists, laid out in the files of MSR-VTT."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from diffret_core.randomness import numpy_generator
from diffret_core.scenes.captions import Caption, draw_caption, exchanged_caption
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

    No sentence of a split occurs in a split after it. A sentence is true of one video only wherever
    `Split.distinct_from` asks for it. A scene and its twin have the same sentences but for what is exchanged.

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
        for scene in scenes[split.distinct_from :]:
            index.add(scene)
        start = 0
        while start < len(scenes):
            has_twin = start + 1 < len(scenes) and scenes[start + 1].exchanged is not None
            group = scenes[start : start + 1 + has_twin]
            rng = numpy_generator(COLLECTION_SEED, f"captions of {split.name}", start)
            captions = _write_captions(group, index if start >= split.distinct_from else None, taken, rng)
            for scene, own in zip(group, captions, strict=True):
                annotated.append(AnnotatedScene(split, split.video_id(start), scene, own))
                start += 1
    return annotated


def _write_captions(
    group: Sequence[Scene], others: SceneIndex | None, taken: set[str], rng: np.random.Generator
) -> list[tuple[Caption, ...]]:
    """Write the captions of a scene, and of its twin if there is one; they fit none of the others."""
    written: list[dict[str, Caption]] = [{} for _ in group]
    tries = 0
    while len(written[0]) < CAPTIONS_PER_VIDEO:
        caption = draw_caption(group[0], rng, complete=tries >= _FREE_TRIES)
        tries += 1
        captions = [caption, *(exchanged_caption(caption, scene.exchanged) for scene in group[1:] if scene.exchanged)]
        fit_one = others is None or _fit_their_own(captions, group, others)
        if fit_one and not any(one.text in taken for one in captions):
            for own, one in zip(written, captions, strict=True):
                own[one.text] = one
    return [tuple(own.values()) for own in written]


def _fit_their_own(captions: Sequence[Caption], group: Sequence[Scene], index: SceneIndex) -> bool:
    """Whether each caption is true of its own scene only, among all in the index."""
    return all(index.fitting(one.claim) == [scene] for one, scene in zip(captions, group, strict=True))


def annotation_files(annotated: Sequence[AnnotatedScene]) -> dict[str, bytes]:
    """Lay annotations out as MSR-VTT does.

    Args:
        annotated: The scenes of all splits.

    Returns:
        Name of each file -> its bytes: MSRVTT_data.json (all sentences), MSRVTT_train.csv (training list) and the
        lists of test pairs (the first sentence of every video of their split).
    """
    train = [(entry.video_id,) for entry in annotated if entry.split.name == "train"]
    tested: dict[str, list[AnnotatedScene]] = {}
    for entry in annotated:
        if entry.split.test_list is not None:
            tested.setdefault(entry.split.test_list, []).append(entry)
    lists = {name: _csv(("key", "vid_key", "video_id", "sentence"), _pairs(own)) for name, own in tested.items()}
    return {"MSRVTT_data.json": _data_json(annotated), "MSRVTT_train.csv": _csv(("video_id",), train), **lists}


def _pairs(tested: Sequence[AnnotatedScene]) -> list[tuple[str, ...]]:
    return [
        (f"ret{row}", entry.video_id.replace("video", "msr"), entry.video_id, entry.captions[0].text)
        for row, entry in enumerate(tested)
    ]


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
