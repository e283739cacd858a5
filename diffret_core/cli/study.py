"""`diffret study NAME`: a declared grid of runs, cell by cell, and its table."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffret_core.cli import arguments as shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from diffret_core.datasets import Collection
    from diffret_core.studies import Study
    from diffret_core.studies.setting import Setting

HELP = (
    "Compute a declared study, arm by arm and seed by seed; the same command resumes it. "
    "'report' writes the tables of docs/results.md from the studies that come with the samples."
)
REPORT = "report"
TEST_LISTS = {"shifted": "MSRVTT_shifted_test.csv", "unseen_pairs": "MSRVTT_unseen_pairs_test.csv"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="training, sampling, scoring, first_stage or ood; or report"
    )
    parser.add_argument("--list", action="store_true", help="print the studies, or the arms of one")
    parser.add_argument("--arms", metavar="A,B", help="these arms only")
    parser.add_argument("--seeds", metavar="1,2", help="these seeds only")
    parser.add_argument(
        "--miniature", action="store_true", help="all arms on a few test videos, in seconds; the figures mean nothing"
    )
    parser.add_argument("--folder", metavar="FOLDER", help="where cells are kept (default: runs/studies)")
    parser.add_argument("--stage1", metavar="FOLDER", help="a run whose stage 1 all cells take (default: the shipped)")
    parser.add_argument(
        "--shipped", action="store_true", help="measure the shipped model, not those that the study of training makes"
    )
    parser.add_argument(
        "--extend",
        action="store_true",
        help="take the cells of the table that comes with the samples as they are, and add seeds or arms to them",
    )
    parser.add_argument("--ship", action="store_true", help="put the table into data_samples/studies")
    shared.add_recipe(parser, required=False)
    shared.add_device(parser)
    shared.add_data(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compute a study, with a bar that shows the time left, and say where its table is; or list, or report."""
    from diffret_core.studies import STUDIES, study_named

    if arguments.name == REPORT:
        return _report()
    if arguments.list:
        return _print_list([study_named(arguments.name)] if arguments.name else list(STUDIES.values()))
    if not arguments.name:
        raise ValueError(f"name a study, of {', '.join(STUDIES)}; --list says what they are")
    return _study(arguments, study_named(arguments.name))


def _report() -> int:
    from diffret_core.locations import ROOT, sample_folder
    from diffret_core.studies.report import write_report
    from diffret_core.studies.run import SHIPPED

    page = ROOT / "docs" / "results.md"
    print(f"{page}: {', '.join(write_report(page, sample_folder() / SHIPPED))}")
    return 0


def _print_list(studies: "list[Study]") -> int:
    for study in studies:
        print(f"{study.name}: {study.what} {len(study.arms)} arms, seeds {', '.join(map(str, study.seeds))}")
        for arm in study.arms:
            print(f"  {arm.name:16} {arm.factor}{': ' if arm.factor else ''}{arm.level}  {' '.join(arm.settings)}")
    return 0


def _study(arguments: argparse.Namespace, study: "Study") -> int:
    from diffret_core.cli.progress import Bars
    from diffret_core.locations import sample_folder
    from diffret_core.studies.indicator import ship_indicator
    from diffret_core.studies.miniature import SEEDS
    from diffret_core.studies.run import SHIPPED, run_study, ship
    from diffret_core.studies.takeover import take_over

    _check(arguments, study)
    arms = [study.arm(name) for name in arguments.arms.split(",")] if arguments.arms else study.arms
    seeds = _seeds(arguments.seeds) if arguments.seeds else SEEDS if arguments.miniature else study.seeds
    try:
        with Bars() as bars:
            setting = _setting(arguments, bars)
            if arguments.extend:
                take_over(study, sample_folder() / SHIPPED / study.name, setting)
            folder = run_study(study, setting, arms=arms, seeds=seeds)
    except KeyboardInterrupt:
        print("\nnothing is lost: the same command goes on from here", file=sys.stderr)
        raise
    print(f"{folder}: table.csv, ranks.safetensors, provenance.json")
    if arguments.ship:
        print(f"shipped: {ship(folder, sample_folder())}")
    if arguments.ship and arguments.shipped and study.name == "ood":
        print(f"shipped: {ship_indicator(folder, sample_folder(), setting.collection)}")
    return 0


def _check(arguments: argparse.Namespace, study: "Study") -> None:
    """Refuse options that do not go together."""
    if arguments.ship and arguments.miniature:
        raise ValueError("--ship goes without --miniature: those figures mean nothing")
    if arguments.ship and arguments.data:
        raise ValueError("--ship puts a study of the samples beside them; leave it out with --data")
    if arguments.extend and (arguments.miniature or arguments.data or arguments.stage1):
        raise ValueError("--extend adds to the table of the samples; leave out --miniature, --data and --stage1")
    if arguments.shipped and study.name in ("training", "first_stage"):
        raise ValueError(f"study {study.name} makes its own models; leave out --shipped")
    if study.name == "first_stage" and (arguments.recipe or "tiny") != "tiny":
        raise ValueError("study first_stage is about the samples, whose videos are divided between the stages")
    if study.name == "first_stage" and arguments.stage1:
        raise ValueError("study first_stage trains its own stage 1; leave out --stage1")
    if arguments.shipped and (arguments.stage1 or arguments.data):
        raise ValueError("--shipped measures the model of the samples; leave out --stage1 and --data")


def _seeds(text: str) -> list[int]:
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError:
        raise ValueError(f"--seeds is {text!r}; give whole numbers such as 1,2,3") from None


def _setting(arguments: argparse.Namespace, listen: "Callable[..., None]") -> "Setting":
    """Open the data: the samples with all their test lists, or a benchmark with its own."""
    from diffret_core.cli.inputs import chosen_recipe, count_allowance, open_collection
    from diffret_core.retriever import choose_device
    from diffret_core.studies.miniature import miniature_collection, miniature_recipe
    from diffret_core.studies.setting import Setting, shipped_first_stage
    from diffret_core.training.run_data import like_the_test

    arguments.recipe = arguments.recipe or "tiny"
    recipe = chosen_recipe(arguments)
    if arguments.stage1 is None and (recipe.name != "tiny" or arguments.data):
        raise ValueError("the shipped stage 1 is that of the samples; give your own run with --stage1 FOLDER")
    options: dict[str, Any] = {"hold_out_validation": True, "count_allowance": count_allowance(arguments, recipe)}
    collections: dict[str, Collection] = {"test": open_collection(arguments, **options)}
    if not arguments.data:
        collections |= {name: open_collection(arguments, **options, test_list=one) for name, one in TEST_LISTS.items()}
    if arguments.miniature:
        collections = {name: miniature_collection(collection) for name, collection in collections.items()}
    training = collections["test"]
    folder = Path(arguments.folder or ("runs/studies-miniature" if arguments.miniature else "runs/studies"))
    return Setting(
        training,
        {"validation": (like_the_test(training), "validation"), **{one: (c, "test") for one, c in collections.items()}},
        Path(arguments.stage1) if arguments.stage1 else shipped_first_stage(folder),
        folder,
        recipe_of=lambda seed: chosen_recipe(arguments, seed=seed),
        **({"fitted": miniature_recipe} if arguments.miniature else {}),
        shipped=arguments.shipped,
        device=choose_device(arguments.device),
        listen=listen,
    )
