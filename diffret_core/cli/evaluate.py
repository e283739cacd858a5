"""`diffret evaluate`: the retrieval metrics of a model on a split, both directions."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffret_core.cli import arguments as shared

if TYPE_CHECKING:
    import torch

    from diffret_core.config import Recipe
    from diffret_core.datasets import Collection
    from diffret_core.retriever import Retriever

HELP = (
    "Measure R@1, R@5, R@10, median and mean rank, by similarity, by the generator and by both together, and also "
    "normalised by a bank of queries. On several GPUs: torchrun --nproc-per-node=N -m diffret_core evaluate ..."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--split", default="test", choices=("test", "validation"), help="which split (default: test)")
    parser.add_argument("--test-list", metavar="NAME", help="another list of test pairs in the data folder")
    shared.add_recipe(parser, required=False)
    parser.add_argument(
        "--released", metavar="FILE", help="a released checkpoint, read as the model of --recipe (instead of --model)"
    )
    parser.add_argument(
        "--mode",
        choices=("reference", "default"),
        help="of --released; reference: exactly as it is (used if not given), default: with its faults corrected",
    )
    parser.add_argument(
        "--metrics",
        default="corrected",
        choices=("corrected", "reference"),
        help="corrected: one rank per query (the default); reference: as the released code counts ties and captions",
    )
    parser.add_argument(
        "--num-candidates", type=int, metavar="N", help="candidates per query (the model's if not given)"
    )
    parser.add_argument("--num-steps", type=int, metavar="K", help="denoising steps (the model's if not given)")
    parser.add_argument(
        "--start-level",
        type=int,
        metavar="L",
        help="start each walk at this noise level, from the similarity (a variant: the paper's start from noise)",
    )
    parser.add_argument("--num-draws", type=int, metavar="M", help="samples per query (the model's if not given)")
    parser.add_argument(
        "--num-seeds", type=int, default=1, metavar="M", help="generate from so many noises, and give mean and spread"
    )
    parser.add_argument(
        "--bank", type=int, default=5000, metavar="N", help="training captions in the bank (default: 5000; 0: no bank)"
    )
    parser.add_argument(
        "--video-bank", type=int, default=0, metavar="N", help="training videos to encode for the bank of video queries"
    )
    parser.add_argument("--beta", type=float, default=20.0, help="inverse temperature of those rows (default: 20)")
    parser.add_argument(
        "--markdown", metavar="FILE", help="also write a table, beside published figures where there are"
    )
    shared.add_allow_missing(parser)
    shared.add_precision(parser)
    shared.add_json(parser)
    shared.add_seed(parser)
    shared.add_model(parser)
    shared.add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Encode the split, generate for every query, and print the metrics."""
    _refuse_what_cannot_be_together(arguments)
    from contextlib import nullcontext

    from diffret_core.cli.inputs import chosen_recipe, count_allowance, open_collection
    from diffret_core.cli.progress import Bars
    from diffret_core.measurement import MeasurementSettings, measure
    from diffret_core.processes import is_first, joined
    from diffret_core.retriever import choose_device

    settings = MeasurementSettings(
        split=arguments.split,
        allow_missing=arguments.allow_missing,
        precision=arguments.precision,
        rules=arguments.metrics,
        seed=arguments.seed,
        num_seeds=arguments.num_seeds,
        bank_size=arguments.bank,
        num_bank_videos=arguments.video_bank,
        beta=arguments.beta,
    )
    recipe = chosen_recipe(arguments) if arguments.recipe else None
    if recipe is not None and not arguments.released:
        arguments.model = arguments.model or str(Path("runs") / recipe.name)  # where `diffret train` leaves it
    collection = open_collection(
        arguments,
        as_released=arguments.allow_missing == 0,
        test_list=arguments.test_list,
        count_allowance=count_allowance(arguments, recipe),
    )
    with joined(choose_device(arguments.device)) as device, Bars() if is_first() else nullcontext() as bars:
        model = _open(arguments, recipe, device)
        cache_folder, bank_folder = _feature_folders(arguments, collection)
        found = measure(
            model,
            collection,
            settings,
            cache_folder=cache_folder,
            bank_folder=bank_folder,
            listen=bars or (lambda *_: None),
        )
        if not is_first():
            return 0
    _report(found, arguments, collection)
    return 0


def _refuse_what_cannot_be_together(arguments: argparse.Namespace) -> None:
    if arguments.released and not arguments.recipe:
        raise ValueError("--released needs --recipe: say which benchmark the checkpoint was trained on")
    if arguments.released and arguments.model:
        raise ValueError("--released and --model are both given; measure one model at a time")
    for name in ("mode", "clip", "set"):
        if getattr(arguments, name) and not arguments.released:
            raise ValueError(f"--{name} is for a released checkpoint; give one with --released FILE")
    if arguments.markdown and not Path(arguments.markdown).parent.is_dir():
        raise FileNotFoundError(f"{arguments.markdown}: there is no such folder to write the table in")


def _open(arguments: argparse.Namespace, recipe: "Recipe | None", device: "torch.device") -> "Retriever":
    """Load the model, and change in its scoring what the arguments change."""
    from dataclasses import replace

    from diffret_core.checkpoints import load_released_as
    from diffret_core.cli.inputs import open_model

    if recipe is not None and arguments.released:
        model = load_released_as(arguments.released, recipe.model, mode=arguments.mode or "reference").to(device)
    else:
        model = open_model(arguments, device=device)
    changes = {name: getattr(arguments, name) for name in ("num_candidates", "num_steps", "start_level", "num_draws")}
    scoring = replace(model.config.scoring, **{name: value for name, value in changes.items() if value is not None})
    model.config = replace(model.config, scoring=scoring)
    return model


def _feature_folders(arguments: argparse.Namespace, collection: "Collection") -> tuple[Path, Path]:
    """Where features of the split are kept, and where those of training videos: by the run that trained, if any."""
    from diffret_core.galleries import feature_folder

    of_run = Path(arguments.model or "") / "stage1" / "features"
    of_training = of_run if arguments.model and of_run.is_dir() else feature_folder(collection, "train")
    return feature_folder(collection, arguments.split), of_training


def _report(found: dict[str, Any], arguments: argparse.Namespace, collection: "Collection") -> None:
    """Print what was found, and write it to --markdown."""
    import json
    import sys

    from diffret_core.cli.tables import markdown_table, print_metrics
    from diffret_core.datasets import count_faults, counts_of
    from diffret_core.recipes.published import published_figures
    from diffret_core.tensor_files import write_text

    metrics, published = dict(found), published_figures(collection, arguments.split)
    protocol = metrics.pop("protocol")
    protocol |= {
        "collection": collection.name if arguments.data else "samples",
        "protocol": arguments.protocol,
        "test_list": arguments.test_list,
        "model": arguments.released or arguments.model or "the sample model",
        "published_counts": None,
        "differs_from_published": [],
    }
    if collection.published is not None:
        protocol["published_counts"] = {split: one._asdict() for split, one in collection.published._asdict().items()}
        protocol["differs_from_published"] = count_faults(counts_of(collection), collection.published)
    if arguments.markdown:
        write_text(arguments.markdown, markdown_table(metrics, published, protocol))
        print(f"wrote {arguments.markdown}", file=sys.stderr)
    if arguments.json:
        print(json.dumps({**metrics, "protocol": protocol, "published": published}, indent=2))
        return
    print(f"{arguments.split} split: {protocol['num_texts']} texts, {protocol['num_videos']} videos")
    print_metrics(metrics)
