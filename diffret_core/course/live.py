"""Showing widgets: alive where a kernel listens, as words where none does."""

import ipywidgets as widgets
from IPython.display import display

from diffret_core.course.environment import on_colab

WIDGET = "application/vnd.jupyter.widget-view+json"


def show_live(widget: widgets.Widget, words: str) -> None:
    """Show a widget, and what stands in its place in a notebook that was only opened.

    Args:
        widget: Made of core widgets, as they are in ipywidgets 7.7 and 8.
        words: HTML that says as much. JupyterLab removes scripts and SVG from it.
    """
    view = {WIDGET: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}
    display(view if on_colab() else view | {"text/html": words}, raw=True)


def small(words: str) -> str:
    """HTML in the size of what stands below a figure."""
    return f'<span style="font-size:13px">{words}</span>'
