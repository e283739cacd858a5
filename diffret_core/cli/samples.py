"""`diffret samples`: render the sample collection's videos, check the files in git, make them anew."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffret_core.scenes.production import Rendered

HELP = "render or check the sample videos"
SPLIT_NAMES = ("train", "validation", "test", "all")
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
    for action in (render, check, release):
        action.add_argument("--folder", type=Path, default=Path("data_samples"), help="default: data_samples")


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action.

    Args:
        arguments: Parsed options.

    Returns:
        Exit status: 0 if all is well, 1 if files are missing or altered, 130 after an interruption.
    """
    try:
        return {"render": _render, "check": _check, "release": _release}[arguments.action](arguments)
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


def _with_progress(rendered: "Iterable[Rendered]", num_videos: int) -> "Iterable[Rendered]":
    from tqdm import tqdm

    return tqdm(rendered, total=num_videos, desc="rendering", unit="video", file=sys.stderr)
