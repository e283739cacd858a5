"""The notebook behind the page: made when it is served, never shown as code."""

from pathlib import Path

import nbformat

TITLE = "DiffusionRet: search, and watch the answer come out of noise"
STEPS = (
    "starting Python …",
    "loading the libraries …",
    "opening the videos and the model … (the very first time half a minute longer)",
    "drawing the page …",
)
"""What the page says while it waits: before the first cell has run, and after each of them."""


def page_notebook(
    index: Path | None, *, model: str | None = None, pretrained: str | None = None, device: str = "auto"
) -> nbformat.NotebookNode:
    """Make the notebook.

    Args:
        index: Folder of an index of one's own videos; None for the samples.
        model: As in `open_page`; no relative path.
        pretrained: As in `open_page`; no relative path.
        device: As in `open_page`.

    Returns:
        A heading, the imports, and the demo.
    """
    folder = None if index is None else str(index.resolve())
    options = "" if index is None else f", model={model!r}, pretrained={pretrained!r}, device={device!r}"
    cells = [
        nbformat.v4.new_markdown_cell(f"# {TITLE}"),
        nbformat.v4.new_code_cell("from diffret_core.course.page.opened import open_page"),
        nbformat.v4.new_code_cell(f"open_page({folder!r}{options})"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "title": TITLE, "steps": list(STEPS)})
