"""`diffret demo`: the live demo as a page of its own, in a browser on this computer."""

import argparse
from pathlib import Path

HELP = "Open the live demo in a browser: over the samples, or over your own videos (--index)."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "--index", metavar="FOLDER", help="search your own videos: an index that `diffret index` has made"
    )
    parser.add_argument(
        "--port", type=int, metavar="N", help="port of this computer (default: a free one from 8866 on)"
    )
    parser.add_argument("--no-browser", action="store_true", help="say where the page is, and open no browser")


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    index = None if arguments.index is None else Path(arguments.index)
    if index is not None:
        from diffret_core.index import read_description

        read_description(index)  # what is wrong is said here, and not on the page
    from diffret_core.course.page.server import serve

    serve(index, port=arguments.port, open_browser=not arguments.no_browser)
    return 0
