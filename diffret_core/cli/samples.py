"""`diffret samples`: render the sample collection's videos, check the files in git, make them anew."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffret_core.cli.progress import Bars
    from diffret_core.datasets import Collection, Split
    from diffret_core.retriever import Retriever
    from diffret_core.scenes.production import Rendered

HELP = "render or check the sample videos"
SPLIT_NAMES = ("train", "validation", "test", "shifted", "unseen_pairs", "all")
NUM_KEPT_FOR_TRAINING = 1500  # of stage 2's training videos, in features/train.safetensors
_INTERRUPTED = 130  # what a shell reports after Ctrl-C


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's actions and their options.

    Args:
        parser: The parser of `diffret samples`.
    """
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    render = actions.add_parser("render", help="render the videos that are missing; can be interrupted and run again")
    render.add_argument("--split", choices=SPLIT_NAMES, default="all", help="which videos (default: all)")
    check = actions.add_parser("check", help="compare the files in git with MANIFEST.json")
    release = actions.add_parser("release", help="for maintainers: make captions, test videos and MANIFEST.json anew")
    for action in (render, release):
        action.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    features = actions.add_parser(
        "features", help="for maintainers: make the features in git anew, for the model in git"
    )
    for action in (render, check, release, features):
        action.add_argument("--folder", type=Path, default=Path("data_samples"), help="default: data_samples")


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action.

    Args:
        arguments: Parsed options.

    Returns:
        Exit status: 0 if all is well, 1 if files are missing or altered, 130 after an interruption.
    """
    try:
        actions = {"render": _render, "check": _check, "release": _release, "features": _features}
        return actions[arguments.action](arguments)
    except KeyboardInterrupt:
        print("\ninterrupted; finished videos are kept: run the same command again to go on", file=sys.stderr)
        return _INTERRUPTED


def _render(arguments: argparse.Namespace) -> int:
    from diffret_core.scenes.collection import missing_videos, render_videos
    from diffret_core.scenes.splits import SPLITS

    splits = [split for split in SPLITS.values() if arguments.split in (split.name, "all")]
    renderings = [rendering for split in splits for rendering in missing_videos(arguments.folder, split)]
    num_videos = sum(split.num_videos for split in splits)
    if renderings:
        rendered = render_videos(arguments.folder, renderings, num_workers=arguments.workers)
        num_rendered = sum(1 for _ in _with_progress(rendered, len(renderings)))
    else:
        num_rendered = 0
    print(f"{num_rendered} videos rendered, {num_videos - num_rendered} of {num_videos} were there already")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from diffret_core.scenes.manifest import find_faults, read_manifest

    faults = find_faults(arguments.folder)
    for fault in faults:
        print(fault, file=sys.stderr)
    num_files = len(read_manifest(arguments.folder))
    print(f"{num_files - len(faults)} of {num_files} files are as MANIFEST.json says")
    return 1 if faults else 0


def _release(arguments: argparse.Namespace) -> int:
    from diffret_core.scenes.collection import release_renderings, write_release
    from diffret_core.scenes.production import render_all

    (arguments.folder / "videos").mkdir(parents=True, exist_ok=True)
    renderings = release_renderings(arguments.folder)
    rendered = render_all(renderings, num_workers=arguments.workers)
    write_release(arguments.folder, list(_with_progress(rendered, len(renderings))))
    print(f"captions, {len(renderings)} test videos and MANIFEST.json written to {arguments.folder}")
    return 0


def _features(arguments: argparse.Namespace) -> int:
    from diffret_core.checkpoints import load_checkpoint
    from diffret_core.cli.progress import Bars
    from diffret_core.datasets import read_collection
    from diffret_core.extraction import extractor_of
    from diffret_core.feature_cache import How, fill_cache
    from diffret_core.galleries import feature_folder
    from diffret_core.scenes.manifest import update_manifest

    folder: Path = arguments.folder
    model, collection = load_checkpoint(folder / "model"), read_collection("msrvtt", folder)
    in_git = feature_folder(collection, "test")
    for old in in_git.glob("*.safetensors"):
        old.unlink()
    with Bars() as bars:
        paths = [collection.video_path(video) for video in _shipped_videos()]
        how = How(
            videos_per_shard=len(paths),  # one file
            listen=lambda done: bars("encoding test videos", done.num_encoded, done.num_to_encode),
        )
        fill_cache(paths, extractor_of(model), folder=in_git, how=how)
        _keep(model, collection, "validation", collection.video_ids("validation"), bars)
        _keep(model, collection, "train", _videos_to_train_with(collection), bars)
    files = [path for place in (in_git, in_git.parent) for path in sorted(place.glob("*.safetensors"))]
    update_manifest(folder, {path.relative_to(folder).as_posix(): {} for path in files})
    print(f"{len(files)} files of features written to {in_git.parent}")
    return 0


def _with_progress(rendered: "Iterable[Rendered]", num_videos: int) -> "Iterable[Rendered]":
    from tqdm import tqdm

    return tqdm(rendered, total=num_videos, desc="rendering", unit="video", file=sys.stderr)


def _shipped_videos() -> list[str]:
    from diffret_core.scenes.splits import SPLITS

    return [split.video_id(i) for split in SPLITS.values() if split.is_shipped for i in range(split.num_videos)]


def _videos_to_train_with(collection: "Collection") -> tuple[str, ...]:
    from diffret_core.recipes import recipe

    first = recipe("tiny").generation.first_video
    return collection.video_ids("train")[first : first + NUM_KEPT_FOR_TRAINING]


def _keep(model: "Retriever", collection: "Collection", split: "Split", video_ids: Sequence[str], bars: "Bars") -> None:
    from diffret_core.galleries import encode_gallery, feature_folder, keep_gallery

    folder = feature_folder(collection, split)
    others = set(collection.video_ids(split)) - set(video_ids)
    gallery = encode_gallery(
        model,
        collection.without_videos(others),
        split,
        cache_folder=folder,
        progress=lambda *done: bars(f"encoding {split} videos", *done),
    )
    keep_gallery(folder.parent / f"{split}.safetensors", model, gallery)
