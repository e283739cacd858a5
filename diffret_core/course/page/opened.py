"""What the page opens, in the kernel that is started for it."""

import contextlib
import io
import warnings
from html import escape

import ipywidgets as widgets

from diffret_core.course.demo import RetrievalDemo
from diffret_core.course.live import small
from diffret_core.course.setup import open_samples
from diffret_core.index import open_index


def open_page(index: str | None) -> widgets.VBox:
    """Open the demo; what cannot be opened is said in one line.

    Args:
        index: Folder of an index of one's own videos; None for the samples.

    Returns:
        The demo, below what is to be known of it.
    """
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", UserWarning)
        try:
            parts = [_open(index).whole]
        except (ValueError, OSError) as error:
            parts = [widgets.HTML(f'<p role="alert">{escape(" ".join(str(error).split()))}</p>')]
    notes = [widgets.HTML(small(escape(str(one.message)))) for one in warned if one.category is UserWarning]
    return widgets.VBox([*notes, *parts])


def _open(index: str | None) -> RetrievalDemo:
    if index is not None:
        return RetrievalDemo.of_index(open_index(index))
    with contextlib.redirect_stdout(io.StringIO()):  # its report is for a notebook
        samples = open_samples()
    return RetrievalDemo(samples)
