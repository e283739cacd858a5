"""A miniature benchmark in the files of MSR-VTT: a few sample videos dealt out anew, whole or damaged on purpose."""

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from diffret_core.datasets import Collection
from diffret_core.locations import ROOT

NUM_VIDEOS = {"train": 16, "validate": 8, "test": 8}
"""Videos of each split, by the names that MSR-VTT's annotation gives them."""


class Damage(NamedTuple):
    """What was done to a copy.

    Attributes:
        missing: The video whose file was removed.
        cut: The one whose file was cut in the middle.
        empty: The one whose file has 0 bytes.
        doubled: The one that now has another video's bytes.
    """

    missing: str
    cut: str
    empty: str
    doubled: str


def make_miniature(folder: Path, collection: Collection) -> Path:
    """Fill a folder with annotation files and copies of videos; every split has videos and captions of its own.

    Args:
        folder: Made if missing.
        collection: Its first test videos are taken, each with its first caption, for all splits: they need not be
            drawn first.

    Returns:
        The folder.
    """
    captions = {caption.video_id: caption.text for caption in reversed(collection.pairs("test"))}
    video_ids = iter(collection.video_ids("test"))
    lists = {split: [next(video_ids) for _ in range(number)] for split, number in NUM_VIDEOS.items()}
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    for video_id in (one for ids in lists.values() for one in ids):
        shutil.copyfile(collection.video_path(video_id), folder / "videos" / f"{video_id}.mp4")
    described = [{"video_id": one, "split": split} for split, ids in lists.items() for one in ids]
    sentences = [{"video_id": one["video_id"], "caption": captions[one["video_id"]]} for one in described]
    annotation = json.dumps({"videos": described, "sentences": sentences})
    (folder / "MSRVTT_data.json").write_text(annotation, encoding="utf-8")
    _write(folder / "MSRVTT_train.csv", [["video_id"], *([one] for one in lists["train"])])
    test = [["video_id", "sentence"], *([one, captions[one]] for one in lists["test"])]
    _write(folder / "MSRVTT_JSFUSION_test.csv", test)
    return folder


def damaged_copy(miniature: Path, folder: Path) -> Damage:
    """Copy a miniature and do to four of its videos what happens to downloads.

    Args:
        miniature: From `make_miniature`.
        folder: Must not exist yet, or be a copy that is made anew.
    """
    shutil.copytree(miniature, folder, dirs_exist_ok=True)
    files = sorted((folder / "videos").iterdir())
    damage = Damage(*(file.stem for file in files[1:5]))
    missing, cut, empty, doubled = files[1:5]
    missing.unlink()
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    empty.write_bytes(b"")
    shutil.copyfile(files[0], doubled)
    return damage


def rehearse_in_processes(num_processes: int, data: Path, output: Path) -> subprocess.CompletedProcess:
    """Rehearse the recipe of MSR-VTT with torchrun: the command of a machine with several GPUs, on its processors.

    Args:
        num_processes: How many train together.
        data: Folder of a miniature.
        output: Folder of the run.

    Returns:
        What came of it; its `stderr` says why it failed, if it did.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    loopback = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    environment |= {"GLOO_SOCKET_IFNAME": loopback[0]} if loopback else {}
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    train = ["diffret_core", "train", "--recipe", "msrvtt", "--rehearse", "--any-size", "--device", "cpu"]
    command = [sys.executable, "-m", *launcher, "-m", *train, "--data", str(data), "--output", str(output)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def losses_of(output: Path) -> dict[str, list[float]]:
    """Read the losses of a run from its log, by stage, a number for each step."""
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    found: dict[str, list[float]] = {}
    for line in lines:
        if "loss" in line:
            found.setdefault(line["stage"], []).append(line["loss"])
    return found


def _write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
