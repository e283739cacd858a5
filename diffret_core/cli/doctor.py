"""`diffret doctor --recipe msrvtt --data A --videos V`: is all there, and what will it cost?"""

import argparse
from typing import TYPE_CHECKING

from diffret_core.cli import arguments as shared

if TYPE_CHECKING:
    from diffret_core.doctor import Report
    from diffret_core.doctor.estimates import Estimate
    from diffret_core.doctor.videos import VideoFindings

HELP = "Check the data of a recipe: counts, missing and damaged videos, lengths, and what its features will cost."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--recipe", required=True, help="tiny, msrvtt, lsmdc, msvd, activitynet or didemo")
    parser.add_argument("--clip", metavar="NAME", help="the recipe's CLIP, if not its own choice")
    parser.add_argument(
        "--data",
        "--annotations",
        dest="annotations",
        metavar="FOLDER",
        help="annotation files (for tiny: the sample collection)",
    )
    parser.add_argument("--videos", metavar="FOLDER", help="video files, if not in the annotation folder's 'videos'")
    parser.add_argument("--protocol", help="which published split of MSR-VTT: 9k, 7k or full")
    parser.add_argument("--quick", action="store_true", help="open 100 of the videos and look for no duplicates")
    shared.add_json(parser)
    shared.add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Examine, print the report, and return 0 if all is there, 1 otherwise."""
    from diffret_core.cli.progress import Bars
    from diffret_core.doctor import examine, is_healthy
    from diffret_core.recipes import recipe
    from diffret_core.retriever import choose_device

    with Bars() as bars:
        report = examine(
            recipe(arguments.recipe, clip=arguments.clip),
            annotations=arguments.annotations,
            videos_folder=arguments.videos,
            protocol=arguments.protocol,
            quick=arguments.quick,
            device=choose_device(arguments.device),
            listen=bars,
        )
    if arguments.json:
        import dataclasses
        import json

        print(json.dumps({**dataclasses.asdict(report), "is_healthy": is_healthy(report)}, indent=2))
    else:
        _print(report)
    return 0 if is_healthy(report) else 1


def _print(report: "Report") -> None:
    print(f"recipe {report.recipe}: annotations in {report.annotations}, videos in {report.videos_folder}")
    print(f"{'':10} {'videos':>7} {'expected':>8} {'captions':>8} {'expected':>8} {'missing':>7}")
    for name, split in report.splits.items():
        expected = [one if one is not None else "?" for one in (split.expected_videos, split.expected_captions)]
        print(
            f"{name:10} {split.num_videos:7} {expected[0]:>8} {split.num_captions:8} {expected[1]:>8} "
            f"{split.num_missing:7}"
        )
    if report.uncaptioned:
        print(f"{len(report.uncaptioned)} listed ids have no caption: they are in no split, and need no video")
    if report.videos is not None:
        _print_videos(report.videos)
    if report.estimate is not None:
        _print_estimate(report.estimate)
    for fault in report.faults:
        print(f"to mend: {fault}")
    print("all is there" if not report.faults else f"to mend: {len(report.faults)} in all")


def _print_videos(videos: "VideoFindings") -> None:
    there = videos.num_needed - len(videos.missing)
    print(
        f"videos: {there} of {videos.num_needed} there, {videos.num_bytes / 1e6:,.1f} MB; {videos.num_opened} opened, "
        f"{len(videos.unreadable)} unreadable, {len(videos.empty)} empty"
    )
    if videos.duplicates is None:
        print("duplicates: not looked for (--quick)")
    for group in videos.duplicates or ():
        print(f"the same bytes: {', '.join(group)}")
    if videos.seconds:
        shortest, longest = (choose(videos.seconds, key=videos.seconds.__getitem__) for choose in (min, max))
        hours = sum(videos.seconds.values()) / 3600
        print(
            f"lengths of {len(videos.seconds)} videos: {hours:.2f} hours together; shortest "
            f"{videos.seconds[shortest]:.1f} s ({shortest}), longest {videos.seconds[longest]:.1f} s ({longest})"
        )


def _print_estimate(estimate: "Estimate") -> None:
    print(
        f"features of all videos, estimated from {estimate.measured_on} of them: "
        f"{_duration(estimate.decoding_seconds)} to decode by one worker and, at the same time, "
        f"{_duration(estimate.encoding_seconds)} to encode on {estimate.device}; "
        f"{estimate.feature_bytes / 1e6:,.1f} MB of {estimate.free_bytes / 1e9:,.1f} GB free"
    )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
