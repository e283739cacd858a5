"""`diffret`: find the command, run it, and answer a user's mistake with one line."""

import argparse
import importlib
import os
import sys
import warnings

COMMANDS = ("search", "index", "demo", "evaluate", "features", "train", "doctor", "samples", "parity", "bench", "study")


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; those of the process if None.

    Returns:
        The exit status: 0 when all went well, 1 with one line on stderr for a mistake that can be mended, 130 after
        Ctrl-C. With DIFFRET_DEBUG=1 a mistake shows its traceback.
    """
    arguments = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: _warn(f"diffret {arguments.command}: {message}")
        return _run(arguments)


def _warn(line: str) -> None:
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)  # above a progress bar, not in it


def _run(arguments: argparse.Namespace) -> int:
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        print(f"\ndiffret {arguments.command}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError) as error:
        if os.environ.get("DIFFRET_DEBUG"):
            raise
        print(f"diffret {arguments.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="diffret", description="Find videos from text by generating the ranking.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = importlib.import_module(f"diffret_core.cli.{name}")
        one = commands.add_parser(name, help=command.HELP, description=command.HELP)
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    return parser
