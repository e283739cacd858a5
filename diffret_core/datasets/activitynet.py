"""Reader of ActivityNet Captions: all sentences of a video joined to one paragraph."""

from pathlib import Path

from diffret_core.datasets.annotation_files import annotation_folder, existing_file, read_json_list, read_json_object
from diffret_core.datasets.collection import Caption, Collection, Counts, SplitCounts
from diffret_core.datasets.splits import (
    distinct_ids,
    held_out_ids,
    paragraph,
    refuse_shared_videos,
    with_captions,
    without_ids,
)

TRAIN_CAPTIONS, TEST_CAPTIONS = "train.json", "val_1.json"
TRAIN_LIST, TEST_LIST = "train_ids.json", "val_ids.json"
OPTIONAL_PREFIX = "v_"  # of every id; files are named with or without it
_NUM_TRAIN, _NUM_HELD_OUT, _NUM_TEST = 10_009, 500, 4_917


def read_activitynet(
    folder: Path | str, *, videos_folder: Path | str | None = None, hold_out_validation: bool = False
) -> Collection:
    """Read ActivityNet Captions for retrieval by paragraphs: train to learn from, val_1 as the test.

    The set has no captions for a third split. The training videos with the smallest SHA-256 of their ids, 5 % of all,
    are the validation: see `splits.held_out_ids`. They stay in train as published unless hold_out_validation is True.
    Some listed ids have no captions; they are in no split.

    Source: SPEC section 11.

    Args:
        folder: Folder with train.json, val_1.json, train_ids.json and val_ids.json.
        videos_folder: Folder with the videos, named v_ID or ID; by default "videos" inside folder.
        hold_out_validation: Leave the validation videos out of train.

    Returns:
        The collection, named "activitynet". Its ids begin with "v_", as in the files.

    Raises:
        FileNotFoundError: If an annotation file is missing.
        ValueError: If a file is damaged, captions belong to no listed id, or a test video is in train.
    """
    folder = annotation_folder(folder, "ActivityNet Captions")
    names = (TRAIN_LIST, TEST_LIST, TRAIN_CAPTIONS, TEST_CAPTIONS)
    train_list, test_list, train_path, test_path = (
        existing_file(folder, (name,), "ActivityNet Captions") for name in names
    )
    train_ids, test_ids = _read_ids(train_list), _read_ids(test_list)
    refuse_shared_videos({train_list: train_ids}, test_ids, test_list)
    train_captions, test_captions = _read_captions(train_path, train_ids), _read_captions(test_path, test_ids)
    train, without = with_captions(train_ids, train_captions)
    test, also_without = with_captions(test_ids, test_captions)
    validation_ids = held_out_ids(train.video_ids)
    validation, _ = with_captions(validation_ids, train_captions)
    num_train = _NUM_TRAIN - _NUM_HELD_OUT if hold_out_validation else _NUM_TRAIN
    if hold_out_validation:
        train, _ = with_captions(without_ids(train.video_ids, validation_ids), train_captions)
    return Collection(
        name="activitynet",
        videos_folder=Path(videos_folder) if videos_folder is not None else folder / "videos",
        train=train,
        validation=validation,
        test=test,
        published=Counts(
            train=SplitCounts(num_train, num_train),
            validation=SplitCounts(_NUM_HELD_OUT, _NUM_HELD_OUT),
            test=SplitCounts(_NUM_TEST, _NUM_TEST),
        ),
        uncaptioned=(*without, *also_without),
        optional_prefix=OPTIONAL_PREFIX,
    )


def _read_ids(path: Path) -> list[str]:
    video_ids = read_json_list(path)
    for position, video_id in enumerate(video_ids):
        if not isinstance(video_id, str):
            raise ValueError(f"{path}[{position}]: is {str(video_id)[:40]!r}, expected an id as a text")
    return distinct_ids(path, video_ids)


def _read_captions(path: Path, listed: list[str]) -> list[Caption]:
    content, known = read_json_object(path), set(listed)
    captions = []
    for video_id, record in content.items():
        sentences = record.get("sentences") if isinstance(record, dict) else None
        if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
            raise ValueError(f"{path}: {video_id} has no list of texts under 'sentences'; fetch the file again")
        if not (text := paragraph(sentences)):
            raise ValueError(f"{path}: the sentences of {video_id} are empty; fetch the file again")
        if video_id not in known:
            raise ValueError(f"{path}: {video_id} is not among the listed ids; take both files from one release")
        captions.append(Caption(text, video_id))
    return captions
