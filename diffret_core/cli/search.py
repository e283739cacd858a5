"""`diffret search "a red circle moves left"`: rank videos for a sentence, the sample's or one's own (`--index`)."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diffret_core.cli import arguments as shared

if TYPE_CHECKING:
    from diffret_core.index import IndexResult, IndexSearch, ModelName
    from diffret_core.search import Search, SearchResult

_SCORES = f"{'similarity':>10} {'generated':>10} {'combined':>9}"
HELP = "Rank videos for a sentence: by similarity, by what the generator makes of it, and by both."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("text", help="what to look for, in words")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many videos to print (default: 10)")
    parser.add_argument(
        "--save-plot", metavar="FILE", help="save the walk from noise to answer: .html, .png, .svg or .pdf"
    )
    parser.add_argument(
        "--index", metavar="FOLDER", help="search your own videos: an index that `diffret index` has made"
    )
    shared.add_json(parser)
    shared.add_seed(parser)
    shared.add_model(parser)
    shared.add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Search the test videos, or an index, and print the ranking."""
    if not arguments.text.strip():
        raise ValueError("the text is empty; write what to look for, such as 'a red circle moves left'")
    if arguments.top < 1:
        raise ValueError(f"--top is {arguments.top}; it must be at least 1")
    from diffret_core.course.figures import check_plot_path, save_denoising_figure

    if arguments.save_plot is not None:
        check_plot_path(Path(arguments.save_plot))
    found = _search_collection(arguments) if arguments.index is None else _search_index(arguments)
    if found is not None and arguments.save_plot is not None:
        save_denoising_figure(found, arguments.save_plot)
        print(f"saved {arguments.save_plot}", file=sys.stderr)
    return 0


def _search_collection(arguments: argparse.Namespace) -> "Search":
    from diffret_core.cli.inputs import open_collection, open_model
    from diffret_core.cli.progress import Bars
    from diffret_core.galleries import encode_video_files, feature_folder
    from diffret_core.indicator import read_indicator
    from diffret_core.locations import sample_checkpoint
    from diffret_core.search import search

    collection, model = open_collection(arguments, as_released=True), open_model(arguments)
    video_ids = collection.video_ids("test")
    with Bars() as bars:
        videos = encode_video_files(
            model,
            [collection.video_path(video) for video in video_ids],
            cache_folder=feature_folder(collection, "test"),
            progress=lambda done, total: bars("encoding videos", done, total),
        )
    indicator = read_indicator(Path(arguments.model or sample_checkpoint()), len(video_ids))
    found = search(model, videos, video_ids, arguments.text, seed=arguments.seed, indicator=indicator)
    results, off = found.results[: arguments.top], found.off_the_map
    if arguments.json:
        about = {} if off is None else {"off_the_map": off._asdict()}
        print(json.dumps({"results": [result._asdict() for result in results], **about}, indent=2))
        return found
    print(f"{'rank':>4}  {'video':16} {_SCORES}")
    for one in results:
        print(f"{one.rank:4}  {one.video:16} {_scores_of(one)}")
    if off is not None:
        print(f"off the map: {off}")
    return found


def _search_index(arguments: argparse.Namespace) -> "Search | None":
    given = [name for name in ("data", "videos", "collection", "protocol") if getattr(arguments, name) is not None]
    if given:
        raise ValueError(f"--index searches your own videos; leave out --{given[0]}")
    from diffret_core.index import load_model, model_name, open_index, search_index
    from diffret_core.retriever import choose_device

    device = choose_device(arguments.device)
    index = open_index(arguments.index)
    name = index.description.model
    if arguments.model is not None:
        name = model_name(arguments.model, name.pretrained or "openai")
    model = load_model(name, device=device)
    found = search_index(index, model, arguments.text, num_results=arguments.top, seed=arguments.seed)
    if found.search is None and arguments.save_plot is not None:
        raise ValueError(f"{name}: a plain CLIP model has no generator, so there is no walk to save")
    if arguments.json:
        about = {"model": str(name), "has_generator": found.search is not None}
        print(json.dumps({"results": [one._asdict() for one in found.results], **about}, indent=2))
    else:
        _print_index(found, name)
    return None if found.search is None else _printable(found.search)


def _printable(found: "Search") -> "Search":
    """Write names of files so that a figure can show them."""
    from diffret_core.index import shown_path

    results = [one._replace(video=shown_path(one.video)) for one in found.results]
    return found._replace(results=results, candidates=[shown_path(video) for video in found.candidates])


def _print_index(found: "IndexSearch", name: "ModelName") -> None:
    from diffret_core.index import shown_path, shown_seconds

    shown = [shown_path(one.video) + (" (missing)" if one.missing else "") for one in found.results]
    width = min(60, max(16, *map(len, shown)))
    print(f"{'rank':>4}  {'video':{width}} {'at':>8} {_SCORES}")
    for one, video in zip(found.results, shown, strict=True):
        print(f"{one.rank:4}  {video:{width}} {shown_seconds(one.start_seconds):>8} {_scores_of(one)}")
    if found.search is None:
        print(f"{name}: similarity only, since a plain CLIP model has no generator")


def _scores_of(one: "SearchResult | IndexResult") -> str:
    return f"{one.similarity:10.3f} {one.generated_probability:10.3f} {one.combined_score:9.3f}"
