"""Miniature collections laid out like each benchmark: its files, its kind of ids, and the oddities of the real ones.

`make_layout(name, folder)` writes annotation files and links videos of the sample collection under names that the
benchmark's own files have in the wild. Recipes are run on them.
"""

import csv
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from diffret_core.locations import sample_folder

SIZES = {"train": 8, "validation": 4, "test": 4}


class Clip(NamedTuple):
    """A sample video with sentences about it."""

    path: Path
    sentences: list[str]


Splits = dict[str, list[Clip]]


def make_layout(name: str, folder: Path, *, sizes: dict[str, int] = SIZES, with_videos: bool = True) -> Path:
    """Fill a folder like one of the benchmarks, with real videos in its folder "videos".

    ActivityNet has no validation split of its own: its training split gets those videos too.
    """
    (folder / "videos").mkdir(parents=True)
    files = LAYOUTS[name](folder, _sample_clips(sizes))
    for file, clip in files.items() if with_videos else ():
        link = folder / "videos" / file
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(clip.path)
    return folder


def _sample_clips(sizes: dict[str, int]) -> Splits:
    sample = sample_folder()
    with (sample / "MSRVTT_JSFUSION_test.csv").open(newline="", encoding="utf-8") as file:
        rows = iter(list(csv.DictReader(file)))
    return {
        split: [
            Clip(sample / "videos" / f"{row['video_id']}.mp4", [row["sentence"], f"a video: {row['sentence']}"])
            for row, _ in zip(rows, range(size), strict=False)
        ]
        for split, size in sizes.items()
    }


def _numbered(splits: Splits) -> dict[str, list[tuple[int, Clip]]]:
    numbers = iter(range(10**6))
    return {split: [(next(numbers), clip) for clip in clips] for split, clips in splits.items()}


def _msrvtt(folder: Path, splits: Splits) -> dict[str, Clip]:
    """Train list with the validation videos in it, as in 9k; the list and the test have CRLF line ends."""
    numbered, official = _numbered(splits), {"validation": "validate"}
    videos = [
        {"video_id": f"video{number}", "split": official.get(split, split), "id": number}
        for split, clips in numbered.items()
        for number, _ in clips
    ]
    sentences = [
        {"caption": sentence, "video_id": f"video{number}"}
        for clips in numbered.values()
        for number, clip in clips
        for sentence in clip.sentences
    ]
    (folder / "MSRVTT_data.json").write_text(json.dumps({"videos": videos, "sentences": sentences}), encoding="utf-8")
    listed = [f"video{number}" for split in ("train", "validation") for number, _ in numbered[split]]
    (folder / "MSRVTT_train.9k.csv").write_bytes("\r\n".join(["video_id", *listed, ""]).encode())
    rows = [["key", "vid_key", "video_id", "sentence"]]
    rows += [[f"ret{n}", f"msr{n}", f"video{n}", clip.sentences[0]] for n, clip in numbered["test"]]
    with (folder / "MSRVTT_JSFUSION_test.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows(rows)
    return {f"video{number}.mp4": clip for clips in numbered.values() for number, clip in clips}


def _lsmdc(folder: Path, splits: Splits) -> dict[str, Clip]:
    """Tab separated, no header; ids with dots; a folder for each film."""
    names = {"train": "LSMDC16_annos_training.csv", "validation": "LSMDC16_annos_val.csv"}
    files = {}
    for split, clips in _numbered(splits).items():
        lines = []
        for number, clip in clips:
            film, start, end = f"{1000 + number // 3}_FILM", f"00.0{number // 60}.{number % 60:02}.000", "01.23.45.886"
            clip_id = f"{film}_{start}-{end}"
            files[f"{film}/{clip_id}.avi"] = clip
            times = [time.replace(".", ":", 2) for time in (start, end, start, end)]
            lines.append("\t".join([clip_id, *times, clip.sentences[0]]))
        path = folder / names.get(split, "LSMDC16_challenge_1000_publictect.csv")
        path.write_bytes(("\r\n".join(lines) + "\r\n").encode())
    return files


def _msvd(folder: Path, splits: Splits) -> dict[str, Clip]:
    """Lists, of which some end without a line end, and captions as JSON and as the pickle of lists of words."""
    names, captions, files = {"validation": "val"}, {}, {}
    for split, clips in _numbered(splits).items():
        ids = {f"-4wsuP{number:05}_{number}_{number + 9}": clip for number, clip in clips}
        (folder / f"{names.get(split, split)}_list.txt").write_text("\n".join(ids), encoding="utf-8")
        captions |= {video_id: clip.sentences for video_id, clip in ids.items()}
        files |= {f"{video_id}.avi": clip for video_id, clip in ids.items()}
    (folder / "raw-captions.json").write_text(json.dumps(captions), encoding="utf-8")
    words = {video_id: [sentence.split() for sentence in sentences] for video_id, sentences in captions.items()}
    (folder / "raw-captions.pkl").write_bytes(pickle.dumps(words, protocol=2))
    return files


def _activitynet(folder: Path, splits: Splits) -> dict[str, Clip]:
    """Sentences that begin with spaces, a listed id without captions, files named with and without "v_"."""
    numbered = _numbered(splits)
    files = {}
    for name, listed, clips in (
        ("train.json", "train_ids.json", numbered["train"] + numbered["validation"]),
        ("val_1.json", "val_ids.json", numbered["test"]),
    ):
        content = {}
        for number, clip in clips:
            video_id = f"abc_-{number:06}"
            sentences = [clip.sentences[0], *(f"  {sentence}" for sentence in clip.sentences[1:])]
            times = [[0, 1.5]] * len(sentences)
            content[f"v_{video_id}"] = {"duration": 1.5, "timestamps": times, "sentences": sentences}
            files[f"{'v_' if number % 2 else ''}{video_id}.mp4"] = clip
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
        ids = [f"v_no_captions_{name[0]}", *reversed(content)]
        (folder / listed).write_text(json.dumps(ids), encoding="utf-8")
    return files


def _didemo(folder: Path, splits: Splits) -> dict[str, Clip]:
    """Ids with an extension or a bare dot, files with another or a second one; ids missing on either side."""
    names, files = {"validation": "val"}, {}
    for split, clips in _numbered(splits).items():
        records, ids = [], []
        for number, clip in clips:
            base = f"{1000 + number}@N0{number}_42_ab"
            ending, file = ((".mov", ".mov.mp4"), (".", ".mp4"), (".avi", ".avi"), (".3gp", ".mp4"))[number % 4]
            ids.append(base + ending)
            files[base + file] = clip
            records += [{"video": ids[-1], "description": sentence, "times": [[0, 5]]} for sentence in clip.sentences]
        name = names.get(split, split)
        records.insert(1, {"video": f"described_only_{name}.mov", "description": "a cat", "times": [[0, 5]]})
        (folder / f"{name}_data.json").write_text(json.dumps(records), encoding="utf-8")
        ids += ["listed_only.wmv"] if split == "train" else []
        (folder / f"{name}_list.txt").write_bytes("\r\n".join([*ids, ""]).encode("utf-8-sig"))
    return files


LAYOUTS: dict[str, Callable[[Path, Splits], dict[str, Clip]]] = {
    "msrvtt": _msrvtt,
    "lsmdc": _lsmdc,
    "msvd": _msvd,
    "activitynet": _activitynet,
    "didemo": _didemo,
}
