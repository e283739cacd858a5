"""`diffret search "a red circle moves left"`: rank videos for a sentence."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diffret_core.cli import arguments as shared

if TYPE_CHECKING:
    from diffret_core.search import Search

HELP = "Rank videos for a sentence: by similarity, by what the generator makes of it, and by both."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("text", help="what to look for, in words")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many videos to print (default: 10)")
    parser.add_argument(
        "--save-plot", metavar="FILE", help="save the walk from noise to answer: .html, .png, .svg or .pdf"
    )
    shared.add_json(parser)
    shared.add_seed(parser)
    shared.add_model(parser)
    shared.add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Search the test videos and print the ranking."""
    if not arguments.text.strip():
        raise ValueError("the text is empty; write what to look for, such as 'a red circle moves left'")
    if arguments.top < 1:
        raise ValueError(f"--top is {arguments.top}; it must be at least 1")
    from diffret_core.cli.inputs import open_collection, open_model
    from diffret_core.cli.progress import Bars
    from diffret_core.course.figures import check_plot_path, save_denoising_figure
    from diffret_core.galleries import encode_video_files, feature_folder
    from diffret_core.search import search

    if arguments.save_plot is not None:
        check_plot_path(Path(arguments.save_plot))
    collection, model = open_collection(arguments, as_released=True), open_model(arguments)
    video_ids = collection.video_ids("test")
    with Bars() as bars:
        videos = encode_video_files(
            model,
            [collection.video_path(video) for video in video_ids],
            cache_folder=feature_folder(collection, "test"),
            progress=lambda done, total: bars("encoding videos", done, total),
        )
    found = search(model, videos, video_ids, arguments.text, seed=arguments.seed)
    _print(found, arguments)
    if arguments.save_plot is not None:
        save_denoising_figure(found, arguments.save_plot)
        print(f"saved {arguments.save_plot}", file=sys.stderr)
    return 0


def _print(found: "Search", arguments: argparse.Namespace) -> None:
    results = found.results[: arguments.top]
    if arguments.json:
        import json

        print(json.dumps({"results": [result._asdict() for result in results]}, indent=2))
        return
    print(f"{'rank':>4}  {'video':16} {'similarity':>10} {'generated':>10} {'combined':>9}")
    for one in results:
        print(
            f"{one.rank:4}  {one.video:16} {one.similarity:10.3f} {one.generated_probability:10.3f} "
            f"{one.combined_score:9.3f}"
        )
