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
    index = None if arguments.index is None else Path(arguments.index).expanduser()  # a shell leaves INDEX=~ as it is
    if index is not None and not (index / "index.json").is_file():  # anything else that is wrong is said on the page
        raise FileNotFoundError(f"{index}: no index is there; make one with: diffret index FOLDER --out {index}")
    try:
        from diffret_core.course.page.notebook import page_notebook
        from diffret_core.course.page.server import serve

        serve(page_notebook(index), port=arguments.port, open_browser=not arguments.no_browser)
    except ModuleNotFoundError as error:
        raise ValueError(f"the page needs {error.name}: run pip install -e '.[course]' in the project") from None
    return 0
