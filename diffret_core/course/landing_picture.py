"""Where a query lands among the scores of matched and of unmatched ones, as SVG and in words."""

from collections.abc import Mapping
from html import escape

import torch
from jaxtyping import Float
from torch import Tensor

from diffret_core.course.matched_figure import Scored
from diffret_core.course.style import COMBINED, FONT, GENERATED, INK, PAPER
from diffret_core.detection import RECALL, threshold_at_recall
from diffret_core.indicator import Indicator

Number = float | int
WIDTH, _ROW, _MIDDLE, _TALL = 640, 132, 74, 44
_LEFT, _RIGHT = 20, 620
_NUM_BINS = 40


def landing_picture(
    scores: Mapping[str, Scored], found: Mapping[str, float], indicator: Indicator | None = None
) -> str:
    """Draw a row for each score: matched queries upwards, unmatched ones downwards, the threshold, and the query.

    Args:
        scores: Of the queries to compare with, by the scores' names.
        found: The same scores of the query.
        indicator: What `diffret search` goes by; its threshold counts for its score. For other scores it is the one
            that lets 95 % of the matched queries pass.
    """
    rows = [
        _row(name, scored, found[name], _threshold(name, scored, indicator)[0], _ROW * row)
        for row, (name, scored) in enumerate(scores.items())
    ]
    words = "; ".join(landing_words(scores, found, indicator))
    return (
        f'<svg role="img" aria-label="{escape(words, quote=True)}" viewBox="0 0 {WIDTH} {_ROW * len(rows)}" '
        f'width="{WIDTH}" style="display:block; max-width:100%; height:auto; background:{PAPER}; font-size:12px; '
        f'font-family:{FONT}">{"".join(rows)}</svg>'
    )


def landing_words(
    scores: Mapping[str, Scored], found: Mapping[str, float], indicator: Indicator | None = None
) -> list[str]:
    """Say how many queries lie below this one, score by score, and on which side of whose threshold it lies."""
    lines = []
    for name, scored in scores.items():
        below = [100 * float((one < found[name]).float().mean()) for one in (scored.matched, _joined(scored.unmatched))]
        threshold, whose = _threshold(name, scored, indicator)
        side = "above" if found[name] > threshold else "not above"
        lines.append(
            f"{name} {found[name]:.3f}: higher than {below[0]:.0f} % of the matched queries and {below[1]:.0f} % of "
            f"the unmatched ones drawn here; {side} {threshold:.3f}, {whose}"
        )
    return lines


def _threshold(name: str, scored: Scored, indicator: Indicator | None) -> tuple[float, str]:
    """Give the threshold of a score, and say whose it is."""
    if indicator is not None and name == indicator.score:
        return indicator.threshold, "the threshold of diffret search, which comes from validation"
    share = f"{100 * RECALL:.0f} %"
    return threshold_at_recall(scored.matched), f"which lets {share} of these matched queries pass"


def _row(name: str, scored: Scored, own: float, limit: float, top: int) -> str:
    unmatched = _joined(scored.unmatched)
    everything = torch.cat([scored.matched, unmatched, torch.tensor([own, limit])])
    low, high = float(everything.min()), float(everything.max())
    edges = torch.linspace(low, high, _NUM_BINS + 1)
    middle = top + _MIDDLE

    def across(value: Number) -> Number:
        return _LEFT + (value - low) / ((high - low) or 1) * (_RIGHT - _LEFT)

    threshold = across(limit)
    place = across(own)
    anchor = "end" if place > WIDTH / 2 else "start"
    return "".join(
        [
            _text(_LEFT, top + 16, name, bold=True),
            _bars(scored.matched, edges, middle, COMBINED, up=True),
            _bars(unmatched, edges, middle, GENERATED, up=False),
            _line(_LEFT, middle, _RIGHT, middle, width=1),
            _line(threshold, middle - _TALL, threshold, middle + _TALL, width=1, dash="5 3"),
            _line(place, middle - _TALL - 8, place, middle + _TALL, width=3),
            _text(place + (-6 if anchor == "end" else 6), top + 30, "your sentence", anchor=anchor, bold=True),
        ]
    )


def _bars(values: Float[Tensor, " Q"], edges: Float[Tensor, " E"], middle: int, colour: str, *, up: bool) -> str:
    counts = torch.bucketize(values.contiguous(), edges[1:-1]).bincount(minlength=_NUM_BINS)
    heights = (_TALL * counts / counts.max()).tolist()
    step = (_RIGHT - _LEFT) / _NUM_BINS
    return "".join(
        f'<rect x="{_LEFT + place * step:.1f}" y="{middle - height if up else middle:.1f}" width="{step - 1:.1f}" '
        f'height="{height:.1f}" fill="{colour}"/>'
        for place, height in enumerate(heights)
        if height
    )


def _line(x: Number, y: Number, x_2: Number, y_2: Number, *, width: int, dash: str = "") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{x_2:.1f}" y2="{y_2:.1f}"'
    return f'<line {ends} stroke="{INK}" stroke-width="{width}"{dashes}/>'


def _text(x: Number, y: Number, words: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}"{weight}>{escape(words)}</text>'


def _joined(unmatched: Mapping[str, Float[Tensor, " U"]]) -> Float[Tensor, " Q"]:
    return torch.cat(list(unmatched.values()))
