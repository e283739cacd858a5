"""Arguments that several commands share, so that they mean the same everywhere."""

import argparse


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add --model and --device."""
    parser.add_argument(
        "--model",
        metavar="PATH",
        help="a trained model's folder, or a released checkpoint file (the sample model if not given)",
    )
    add_device(parser)


def add_index_model(parser: argparse.ArgumentParser) -> None:
    """Add --model and --pretrained of an index."""
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="a trained model's folder, a released checkpoint file, or a plain open_clip model such as "
        "ViT-B-32-quickgelu (the small shipped one if not given, which only knows drawn scenes)",
    )
    parser.add_argument(
        "--pretrained",
        default="openai",
        metavar="TAG",
        help="weights of a plain open_clip model: a tag, which is downloaded once, or a file (default: openai)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument("--device", default="auto", help="auto (cuda, else cpu), cpu, cuda or mps")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --collection, --data and --videos."""
    parser.add_argument(
        "--collection",
        help="how the data folder is laid out: msrvtt (default, or the recipe's), lsmdc, msvd, activitynet or didemo",
    )
    parser.add_argument("--protocol", help="which published split of MSR-VTT: 9k, 7k or full")
    parser.add_argument("--data", metavar="FOLDER", help="annotation files (the sample collection if not given)")
    parser.add_argument("--videos", metavar="FOLDER", help="video files, if not in the data folder's 'videos'")


def add_recipe(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add --recipe, --any-size, and what can be chosen in a recipe."""
    names = "tiny, msrvtt, lsmdc, msvd, activitynet or didemo"
    parser.add_argument("--recipe", required=required, metavar="NAME", help=names)
    parser.add_argument("--clip", metavar="NAME", help="ViT-B-32-quickgelu (default), -B-16- or -L-14-quickgelu")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting of the recipe, such as contrastive.clip_learning_rate=3e-6; can be given several times",
    )
    parser.add_argument(
        "--any-size", action="store_true", help="the data may have other numbers of videos than the published benchmark"
    )


def add_allow_missing(parser: argparse.ArgumentParser) -> None:
    """Add --allow-missing."""
    parser.add_argument(
        "--allow-missing",
        type=int,
        default=0,
        metavar="N",
        help="leave out up to N missing videos: the numbers then compare with none",
    )


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Add --precision."""
    parser.add_argument(
        "--precision",
        default="float32",
        choices=("float32", "bfloat16"),
        help="of the products inside the video encoder; features of each are kept apart (default: float32)",
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add --seed."""
    parser.add_argument("--seed", type=int, default=0, help="seed of every random choice (default: 0)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout, nothing else")
