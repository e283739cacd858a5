"""`diffret features --collection msrvtt --data A --videos V`: the features of a whole collection, resumable."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffret_core.cli import arguments as shared

if TYPE_CHECKING:
    from diffret_core.datasets import Collection, Split
    from diffret_core.feature_cache import Extraction

HELP = (
    "Decode and encode the videos of a collection, once: evaluate and train find what is done. The same command goes "
    "on after an interruption. On several GPUs: torchrun --nproc-per-node=N -m diffret_core features ..."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "--split", default="all", choices=("train", "validation", "test", "all"), help="which videos (default: all)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="threads that decode, in each process (default: one a processor; 0: decode and encode in turns)",
    )
    shared.add_allow_missing(parser)
    shared.add_precision(parser)
    shared.add_json(parser)
    shared.add_model(parser)
    shared.add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Encode what is not there yet, and print what it took and where the features are."""
    from contextlib import nullcontext

    from diffret_core.cli.inputs import open_collection
    from diffret_core.cli.progress import Bars
    from diffret_core.datasets import refuse_missing
    from diffret_core.processes import is_first, joined
    from diffret_core.retriever import choose_device

    collection = open_collection(arguments, as_released=arguments.allow_missing == 0)
    splits = [split for split in _splits(arguments.split) if collection.video_ids(split)]
    if not splits:
        raise ValueError(f"{collection.name}: there are no {arguments.split} videos; choose another split")
    collection = refuse_missing(collection, splits, allowed=arguments.allow_missing)
    try:
        with joined(choose_device(arguments.device)) as device, Bars() if is_first() else nullcontext() as bars:
            reports = _extract(arguments, collection, splits, device, bars)
            speaks = is_first()
    except KeyboardInterrupt:
        print("\nwhat is encoded is kept: the same command goes on from here", file=sys.stderr)
        raise
    if speaks and arguments.json:
        import json

        print(json.dumps({"precision": arguments.precision, "splits": reports}, indent=2))
    elif speaks:
        _print(reports)
    return 0


def _splits(name: str) -> tuple["Split", ...]:
    return ("train", "validation", "test") if name == "all" else (name,)  # type: ignore[return-value]


def _extract(
    arguments: argparse.Namespace, collection: "Collection", splits: "list[Split]", device: Any, bars: Any
) -> dict[str, dict[str, Any]]:
    from diffret_core.cli.inputs import open_model
    from diffret_core.extraction import extractor_of
    from diffret_core.feature_cache import How, fill_cache

    extractor = extractor_of(open_model(arguments).to(device), precision=arguments.precision)
    reports: dict[str, dict[str, Any]] = {}
    for split in splits:

        def show(done: "Extraction", split: "Split" = split) -> None:
            if bars is not None:
                note = f"waiting for decoding {done.waiting_share:.0%}"
                bars(f"encoding {split} videos", done.num_encoded, done.num_to_encode, note=note)

        def look(num_found: int, num_files: int, split: "Split" = split) -> None:
            if bars is not None:
                bars(f"reading {split} files", num_found, num_files)

        folder = _folder(arguments.model, collection, split)
        paths = [collection.video_path(video) for video in collection.video_ids(split)]
        how = How(num_workers=arguments.workers, all_processes=True, listen=show, found=look)
        done = fill_cache(paths, extractor, folder=folder, how=how)
        reports[split] = {"folder": str(folder), **done._asdict(), "videos_per_second": done.videos_per_second}
    return reports


def _folder(model: str | None, collection: "Collection", split: "Split") -> Path:
    """Say where features are looked for: those of a run's stage 1 in the run, by train; others beside the videos."""
    from diffret_core.galleries import feature_folder
    from diffret_core.training.run_folder import STAGE1, STAGE1_FEATURES

    if model is not None and Path(model).resolve().name == STAGE1:
        return Path(model) / STAGE1_FEATURES
    return feature_folder(collection, split)


def _print(reports: dict[str, dict[str, Any]]) -> None:
    for split, one in reports.items():
        found = one["num_videos"] - one["num_to_encode"]
        line = f"{split}: {one['num_videos']} videos, {found} were there, {one['num_encoded']} encoded"
        if one["num_encoded"]:
            line += (
                f" in {one['seconds']:.0f} s, {one['videos_per_second']:.1f} a second, waiting for decoding "
                f"{one['waiting_share']:.0%} of the time"
            )
        print(f"{line}; in {one['folder']}")
