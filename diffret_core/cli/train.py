"""`diffret train --recipe tiny`: train both stages, resumable."""

import argparse
import sys

from diffret_core.cli import arguments as shared

HELP = (
    "Train a model by a recipe, both stages; the same command resumes an interrupted run. On several GPUs: "
    "torchrun --nproc-per-node=N -m diffret_core train ..."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    shared.add_recipe(parser, required=True)
    parser.add_argument("--pretrained", metavar="TAG", help="where CLIP starts: an open_clip tag, or a weight file")
    parser.add_argument("--output", metavar="FOLDER", help="where the run is kept (default: runs/RECIPE)")
    parser.add_argument(
        "--rehearse",
        action="store_true",
        help="do every step of the recipe on a few videos with a small encoder, in about a minute",
    )
    parser.add_argument("--seed", type=int, help="seed of every random choice (the recipe's if not given)")
    parser.add_argument("--stage1", metavar="FOLDER", help="a run whose stage 1 is used as it is: train stage 2 only")
    shared.add_allow_missing(parser)
    shared.add_device(parser)
    shared.add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, with a bar that shows the time left, and print the metrics on validation."""
    from contextlib import nullcontext

    from diffret_core.cli.inputs import chosen_recipe, count_allowance, open_collection
    from diffret_core.cli.progress import Bars
    from diffret_core.cli.tables import print_metrics
    from diffret_core.datasets import refuse_missing
    from diffret_core.processes import is_first, joined
    from diffret_core.recipes import first_videos, rehearsal
    from diffret_core.retriever import choose_device
    from diffret_core.training.run import train

    chosen = chosen_recipe(arguments, pretrained=arguments.pretrained, seed=arguments.seed)
    output = arguments.output or f"runs/{chosen.name}{'-rehearsal' if arguments.rehearse else ''}"
    collection = open_collection(  # what a model is chosen on, it must not learn
        arguments, hold_out_validation=True, count_allowance=count_allowance(arguments, chosen)
    )
    if arguments.rehearse:
        chosen, collection = rehearsal(chosen), first_videos(collection)
    if arguments.allow_missing != 0:
        collection = refuse_missing(collection, ("train", "validation"), allowed=arguments.allow_missing)
    try:
        with joined(choose_device(arguments.device)) as device, Bars() if is_first() else nullcontext() as bars:
            metrics = train(
                chosen,
                collection,
                output,
                first_stage=arguments.stage1,
                device=device,
                listen=bars or (lambda *_: None),
            )
            if not is_first():
                return 0
    except KeyboardInterrupt:
        print("\nnothing is lost: the same command goes on from here", file=sys.stderr)
        raise
    print(f"trained: {output}; on validation:")
    print_metrics(metrics)
    print(f"search with it: diffret search --model {output} 'a red circle moves left'")
    return 0
