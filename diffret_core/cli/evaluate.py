"""`diffret evaluate`: the retrieval metrics of a model on a split, both directions."""

import argparse
from typing import Any

from diffret_core.cli import arguments as shared

HELP = "Measure R@1, R@5, R@10, median and mean rank, by similarity, by the generator and by both together."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--split", default="test", choices=("test", "validation"), help="which split (default: test)")
    parser.add_argument("--test-list", metavar="NAME", help="another list of test pairs in the data folder")
    parser.add_argument(
        "--num-candidates", type=int, metavar="N", help="candidates per query (the model's if not given)"
    )
    parser.add_argument("--num-steps", type=int, metavar="K", help="denoising steps (the model's if not given)")
    parser.add_argument("--num-draws", type=int, metavar="M", help="samples per query (the model's if not given)")
    shared.add_allow_missing(parser)
    shared.add_precision(parser)
    shared.add_json(parser)
    shared.add_seed(parser)
    shared.add_model(parser)
    shared.add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Encode the split, generate for every query, and print the metrics."""
    from dataclasses import replace

    from diffret_core.cli.inputs import open_collection, open_model
    from diffret_core.cli.progress import Bars
    from diffret_core.evaluation import evaluate, score_all
    from diffret_core.galleries import encode_gallery, feature_folder

    as_released = arguments.allow_missing == 0
    collection = open_collection(arguments, as_released=as_released, test_list=arguments.test_list)
    model = open_model(arguments)
    changes = {name: getattr(arguments, name) for name in ("num_candidates", "num_steps", "num_draws")}
    scoring = replace(model.config.scoring, **{name: value for name, value in changes.items() if value is not None})
    model.config = replace(model.config, scoring=scoring)
    with Bars() as bars:
        gallery = encode_gallery(
            model,
            collection,
            arguments.split,
            cache_folder=feature_folder(collection, arguments.split),
            allow_missing=arguments.allow_missing,
            precision=arguments.precision,
            progress=lambda done, total: bars("encoding videos", done, total),
        )
        scores = score_all(
            model,
            gallery.texts,
            gallery.videos,
            seed=arguments.seed,
            progress=lambda done, total: bars("generating", done, total),
            comparing=lambda done, total: bars("comparing texts with videos", done, total),
        )
    metrics = evaluate(scores, gallery.video_of_text, scoring, seed=arguments.seed)
    if arguments.json:
        import json

        print(json.dumps(metrics, indent=2))
    else:
        print(f"{arguments.split} split: {len(gallery.captions)} texts, {len(gallery.video_ids)} videos")
        print_metrics(metrics)
    return 0


def print_metrics(metrics: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Print a table with a line per direction and method; "of" is how many items each query ranks."""
    print(
        f"{'':14} {'':10} {'R@1':>5} {'95 % interval':>13} {'R@5':>6} {'R@10':>6} {'median':>6} {'mean':>7} {'of':>6}"
    )
    for direction, methods in metrics.items():
        for method, one in methods.items():
            low, high = one["R@1_interval"]
            print(
                f"{direction.replace('_', '-'):14} {method:10} {one['R@1']:5.1f} {low:6.1f}-{high:5.1f}  "
                f"{one['R@5']:6.1f} {one['R@10']:6.1f} {one['median_rank']:6.1f} {one['mean_rank']:7.2f} "
                f"{one['gallery_size']:6}"
            )
