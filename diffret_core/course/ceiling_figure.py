"""What a re-ranker can get at most: the queries whose target is among the first N of the similarity."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import plotly.graph_objects as go
from jaxtyping import Int
from torch import Tensor

from diffret_core.course.intervals_figure import rows_axis
from diffret_core.course.layout import AXIS, axis_title, base_layout, slider
from diffret_core.course.style import COMBINED, FAINT, INK, SIMILARITY

_ROW, _AROUND = 44, 190  # pixels


class Reach(NamedTuple):
    """Percentages of the queries.

    Attributes:
        first: The similarity itself puts the target first.
        among: It is among the first N, but not first: a re-ranker of N candidates could put it there.
        beyond: It is not among the first N: no re-ranker of N candidates ever sees it.
    """

    first: float
    among: float
    beyond: float


_LOOKS: tuple[tuple[str, str, str, str], ...] = (
    ("first already", SIMILARITY, "", "white"),
    ("could be mended", COMBINED, "", INK),
    ("out of reach", FAINT, "x", INK),
)
"""Name, colour, pattern, and colour of the number."""


def reach(ranks: Int[Tensor, " R"], num_candidates: int) -> Reach:
    """Count what a re-ranker of N candidates can reach.

    Args:
        ranks: Rank of each query's target by the similarity, 1 = best.
        num_candidates: N.
    """
    first, within = (100 * float((ranks <= depth).double().mean()) for depth in (1, num_candidates))
    return Reach(first, within - first, 100 - within)


def ceiling_figure(ranks: Mapping[str, Int[Tensor, " R"]], sizes: Sequence[int], *, used: int) -> go.Figure:
    """Draw what can be reached, a bar for each list, under a slider over N.

    Args:
        ranks: Ranks by the similarity, by the name of the list and direction; the first on top.
        sizes: Numbers of candidates, in rising order.
        used: The one that is drawn first.
    """
    frames = [go.Frame(name=str(size), data=_bars(ranks, size)) for size in sizes]
    active = list(sizes).index(used)
    figure = go.Figure(list(frames[active].data), base_layout(_title(), height=_AROUND + _ROW * len(ranks)), frames)
    figure.update_layout(
        barmode="stack",
        bargap=0.35,
        margin={"l": 120, "r": 30, "t": 70, "b": 110},
        xaxis=AXIS | {"range": [0, 100], "title": axis_title("queries, in percent")},
        yaxis=rows_axis(list(ranks)),
        sliders=[
            slider([str(size) for size in sizes], "candidates N: ") | {"y": 0, "pad": {"t": 62}, "active": active}
        ],
    )
    return figure


def _title() -> str:
    legend = "&nbsp; &nbsp;".join(f'<span style="color:{colour}">■</span> {name}' for name, colour, *_ in _LOOKS)
    return f"<b>What is within reach of N candidates</b><br>{legend}"


def _bars(ranks: Mapping[str, Int[Tensor, " R"]], size: int) -> list[go.Bar]:
    found = [reach(one, size) for one in ranks.values()]
    return [
        go.Bar(
            x=[round(one[part], 2) for one in found],
            y=list(range(len(found))),
            orientation="h",
            marker={"color": colour, "pattern": {"shape": pattern, "fillmode": "overlay", "size": 7, "solidity": 0.15}},
            text=[f"{one[part]:.1f}" if one[part] >= 3 else "" for one in found],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": ink, "size": 12},
            hovertemplate=f"{name}: %{{x:.1f}} %<extra></extra>",
        )
        for part, (name, colour, pattern, ink) in enumerate(_LOOKS)
    ]
