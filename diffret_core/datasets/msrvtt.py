"""Reader of MSR-VTT in its usual retrieval protocol, 1k-A; the project's own samples have the same layout."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from diffret_core.datasets.annotation_files import (
    first_repeated,
    read_csv_columns,
    read_json_object,
    read_text_fields,
)
from diffret_core.datasets.collection import Caption, Collection, SplitContents

_ANNOTATION = "MSRVTT_data.json"
_OFFICIAL_ANNOTATIONS = (
    ("train_val_videodatainfo.json", "train_val_annotation.zip"),
    ("test_videodatainfo.json", "test_videodatainfo.json.zip"),
)
_TRAIN_LIST = "MSRVTT_train.9k.csv"
_OTHER_TRAIN_LISTS = ("MSRVTT_train.7k.csv", "MSRVTT_train.csv")
_TEST_LIST = "MSRVTT_JSFUSION_test.csv"
_OFFICIAL_SPLITS = ("train", "validate", "test")


class _Annotation(NamedTuple):
    official_split: dict[str, str]  # by video id, in file order
    captions: list[Caption]
    files: str  # for messages


def read_msrvtt(
    folder: Path | str,
    *,
    videos_folder: Path | str | None = None,
    train_list: str | None = None,
    test_list: str | None = None,
    hold_out_validation: bool = False,
) -> Collection:
    """Read MSR-VTT: every caption of the listed training videos, and the 1,000 test pairs of 1k-A.

    The folder holds MSRVTT_data.json, or the official train_val and test videodatainfo.json, plain or in their zips;
    a list of training videos; and MSRVTT_JSFUSION_test.csv. Test captions come from that CSV, the others from the
    annotation. Validation is what the annotation marks "validate". The published 9k list contains those videos, so
    training on it and choosing a model on them looks at the answers: pass hold_out_validation=True then.

    Source: SPEC section 11.

    Args:
        folder: Folder with the annotation files.
        videos_folder: Folder with the videos; by default "videos" inside folder.
        train_list: File name of the list of training videos inside folder; by default MSRVTT_train.9k.csv, else the
            one of MSRVTT_train.7k.csv and MSRVTT_train.csv that is there.
        test_list: File name of the list of test pairs inside folder; by default MSRVTT_JSFUSION_test.csv.
        hold_out_validation: Leave the validation videos out of train.

    Returns:
        The collection, named "msrvtt".

    Raises:
        FileNotFoundError: If an annotation file is missing.
        ValueError: If a file is damaged, ids repeat or have no caption, or a test video is in another split.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder, expected the MSR-VTT annotation files in it")
    annotation = _read_annotation(folder)
    validation_ids = [video_id for video_id, split in annotation.official_split.items() if split == "validate"]
    train_path, test_path = _train_list(folder, train_list), _existing(folder, (test_list or _TEST_LIST,))
    train_ids = _distinct_ids(train_path, [video_id for (video_id,) in read_csv_columns(train_path, ("video_id",))])
    test = _read_test(test_path)
    for source, video_ids in ((train_path, train_ids), (annotation.files, validation_ids)):
        if leaked := set(test.video_ids).intersection(video_ids):
            raise ValueError(f"{source}: video {min(leaked)} is also a test video in {test_path}; remove it from one")
    if hold_out_validation:
        held_out = set(validation_ids)
        train_ids = [video_id for video_id in train_ids if video_id not in held_out]
    return Collection(
        name="msrvtt",
        videos_folder=Path(videos_folder) if videos_folder is not None else folder / "videos",
        train=_with_captions(train_ids, annotation, train_path),
        validation=_with_captions(validation_ids, annotation, annotation.files),
        test=test,
    )


def _existing(folder: Path, names: Iterable[str]) -> Path:
    """The first of some files that is there."""
    names = tuple(names)
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder}: has no {' or '.join(names)}; put the MSR-VTT annotation files there")


