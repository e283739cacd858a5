"""Reader of MSR-VTT in its published splits; the project's own samples have the same layout as 1k-A."""

from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from diffret_core.datasets.annotation_files import (
    annotation_folder,
    existing_file,
    read_csv_columns,
    read_json_object,
    read_text_fields,
)
from diffret_core.datasets.collection import Caption, Collection, Counts, SplitContents, SplitCounts
from diffret_core.datasets.splits import all_captioned, checked_id, distinct_ids, refuse_shared_videos, without_ids

Protocol = Literal["9k", "7k", "full"]

_ANNOTATION = "MSRVTT_data.json"
_OFFICIAL_ANNOTATIONS = (
    ("train_val_videodatainfo.json", "train_val_annotation.zip"),
    ("test_videodatainfo.json", "test_videodatainfo.json.zip"),
)
_TRAIN_LISTS = {"9k": "MSRVTT_train.9k.csv", "7k": "MSRVTT_train.7k.csv"}
_OTHER_TRAIN_LISTS = (_TRAIN_LISTS["7k"], "MSRVTT_train.csv")
_TEST_LIST = "MSRVTT_JSFUSION_test.csv"
_OFFICIAL_SPLITS = ("train", "validate", "test")
_ID = ("video_id",)
_CAPTIONS_PER_VIDEO = 20
_NUM_VALIDATION = 497
_NUM_TRAIN = {"9k": 9_000, "7k": 7_010, "full": 6_513}  # in 9k and 7k with the validation videos


class _Annotation(NamedTuple):
    official_split: dict[str, str]  # by video id, in file order
    captions: list[Caption]
    files: str  # for messages

    def ids(self, official_split: str) -> list[str]:
        return [video_id for video_id, split in self.official_split.items() if split == official_split]


def read_msrvtt(
    folder: Path | str,
    *,
    videos_folder: Path | str | None = None,
    protocol: Protocol | None = None,
    train_list: str | None = None,
    test_list: str | None = None,
    hold_out_validation: bool = False,
) -> Collection:
    """Read MSR-VTT in one of its published splits.

    - "9k" and "7k": every caption of the listed training videos, and the 1,000 test pairs of 1k-A.
    - "full": the official split, whose 2,990 test videos have 20 captions each.

    The folder holds MSRVTT_data.json, or the official train_val and test videodatainfo.json, plain or in their zips;
    but for "full" also a list of training videos and MSRVTT_JSFUSION_test.csv, from which the test captions come.
    Validation is what the annotation marks "validate". Both lists contain those videos, so training on them and
    choosing a model on them looks at the answers: pass hold_out_validation=True then.

    Source: SPEC section 11.

    Args:
        folder: Folder with the annotation files.
        videos_folder: Folder with the videos; by default "videos" inside folder.
        protocol: Which published split; by default the one of the list that is there, first 9k, then 7k, then any
            other list, MSRVTT_train.csv.
        train_list: File name of another list of training videos inside folder.
        test_list: File name of another list of test pairs inside folder.
        hold_out_validation: Leave the validation videos out of train.

    Returns:
        The collection, named "msrvtt".

    Raises:
        FileNotFoundError: If an annotation file is missing.
        ValueError: If a file is damaged, ids repeat or have no caption, or a test video is in another split.
    """
    folder = annotation_folder(folder, "MSR-VTT")
    if protocol is not None and protocol not in get_args(Protocol):
        raise ValueError(f"MSR-VTT has no split {protocol!r}: choose one of {', '.join(get_args(Protocol))}")
    if protocol is not None and (train_list is not None or test_list is not None):
        raise ValueError(f"give either the split {protocol!r} or the names of lists, not both")
    annotation = _read_annotation(folder)
    validation_ids = annotation.ids("validate")
    train_place: Path | str = annotation.files
    test_place: Path | str = annotation.files
    if protocol == "full":
        train_ids = annotation.ids("train")
        test = _captioned(annotation.ids("test"), annotation, annotation.files)
    else:
        train_place = _train_list(folder, train_list or _TRAIN_LISTS.get(protocol or ""))
        train_ids = distinct_ids(train_place, [video_id for (video_id,) in read_csv_columns(train_place, _ID)])
        test_place = existing_file(folder, (test_list or _TEST_LIST,), "MSR-VTT")
        test = _read_test(test_place)
    refuse_shared_videos({train_place: train_ids, annotation.files: validation_ids}, test.video_ids, test_place)
    if hold_out_validation:
        train_ids = without_ids(train_ids, validation_ids)
    return Collection(
        name="msrvtt",
        videos_folder=Path(videos_folder) if videos_folder is not None else folder / "videos",
        train=_captioned(train_ids, annotation, train_place),
        validation=_captioned(validation_ids, annotation, annotation.files),
        test=test,
        published=_published(train_place, held_out=hold_out_validation) if test_list is None else None,
    )


