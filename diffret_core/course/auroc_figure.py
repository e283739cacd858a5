"""How well each score tells each kind of unmatched query from the matched ones: dots with intervals, panel by panel."""

import plotly.graph_objects as go

from diffret_core.course.layout import AXIS, as_plain_text, base_layout
from diffret_core.course.style import COMBINED, FAINT, GENERATED, INK, QUIET, SIMILARITY
from diffret_core.off_the_map import SIMILARITY_SCORES, WORD_PAIR_SCORES
from diffret_core.studies.setting import TEST
from diffret_core.studies.table import StudyTable

_COIN = 0.5
_GAP = 0.012


def auroc_figure(table: StudyTable, direction: str, *, title: str) -> go.Figure:
    """Draw the AUROC of every score on test, a panel for each kind and one for their mean.

    Args:
        table: Of the study of unmatched queries; means over its seeds are drawn.
        direction: Which side asks.
        title: What is drawn.
    """
    own = [row for row in table.rows if row["list"] == TEST and row["direction"] == direction]
    left = min(0.42, *(row["auroc_low"] - 0.02 for row in own))
    kinds, scores = (list(dict.fromkeys(row[name] for row in own)) for name in ("kind", "method"))
    figure = go.Figure(layout=base_layout(f"<b>{as_plain_text(title)}</b>", height=174 + 26 * len(scores)))
    figure.update_layout(
        margin={"l": 10 + 7 * max(map(len, scores)), "r": 12, "t": 108, "b": 46},
        yaxis=AXIS | {"tickvals": list(range(len(scores))), "ticktext": scores, "range": [len(scores) - 0.4, -0.6]},
    )
    width = 1 / len(kinds)
    for panel, kind in enumerate(kinds):
        end = "" if panel == 0 else str(panel + 1)
        domain = [panel * width + _GAP, (panel + 1) * width - _GAP]
        ticks = {"tickvals": [_COIN, 1], "ticktext": ["0.5", "1"], "showgrid": True, "gridcolor": FAINT}
        figure.layout[f"xaxis{end}"] = AXIS | ticks | {"range": [left, 1.04], "domain": domain, "anchor": "y"}
        of = {"list": TEST, "direction": direction, "kind": kind}
        for row, score in enumerate(scores):
            _add_dot(figure, table, {**of, "method": score}, row, end)
        note = {"text": f"<b>{_in_two_lines(kind)}</b>", "x": domain[0], "y": 1.02, "xanchor": "left"}
        figure.add_annotation(
            note | {"yanchor": "bottom", "xref": "paper", "yref": "paper", "showarrow": False, "align": "left"}
        )
        figure.add_shape(
            {"type": "line", "xref": f"x{end}", "yref": "paper", "x0": _COIN, "x1": _COIN, "y0": 0, "y1": 1}
            | {"line": {"color": QUIET, "width": 2, "dash": "dash"}, "layer": "below"}
        )
    return figure


def _add_dot(figure: go.Figure, table: StudyTable, of: dict[str, str], row: int, end: str) -> None:
    value, low, high = (table.mean(name, **of) for name in ("auroc", "auroc_low", "auroc_high"))
    colour, symbol = _mark(of["method"])
    figure.add_scatter(
        x=[low, high], y=[row, row], xaxis=f"x{end}", mode="lines", line={"color": colour, "width": 3}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=[value],
        y=[row],
        xaxis=f"x{end}",
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 9, "line": {"color": INK, "width": 1}},
        hovertemplate=f"{of['method']}, {of['kind']}<br>{value:.3f} ({low:.3f} to {high:.3f})<extra></extra>",
    )


def _mark(score: str) -> tuple[str, str]:
    """Give the colour and the symbol of a score: by what it reads."""
    if score in SIMILARITY_SCORES:
        return SIMILARITY, "circle"
    return (COMBINED, "square") if score in WORD_PAIR_SCORES else (GENERATED, "diamond")


def _in_two_lines(kind: str) -> str:
    return "<br>".join(as_plain_text(kind).split(" ", 1))
