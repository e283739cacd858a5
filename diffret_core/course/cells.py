"""Rows of cells, side by side also where a page drops all styles, as GitHub does with notebooks."""

from collections.abc import Sequence

_ALONE = "border:0; background:none"
"""What JupyterLab and the static pages give to tables: lines and stripes."""


def rows_of_cells(rows: Sequence[Sequence[str]], *, style: str = "", cell_width: int | None = None) -> str:
    """Lay out pieces of HTML in rows, as a table without lines.

    Args:
        rows: What stands in the cells of each row.
        style: CSS of every cell, such as "padding:2px".
        cell_width: Width of a cell in pixels; all are equally wide, narrower on a narrow page. Without it columns are
            as wide as their content, and a narrow page scrolls.

    Returns:
        HTML that needs nothing else.
    """
    layout = "width:auto"
    if cell_width is not None:
        layout = f"table-layout:fixed; width:100%; max-width:{cell_width * max(map(len, rows))}px"
    cell = f'<td valign="top" align="left" style="{_ALONE}; text-align:left; vertical-align:top; {style}">'
    lines = "".join(f'<tr style="{_ALONE}">{"".join(f"{cell}{one}</td>" for one in row)}</tr>' for row in rows)
    table = f'<table style="{_ALONE}; border-collapse:collapse; margin:0; {layout}">{lines}</table>'
    return f'<div style="overflow-x:auto">{table}</div>'
