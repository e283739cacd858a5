"""Reader of LSMDC, the film descriptions of its 2016 challenge: one sentence a clip."""

from pathlib import Path

from diffret_core.datasets.annotation_files import annotation_folder, existing_file, read_tab_fields
from diffret_core.datasets.collection import Caption, Collection, Counts, SplitContents, SplitCounts
from diffret_core.datasets.splits import checked_id, distinct_ids, refuse_shared_videos

FILES = {  # tab separated, despite their names
    "train": "LSMDC16_annos_training.csv",
    "validation": "LSMDC16_annos_val.csv",
    "test": "LSMDC16_challenge_1000_publictect.csv",
}
PUBLISHED = Counts(  # of the first two: the statistics in the owners' readme
    train=SplitCounts(101_079, 101_079), validation=SplitCounts(7_408, 7_408), test=SplitCounts(1_000, 1_000)
)
_NUM_FIELDS = 6


def read_lsmdc(
    folder: Path | str, *, videos_folder: Path | str | None = None, hold_out_validation: bool = False
) -> Collection:
    """Read LSMDC: each line a clip with its sentence.

    The three files have no header and six fields with tabs between them: the clip's id, four times, and the sentence.
    Ids have dots inside. A training clip that is listed again has one more sentence. The owners keep the clips of a
    film in a folder of its own, and so may the folder of videos.

    Source: SPEC section 11.

    Args:
        folder: Folder with the annotation files.
        videos_folder: Folder with the clips; by default "videos" inside folder.
        hold_out_validation: Changes nothing: the validation clips are no training clips.

    Returns:
        The collection, named "lsmdc".

    Raises:
        FileNotFoundError: If an annotation file is missing.
        ValueError: If a file is damaged, a test clip is listed twice or is in another split.
    """
    folder = annotation_folder(folder, "LSMDC")
    paths = {split: existing_file(folder, (name,), "LSMDC") for split, name in FILES.items()}
    splits = {split: _read_split(path) for split, path in paths.items()}
    others = {paths[split]: splits[split].video_ids for split in ("train", "validation")}
    refuse_shared_videos(others, splits["test"].video_ids, paths["test"])
    distinct_ids(paths["test"], [clip_id for _, clip_id in splits["test"].captions])
    return Collection(
        name="lsmdc",
        videos_folder=Path(videos_folder) if videos_folder is not None else folder / "videos",
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        published=PUBLISHED,
    )


def _read_split(path: Path) -> SplitContents:
    captions = []
    for number, (clip_id, *_, sentence) in read_tab_fields(path, _NUM_FIELDS):
        if not sentence:
            raise ValueError(f"{path}, line {number}: its sentence (the last field) is empty; fetch the file again")
        captions.append(Caption(sentence, checked_id(clip_id, f"{path}, line {number}")))
    if not captions:
        raise ValueError(f"{path}: lists no clip; fetch it again")
    return SplitContents(tuple(dict.fromkeys(clip_id for _, clip_id in captions)), tuple(captions))
