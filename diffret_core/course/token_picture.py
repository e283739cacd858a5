"""Tokens of texts as boxes: the piece, its number, and whether it is real."""

from collections.abc import Sequence
from html import escape

from jaxtyping import Bool, Int
from torch import Tensor

from diffret_core.course.cells import rows_of_cells
from diffret_core.course.style import FAINT, INK, PAPER, QUIET, SIMILARITY

WORD_END = "</w>"
_BOX = "text-align:center; padding:2px 3px; min-width:28px; font-size:12px"


def tokens_html(pieces: Sequence[Sequence[str]], word_ids: Int[Tensor, "T W"], word_mask: Bool[Tensor, "T W"]) -> str:
    """Draw every token of every text as a box, one text a row and one place a column.

    Args:
        pieces: The word pieces of each text, without start and end.
        word_ids: Ids of all tokens.
        word_mask: True for real tokens.

    Returns:
        HTML that needs nothing else.
    """
    rows = []
    for own, ids, mask in zip(pieces, word_ids.tolist(), word_mask.tolist(), strict=True):
        kept = list(own)[: sum(mask) - 2]
        names = ["start", *kept, "end"] + ["pad"] * (len(ids) - len(kept) - 2)
        kinds = ["mark", *["piece"] * len(kept), "mark"] + ["pad"] * (len(ids) - len(kept) - 2)
        rows.append([_box(*one) for one in zip(names, ids, kinds, strict=True)])
    table = rows_of_cells(rows, style="padding:2px 2px 8px 2px")
    return f'<div style="padding:8px; background:{PAPER}; color:{INK}">{table}</div>'


def _box(name: str, number: int, kind: str) -> str:
    border, colour = {
        "mark": (f"2px solid {SIMILARITY}", INK),
        "piece": (f"1px solid {QUIET}", INK),
        "pad": (f"1px dashed {FAINT}", QUIET),
    }[kind]
    ends_word = kind == "piece" and name.endswith(WORD_END)
    shown = escape(name.removesuffix(WORD_END)) + ("" if ends_word or kind != "piece" else "-")
    return (
        f'<div style="{_BOX}; border:{border}; color:{colour}"><div><b>{shown}</b></div>'
        f'<div style="font-size:10px">{number}</div></div>'
    )
