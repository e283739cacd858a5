"""`diffret bench sampler`: how fast, next to the plain way and to what the machine could do at best."""

import argparse
from typing import TYPE_CHECKING, Any

from diffret_core.cli import arguments as shared

if TYPE_CHECKING:
    import torch

    from diffret_core.bench.inputs import Sizes
    from diffret_core.bench.machine import Machine

HELP = "Time the plain and the fast way in one run, beside the least time that the machine could take."
SIZES = ("queries", "candidates", "levels", "dim", "frames", "words", "videos")
USED = {  # options that mean something to each bench, besides those that all of them take
    "sampler": ("queries", "candidates", "levels", "dim", "frames", "videos", "full"),
    "stage2": ("queries", "candidates", "levels", "dim", "frames", "videos"),
    "similarity": ("queries", "dim", "frames", "words", "videos", "full"),
    "encode": ("queries", "videos", "model"),
    "search": ("queries", "candidates", "levels", "dim", "frames", "videos", "model"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    help_text = "what to time; without --full it ends within 5 minutes on two cores"
    parser.add_argument("what", choices=tuple(USED), help=help_text)
    for name in SIZES:
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"number of {name} (the bench's own if not given)")
    parser.add_argument("--repeats", type=int, metavar="N", help="how often each way is timed; the best counts")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (torch's own choice if not given)")
    parser.add_argument("--full", action="store_true", help="time the whole problem, not a labelled part of it")
    shared.add_json(parser)
    shared.add_model(parser)


def run(arguments: argparse.Namespace) -> int:
    """Time it, and print a table with a line per way."""
    from diffret_core.bench.rows import use_threads
    from diffret_core.retriever import choose_device

    _check_used(arguments)
    use_threads(arguments.threads)
    rows = _rows(arguments, choose_device(arguments.device))
    if arguments.json:
        import json

        print(json.dumps({"rows": rows}, indent=2))
    else:
        _print(rows)
    return 0


def _check_used(arguments: argparse.Namespace) -> None:
    used, given = USED[arguments.what], {**vars(arguments), "full": arguments.full or None}
    unused = [name for name in (*SIZES, "full", "model") if given[name] is not None and name not in used]
    if unused:
        options = ", ".join(f"--{name}" for name in used)
        raise ValueError(f"--{unused[0]} means nothing to the bench of {arguments.what}; it takes {options}")


def _rows(arguments: argparse.Namespace, device: "torch.device") -> list[dict[str, Any]]:
    from diffret_core.bench import machine, sampler, similarity, stage2

    measured = machine.measure_machine(device)
    repeats: dict[str, int] = {} if arguments.repeats is None else {"repeats": arguments.repeats}
    if arguments.what == "encode":
        return _encode(arguments, measured, repeats)
    if arguments.what == "search":
        return _search(arguments, measured, repeats)
    if arguments.what == "stage2":
        return stage2.bench_stage2(_chosen(arguments, stage2.SIZES), measured, **repeats)
    if arguments.what == "sampler":
        return sampler.bench_sampler(_chosen(arguments, sampler.SIZES), measured, full=arguments.full, **repeats)
    from diffret_core.cli.progress import Bars

    sizes = _chosen(arguments, similarity.SIZES)
    with Bars() as bars:

        def show(done: int, total: int) -> None:
            bars(f"comparing {total} texts", done, total)

        return similarity.bench_similarity(sizes, measured, full=arguments.full, progress=show, **repeats)


def _chosen(arguments: argparse.Namespace, sizes: "Sizes") -> "Sizes":
    """Replace the sizes that are given."""
    given = {name: getattr(arguments, name) for name in SIZES if getattr(arguments, name) is not None}
    return sizes._replace(**given).checked()


def _sentences(arguments: argparse.Namespace, number: int) -> list[str]:
    from diffret_core.datasets import read_collection
    from diffret_core.locations import sample_folder

    number = number if arguments.queries is None else arguments.queries
    if number < 1:
        raise ValueError(f"queries is {number}; it must be at least 1")
    captions = [caption for caption, _ in read_collection("msrvtt", sample_folder()).pairs("test")]
    return [captions[place % len(captions)] for place in range(number)]


def _encode(arguments: argparse.Namespace, machine: "Machine", repeats: dict[str, int]) -> list[dict[str, Any]]:
    from diffret_core.bench.encode import NUM_TEXTS, NUM_VIDEOS, bench_encode
    from diffret_core.cli.inputs import open_model

    num_videos = NUM_VIDEOS if arguments.videos is None else arguments.videos
    if num_videos < 1:
        raise ValueError(f"videos is {num_videos}; it must be at least 1")
    model, sentences = open_model(arguments), _sentences(arguments, NUM_TEXTS)
    return bench_encode(model, sentences, machine, num_videos=num_videos, **repeats)


def _search(arguments: argparse.Namespace, machine: "Machine", repeats: dict[str, int]) -> list[dict[str, Any]]:
    """Search the sample videos, a made gallery of the asked sizes, and ever larger galleries mixed from the sample."""
    from diffret_core.bench import growth, search
    from diffret_core.cli.inputs import open_model
    from diffret_core.datasets import read_collection
    from diffret_core.galleries import encode_video_files, feature_folder
    from diffret_core.locations import sample_folder

    sizes = _chosen(arguments, search.SIZES)
    model, sentences = open_model(arguments), _sentences(arguments, search.SIZES.queries)
    collection = read_collection("msrvtt", sample_folder())
    paths = [collection.video_path(video) for video in collection.video_ids("test")]
    videos = encode_video_files(model, paths, cache_folder=feature_folder(collection, "test"))
    sample = search.Gallery(model, videos, sentences)
    rows = search.bench_search(sample, f"sample, D = {model.config.dim}", machine, **repeats)
    made = search.made_gallery(sizes, sentences, machine.device)
    rows += search.bench_search(made, f"made, D = {sizes.dim}", machine, **repeats)
    largest = growth.GALLERY_SIZES[-1] if arguments.videos is None else arguments.videos
    gallery_sizes = [size for size in growth.GALLERY_SIZES if size <= largest]
    return rows + growth.bench_growth(sample, machine, gallery_sizes=gallery_sizes, **repeats)


def _print(rows: list[dict[str, Any]]) -> None:
    width = max(len(row["name"]) for row in rows)
    print(f"{'':{width}} {'seconds':>10} {'worst/best':>10} {'floor':>10} {'ratio':>8} {'difference':>10}")
    for row in rows:
        print(
            f"{row['name']:{width}} {row['seconds']:10.4g} {row['spread']:10.2f} {row['floor_seconds']:10.4g} "
            f"{row['ratio']:8.2f} {row['largest_difference']:10.1e}"
        )
    shown = {"name", "seconds", "spread", "floor_seconds", "ratio", "largest_difference"}
    for row in rows:
        print(f"{row['name']}: " + ", ".join(f"{name} {value}" for name, value in row.items() if name not in shown))
