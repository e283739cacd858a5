"""`diffret parity FOLDER`: is our model the released one?"""

import argparse

HELP = "Recompute the outputs of the released model that a folder holds, and print the largest error of each."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "folder", help="holds config.json, inputs.safetensors, outputs.safetensors and checkpoint.bin of one model"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print one line per output; status 0 only if every one is within tolerance."""
    from diffret_core.parity import compare_with_released

    comparisons = compare_with_released(arguments.folder)
    print(f"{'output':24} {'largest error':>13} {'tolerance':>10}")
    for one in comparisons:
        verdict = "" if one.within else "  DIFFERS"
        print(f"{one.name:24} {one.largest_error:13.2e} {one.tolerance:10.1e}{verdict}")
    num_within = sum(one.within for one in comparisons)
    print(f"{num_within} of {len(comparisons)} outputs reproduced")
    return 0 if num_within == len(comparisons) > 0 else 1
