"""Reader of MSVD: about forty sentences a video, in training and in the test."""

from pathlib import Path
from typing import Any

from diffret_core.datasets.annotation_files import annotation_folder, existing_file, read_json_object, read_lines
from diffret_core.datasets.collection import Caption, Collection, Counts, SplitCounts
from diffret_core.datasets.plain_pickle import read_plain_pickle
from diffret_core.datasets.splits import all_captioned, read_id_list, refuse_shared_videos

LISTS = ("train_list.txt", "val_list.txt", "test_list.txt")
CAPTIONS = (  # the first that is there is read
    "raw-captions.json",
    "xpool_captions_msvd.json",
    "AllVideoDescriptions.txt",
    "raw-captions.pkl",
)
PUBLISHED = Counts(  # counted in the public lists and captions
    train=SplitCounts(1_200, 48_774), validation=SplitCounts(100, 4_290), test=SplitCounts(670, 27_763)
)


def read_msvd(
    folder: Path | str, *, videos_folder: Path | str | None = None, hold_out_validation: bool = False
) -> Collection:
    """Read MSVD: three lists of videos and a file with all captions of all videos.

    The captions are in a JSON object (id to a list of sentences, each a text or a list of words), in the owners' text
    file (an id and a sentence a line), or in the pickle of older code. The pickle is read only where none of the others
    is there, and only if it holds nothing but texts: see `plain_pickle`.

    Source: SPEC section 11.

    Args:
        folder: Folder with the annotation files.
        videos_folder: Folder with the videos; by default "videos" inside folder.
        hold_out_validation: Changes nothing: the validation videos are no training videos.

    Returns:
        The collection, named "msvd". The test has several captions a video.

    Raises:
        FileNotFoundError: If an annotation file is missing.
        ValueError: If a file is damaged, ids repeat or have no caption, or a test video is in another split.
    """
    folder = annotation_folder(folder, "MSVD")
    train_list, val_list, test_list = (existing_file(folder, (name,), "MSVD") for name in LISTS)
    path = existing_file(folder, CAPTIONS, "MSVD")
    captions = _read_captions(path)
    train_ids, val_ids, test_ids = (read_id_list(one) for one in (train_list, val_list, test_list))
    refuse_shared_videos({train_list: train_ids, val_list: val_ids}, test_ids, test_list)
    return Collection(
        name="msvd",
        videos_folder=Path(videos_folder) if videos_folder is not None else folder / "videos",
        train=all_captioned(train_ids, captions, listed_in=train_list, read_from=path),
        validation=all_captioned(val_ids, captions, listed_in=val_list, read_from=path),
        test=all_captioned(test_ids, captions, listed_in=test_list, read_from=path),
        published=PUBLISHED,
    )


def _read_captions(path: Path) -> list[Caption]:
    if path.suffix == ".txt":
        return _read_text(path)
    content = read_plain_pickle(path) if path.suffix == ".pkl" else read_json_object(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds a {type(content).__name__}, expected a dictionary of ids and captions")
    captions = []
    for video_id, sentences in content.items():
        if not isinstance(video_id, str) or not isinstance(sentences, list | tuple):
            raise ValueError(f"{path}: expected ids with lists of sentences, found {str(video_id)[:40]!r} otherwise")
        captions += [
            Caption(_sentence(sentence, f"{path}, {video_id}[{position}]"), video_id)
            for position, sentence in enumerate(sentences)
        ]
    return captions


def _sentence(found: Any, place: str) -> str:
    words = found if isinstance(found, list | tuple) else [found]
    if not all(isinstance(word, str) for word in words) or not (text := " ".join(words).strip()):
        raise ValueError(f"{place}: is {str(found)[:40]!r}, expected a sentence as a text or as a list of words")
    return text


def _read_text(path: Path) -> list[Caption]:
    captions = []
    for number, line in read_lines(path):
        if line.startswith("#"):
            continue
        video_id, _, sentence = line.partition(" ")
        if not sentence.strip():
            raise ValueError(f"{path}, line {number}: expected an id, a space and a sentence")
        captions.append(Caption(sentence.strip(), video_id))
    return captions
