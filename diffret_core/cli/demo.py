"""`diffret demo`: the live demo as a page of its own, in a browser on this computer."""

import argparse
from pathlib import Path

from diffret_core.cli import arguments as shared

HELP = "Open the live demo in a browser: over the samples, or over your own videos (--index)."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "--index", metavar="FOLDER", help="search your own videos: an index that `diffret index` has made"
    )
    parser.add_argument("--model", metavar="NAME", help="where the index's model is now, if not where it was")
    parser.add_argument(
        "--pretrained", metavar="TAG", help="weights of a plain open_clip model: a tag or a file (default: the index's)"
    )
    shared.add_device(parser)
    parser.add_argument(
        "--port", type=int, metavar="N", help="port of this computer (default: a free one from 8866 on)"
    )
    parser.add_argument("--no-browser", action="store_true", help="say where the page is, and open no browser")


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    index = None if arguments.index is None else Path(arguments.index).expanduser()  # a shell leaves INDEX=~ as it is
    if index is not None and not (index / "index.json").is_file():  # anything else that is wrong is said on the page
        raise FileNotFoundError(f"{index}: no index is there; make one with: diffret index FOLDER --out {index}")
    if index is None:
        _refuse_without_index(arguments)
    if arguments.port is not None and arguments.port < 1:
        raise ValueError(f"--port is {arguments.port}; it must be at least 1")
    try:
        from diffret_core.course.page.notebook import page_notebook
        from diffret_core.course.page.server import serve

        notebook = page_notebook(
            index,
            model=_absolute(arguments.model),
            pretrained=_absolute(arguments.pretrained),
            device=arguments.device,
        )
        serve(notebook, port=arguments.port, open_browser=not arguments.no_browser)
    except ModuleNotFoundError as error:
        raise ValueError(f"the page needs {error.name}: run pip install -e '.[course]' in the project") from None
    return 0


def _refuse_without_index(arguments: argparse.Namespace) -> None:
    for name, unset in (("model", None), ("pretrained", None), ("device", "auto")):
        if getattr(arguments, name) != unset:
            raise ValueError(f"--{name} is for a page over your own videos; give their index with --index")


def _absolute(name: str | None) -> str | None:
    """Write a path so that the page's process finds it; a name that is no path stays."""
    return str(Path(name).resolve()) if name is not None and Path(name).exists() else name
