"""What the page opens, in the kernel that is started for it."""

import contextlib
import io
import warnings
from html import escape
from pathlib import Path

import ipywidgets as widgets

from diffret_core.course.demo import RetrievalDemo
from diffret_core.course.demo.own_videos import IndexCollection
from diffret_core.course.live import small
from diffret_core.course.setup import open_samples
from diffret_core.index import model_name, read_description
from diffret_core.retriever import choose_device


def open_page(
    index: str | None, *, model: str | None = None, pretrained: str | None = None, device: str = "auto"
) -> widgets.VBox:
    """Open the demo; what cannot be opened is said in one line.

    Args:
        index: Folder of an index of one's own videos; None for the samples.
        model: Where the index's model is now: folder, file, or open_clip's name; None for where it was.
        pretrained: Weights of a plain open_clip model; None for those of the index.
        device: Where an index's model computes; see `choose_device`.

    Returns:
        The demo, below what is to be known of it.
    """
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", UserWarning)
        try:
            demo = _over_samples() if index is None else _over_index(index, model, pretrained, device)
            parts = [demo.whole]
        except (ValueError, OSError) as error:
            parts = [widgets.HTML(f'<p role="alert">{escape(" ".join(str(error).split()))}</p>')]
    notes = [widgets.HTML(small(escape(str(one.message)))) for one in warned if one.category is UserWarning]
    return widgets.VBox([*notes, *parts])


def _over_index(index: str, model: str | None, pretrained: str | None, device: str) -> RetrievalDemo:
    made_with = read_description(Path(index)).model
    name = made_with
    if model is not None or pretrained is not None:
        given = made_with.name if model is None else model
        name = model_name(given, pretrained or made_with.pretrained or "openai")
    return RetrievalDemo(IndexCollection.opened(index, name=name, device=choose_device(device)), examples=())


def _over_samples() -> RetrievalDemo:
    with contextlib.redirect_stdout(io.StringIO()):  # its report is for a notebook
        samples = open_samples()
    return RetrievalDemo(samples)