def _train_list(folder: Path, train_list: str | None) -> Path:
    if train_list is not None or (folder / _TRAIN_LIST).is_file():
        return _existing(folder, (train_list or _TRAIN_LIST,))
    found = [name for name in _OTHER_TRAIN_LISTS if (folder / name).is_file()]
    if len(found) > 1:
        raise ValueError(f"{folder}: has both {' and '.join(found)}; choose one with train_list={found[0]!r}")
    return _existing(folder, (*found, _TRAIN_LIST, *_OTHER_TRAIN_LISTS))


def _read_annotation(folder: Path) -> _Annotation:
    merged = folder / _ANNOTATION
    if merged.is_file():
        paths = [merged]
    elif any((folder / name).is_file() for names in _OFFICIAL_ANNOTATIONS for name in names):
        paths = [_existing(folder, names) for names in _OFFICIAL_ANNOTATIONS]
    else:
        raise FileNotFoundError(
            f"{folder}: has neither {merged.name} nor the official {_OFFICIAL_ANNOTATIONS[0][0]} or its zip; "
            "put the MSR-VTT annotation files there"
        )
    annotation = _Annotation({}, [], " and ".join(map(str, paths)))
    for path in paths:
        content = read_json_object(path)
        for key in ("videos", "sentences"):
            if not isinstance(content.get(key), list):
                raise ValueError(f"{path}: has no list {key!r}; is it an MSR-VTT annotation file?")
        _add_videos(annotation, path, content["videos"])
        _add_captions(annotation, path, content["sentences"])
    return annotation


def _add_videos(annotation: _Annotation, path: Path, videos: list[Any]) -> None:
    for video_id, split in read_text_fields(f"{path}, videos", videos, ("video_id", "split")):
        if split not in _OFFICIAL_SPLITS:
            raise ValueError(f"{path}: the 'split' of {video_id} is {split!r}, expected {', '.join(_OFFICIAL_SPLITS)}")
        if video_id in annotation.official_split:
            raise ValueError(f"{path}: video {video_id} is described a second time")
        annotation.official_split[_checked_id(video_id, str(path))] = split


def _add_captions(annotation: _Annotation, path: Path, sentences: list[Any]) -> None:
    for text, video_id in read_text_fields(f"{path}, sentences", sentences, ("caption", "video_id")):
        if video_id not in annotation.official_split:
            raise ValueError(f"{path}: the sentence {text[:40]!r} describes {video_id!r}, which is not under 'videos'")
        annotation.captions.append(Caption(text, video_id))


def _read_test(path: Path) -> SplitContents:
    rows = read_csv_columns(path, ("video_id", "sentence"))
    video_ids = _distinct_ids(path, [video_id for video_id, _ in rows])
    return SplitContents(tuple(video_ids), tuple(Caption(sentence, video_id) for video_id, sentence in rows))


def _with_captions(video_ids: list[str], annotation: _Annotation, source: Path | str) -> SplitContents:
    wanted = set(video_ids)
    captions = tuple(caption for caption in annotation.captions if caption.video_id in wanted)
    captioned = {caption.video_id for caption in captions}
    if without := [video_id for video_id in video_ids if video_id not in captioned]:
        raise ValueError(
            f"{source}: lists {len(without)} videos without a caption, first {without[0]}; captions are read from "
            f"{annotation.files}"
        )
    return SplitContents(tuple(video_ids), captions)


def _distinct_ids(path: Path, video_ids: list[str]) -> list[str]:
    if not video_ids:
        raise ValueError(f"{path}: lists no video")
    if (repeated := first_repeated(video_ids)) is not None:
        raise ValueError(f"{path}: video {repeated} is listed twice")
    return [_checked_id(video_id, str(path)) for video_id in video_ids]


def _checked_id(video_id: str, place: str) -> str:
    """An id names a file: it must not lead out of the folder of videos."""
    if video_id in (".", "..") or any(character in video_id for character in "/\\\0"):
        raise ValueError(f"{place}: {video_id!r} is no video id, expected a name like video123")
    return video_id
