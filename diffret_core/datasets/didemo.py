"""Reader of DiDeMo: all descriptions of a video joined to one paragraph."""

from pathlib import Path

from diffret_core.datasets.annotation_files import (
    annotation_folder,
    existing_file,
    read_json_list,
    read_text_fields,
)
from diffret_core.datasets.collection import Caption, Collection, Counts, SplitCounts
from diffret_core.datasets.splits import paragraph, read_id_list, refuse_shared_videos, with_captions

LISTS = ("train_list.txt", "val_list.txt", "test_list.txt")
TRAIN_DATA, JOINED_TRAIN_DATA = "train_data.json", "train_data.joined_paragraphs.json"
VAL_DATA, TEST_DATA = "val_data.json", "test_data.json"
_NUM_TRAIN = {TRAIN_DATA: 8_392, JOINED_TRAIN_DATA: 8_362}  # 30 listed ids are missing in the joined text
_NUM_VALIDATION, _NUM_TEST = 1_065, 1_004


def read_didemo(
    folder: Path | str, *, videos_folder: Path | str | None = None, hold_out_validation: bool = False
) -> Collection:
    """Read DiDeMo for retrieval by paragraphs: the descriptions of a video, in file order, are one text.

    The lists decide which videos there are; the data files describe some others too, which are left out. The training
    data is train_data.json, or the file of already joined paragraphs, in which 30 of the listed ids are missing.
    Listed ids without a description are in no split. An id keeps the extension that its video had first, or a bare dot.

    Source: SPEC section 11.

    Args:
        folder: Folder with the lists and data files.
        videos_folder: Folder with the videos; by default "videos" inside folder.
        hold_out_validation: Changes nothing: the validation videos are no training videos.

    Returns:
        The collection, named "didemo".

    Raises:
        FileNotFoundError: If an annotation file is missing.
        ValueError: If a file is damaged, ids repeat, or a test video is in another split.
    """
    folder = annotation_folder(folder, "DiDeMo")
    lists = [existing_file(folder, (name,), "DiDeMo") for name in LISTS]
    names = ((TRAIN_DATA, JOINED_TRAIN_DATA), (VAL_DATA,), (TEST_DATA,))
    data = [existing_file(folder, possible, "DiDeMo") for possible in names]
    train_ids, val_ids, test_ids = (read_id_list(path) for path in lists)
    refuse_shared_videos({lists[0]: train_ids, lists[1]: val_ids}, test_ids, lists[2])
    splits = [
        with_captions(video_ids, _read_paragraphs(path))
        for video_ids, path in zip((train_ids, val_ids, test_ids), data, strict=True)
    ]
    train, validation, test = (contents for contents, _ in splits)
    num_train = _NUM_TRAIN[data[0].name]
    return Collection(
        name="didemo",
        videos_folder=Path(videos_folder) if videos_folder is not None else folder / "videos",
        train=train,
        validation=validation,
        test=test,
        published=Counts(
            train=SplitCounts(num_train, num_train),
            validation=SplitCounts(_NUM_VALIDATION, _NUM_VALIDATION),
            test=SplitCounts(_NUM_TEST, _NUM_TEST),
        ),
        uncaptioned=tuple(video_id for _, without in splits for video_id in without),
    )


def _read_paragraphs(path: Path) -> list[Caption]:
    descriptions: dict[str, list[str]] = {}
    for video_id, description in read_text_fields(str(path), read_json_list(path), ("video", "description")):
        descriptions.setdefault(video_id, []).append(description)
    return [Caption(paragraph(texts), video_id) for video_id, texts in descriptions.items()]
