"""`diffret train --recipe tiny`: train both stages, resumable."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from diffret_core.cli import arguments as shared

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from diffret_core.config import Recipe
    from diffret_core.datasets import Collection

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
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="train nothing: print settings, memory, disk and time of the run on this machine; needs no data",
    )
    parser.add_argument("--json", action="store_true", help="print the plan of --dry-run as one JSON document")
    parser.add_argument("--seed", type=int, help="seed of every random choice (the recipe's if not given)")
    parser.add_argument("--stage1", metavar="FOLDER", help="a run whose stage 1 is used as it is: train stage 2 only")
    shared.add_allow_missing(parser)
    shared.add_device(parser)
    shared.add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, with a bar that shows the time left, and print the metrics on validation; or plan that."""
    from pathlib import Path

    from diffret_core.cli.dry_run import dry_run
    from diffret_core.cli.inputs import chosen_recipe
    from diffret_core.cli.tables import print_metrics
    from diffret_core.plans import refuse_slow_device
    from diffret_core.recipes import rehearsal
    from diffret_core.retriever import choose_device

    chosen = chosen_recipe(arguments, pretrained=arguments.pretrained, seed=arguments.seed)
    output = Path(arguments.output or f"runs/{chosen.name}{'-rehearsal' if arguments.rehearse else ''}")
    device = choose_device(arguments.device)
    if arguments.dry_run:
        return dry_run(arguments, chosen, device, output)
    if arguments.json:
        raise ValueError("--json goes with --dry-run; the metrics of a run are in its metrics.json")
    collection = _collection(arguments, chosen)
    if arguments.rehearse:
        chosen = rehearsal(chosen)
    else:
        refuse_slow_device(chosen, arguments.device, device)
    try:
        metrics = _train(chosen, collection, output, device, first_stage=arguments.stage1)
    except KeyboardInterrupt:
        print("\nnothing is lost: the same command goes on from here", file=sys.stderr)
        raise
    if metrics:
        print(f"trained: {output}; on validation:")
        print_metrics(metrics)
        print(f"search with it: diffret search --model {output} 'a red circle moves left'")
    return 0


def _collection(arguments: argparse.Namespace, chosen: "Recipe") -> "Collection":
    """Read what to train on; what a model is chosen on, it must not learn."""
    from diffret_core.cli.inputs import count_allowance, open_collection
    from diffret_core.datasets import refuse_missing
    from diffret_core.recipes import first_videos

    allowance = count_allowance(arguments, chosen)
    collection = open_collection(arguments, hold_out_validation=True, count_allowance=allowance)
    if arguments.rehearse:
        collection = first_videos(collection)
    if arguments.allow_missing != 0:
        collection = refuse_missing(collection, ("train", "validation"), allowed=arguments.allow_missing)
    return collection


def _train(
    chosen: "Recipe", collection: "Collection", output: "Path", device: "torch.device", *, first_stage: str | None
) -> dict[str, Any]:
    """Train where there is room for it; give the metrics, to the first of several processes alone."""
    from contextlib import nullcontext

    from diffret_core.cli.progress import Bars
    from diffret_core.datasets import counts_of
    from diffret_core.plans import refuse_without_room
    from diffret_core.processes import is_first, joined, num_processes
    from diffret_core.training.run import train

    with joined(device) as own_device, Bars() if is_first() else nullcontext() as bars:
        refuse_without_room(
            chosen,
            counts_of(collection),
            own_device,
            output,
            num_processes=num_processes(),
            first_stage=first_stage is None,
        )
        metrics = train(
            chosen, collection, output, first_stage=first_stage, device=own_device, listen=bars or (lambda *_: None)
        )
        return metrics if is_first() else {}