def _published(train_place: Path | str, *, held_out: bool) -> Counts | None:
    """Published size of the split that has this list of training videos; None for any other list."""
    protocols = {name: protocol for protocol, name in _TRAIN_LISTS.items()}
    protocol = protocols.get(train_place.name) if isinstance(train_place, Path) else "full"
    if protocol is None:
        return None
    num_train = _NUM_TRAIN[protocol] - (_NUM_VALIDATION if held_out and protocol != "full" else 0)
    num_test, num_test_captions = (2_990, 2_990 * _CAPTIONS_PER_VIDEO) if protocol == "full" else (1_000, 1_000)
    return Counts(
        train=SplitCounts(num_train, num_train * _CAPTIONS_PER_VIDEO),
        validation=SplitCounts(_NUM_VALIDATION, _NUM_VALIDATION * _CAPTIONS_PER_VIDEO),
        test=SplitCounts(num_test, num_test_captions),
    )


def _train_list(folder: Path, train_list: str | None) -> Path:
    usual = _TRAIN_LISTS["9k"]
    if train_list is not None or (folder / usual).is_file():
        return existing_file(folder, (train_list or usual,), "MSR-VTT")
    found = [name for name in _OTHER_TRAIN_LISTS if (folder / name).is_file()]
    if len(found) > 1:
        raise ValueError(f"{folder}: has both {' and '.join(found)}; choose one with train_list={found[0]!r}")
    return existing_file(folder, (*found, usual, *_OTHER_TRAIN_LISTS), "MSR-VTT")


def _read_annotation(folder: Path) -> _Annotation:
    merged = folder / _ANNOTATION
    if merged.is_file():
        paths = [merged]
    elif any((folder / name).is_file() for names in _OFFICIAL_ANNOTATIONS for name in names):
        paths = [existing_file(folder, names, "MSR-VTT") for names in _OFFICIAL_ANNOTATIONS]
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
        annotation.official_split[checked_id(video_id, path)] = split


def _add_captions(annotation: _Annotation, path: Path, sentences: list[Any]) -> None:
    for text, video_id in read_text_fields(f"{path}, sentences", sentences, ("caption", "video_id")):
        if video_id not in annotation.official_split:
            raise ValueError(f"{path}: the sentence {text[:40]!r} describes {video_id!r}, which is not under 'videos'")
        annotation.captions.append(Caption(text, video_id))


def _read_test(path: Path) -> SplitContents:
    rows = read_csv_columns(path, ("video_id", "sentence"))
    video_ids = distinct_ids(path, [video_id for video_id, _ in rows])
    return SplitContents(tuple(video_ids), tuple(Caption(sentence, video_id) for video_id, sentence in rows))


def _captioned(video_ids: list[str], annotation: _Annotation, place: Path | str) -> SplitContents:
    return all_captioned(video_ids, annotation.captions, listed_in=place, read_from=annotation.files)
