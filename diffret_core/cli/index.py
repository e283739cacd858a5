"""`diffret index FOLDER --out INDEX`: make one's own videos searchable, and keep them so."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from diffret_core.cli import arguments as shared

if TYPE_CHECKING:
    from diffret_core.index import IndexReport, ModelName

HELP = (
    "Index a folder of videos, to be searched by `diffret search --index`. Run it again after changes, or after an "
    "interruption: only what is new is read."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("folder", help="the videos: mp4, mov, mkv, avi, webm and gif, also in folders below it")
    parser.add_argument("--out", required=True, metavar="INDEX", help="folder of the index; made if missing")
    shared.add_index_model(parser)
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="threads that decode (default: one a processor; 0: decode and encode in turns)",
    )
    parser.add_argument(
        "--prune", action="store_true", help="take videos out of the index whose files are gone (else they are marked)"
    )
    shared.add_json(parser)
    shared.add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Index the folder, and print what was done and what was refused."""
    from diffret_core.cli.progress import Bars
    from diffret_core.index import Progress, build_index, load_model, model_name
    from diffret_core.retriever import choose_device

    device = choose_device(arguments.device)
    name = model_name(arguments.model, arguments.pretrained)
    model = load_model(name, device=device)
    try:
        with Bars() as bars:

            def show(done: Progress) -> None:
                note = f"{done.num_files} of {done.total_files} videos"
                bars("indexing, in MB", -(-done.num_bytes // 10**6), -(-done.total_bytes // 10**6), note=note)

            report = build_index(
                arguments.folder,
                arguments.out,
                model,
                name,
                num_workers=arguments.workers,
                prune=arguments.prune,
                listen=show,
            )
    except KeyboardInterrupt:
        print("\nwhat is encoded is kept: the same command goes on from here", file=sys.stderr)
        raise
    if arguments.json:
        refused = [{"video": one.path, "reason": one.reason} for one in report.refused]
        print(json.dumps({**report._asdict(), "model": str(name), "refused": refused}, indent=2))
    else:
        _print(report, name, arguments.out)
    return 0


def _print(report: "IndexReport", name: "ModelName", out: str) -> None:
    from diffret_core.index import shown_path

    missing = f", {report.num_missing} of them missing (kept; --prune drops them)" if report.num_missing else ""
    print(f"{out}: {report.num_videos} videos in {report.num_segments} segments{missing}; encoded by {name}")
    dropped = f", {report.num_dropped} dropped" if report.num_dropped else ""
    print(
        f"{report.num_encoded} encoded, {report.num_recognised} known by their content, {report.num_unchanged} "
        f"unchanged{dropped}; {report.seconds:.1f} s, waiting for decoding {report.waiting_share:.0%} of them"
    )
    if report.refused:
        print(f"\n{len(report.refused)} refused:")
        width = min(40, max(len(shown_path(one.path)) for one in report.refused))
        for one in report.refused:
            print(f"  {shown_path(one.path):{width}}  {shown_path(one.reason)}")
