"""The walk from noise to a ranking as a still picture, for papers and terminals."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffret_core.course.denoising import KEY, guesses, headline, leading, relative_heights
from diffret_core.course.style import FAINT, INK, PAPER, PLACES, QUIET
from diffret_core.search import Search

SNAPSHOTS = (0.0, 0.5, 0.9, 0.96, 1.0)
"""Parts of the walk after which a state is drawn: most happens at its end."""

HEIGHTS = (-0.05, 1.1)


def save_picture(found: Search, path: Path, *, captions: Mapping[str, str] | None = None) -> None:
    """Draw states and estimates at some noise levels side by side, and the estimates over all levels below them.

    Args:
        found: What a search gave.
        path: A file whose ending says which kind of picture, such as .png or .svg.
        captions: What the leading candidates are called, by id; the ids themselves where there is none.
    """
    with matplotlib.rc_context({"text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": QUIET, "font.size": 10}):
        figure = Figure(figsize=(10, 5.6), facecolor=PAPER, layout="constrained")
        figure.suptitle(
            f"{headline(found)}\n{KEY}",
            x=0.02,
            ha="left",
            fontsize=11,
            parse_math=False,
        )
        indices = snapshot_indices(len(found.levels))
        grid = figure.add_gridspec(2, len(indices), height_ratios=(1, 1.1))
        for place, index in enumerate(indices):
            _draw_bars(figure.add_subplot(grid[0, place]), found, index, is_first=place == 0)
        _draw_paths(figure.add_subplot(grid[1, :]), found, captions or {})
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else {})


def snapshot_indices(num_levels: int) -> list[int]:
    """Which visited levels are drawn: the first, the last and some between."""
    return sorted({round((num_levels - 1) * part) for part in SNAPSHOTS})


def _draw_bars(axes: Axes, found: Search, index: int, *, is_first: bool) -> None:
    state = relative_heights(found.states)[index].tolist()
    colours = [QUIET] * len(state)
    for place, column in zip(PLACES, leading(found), strict=False):
        colours[column] = place.colour
    axes.bar(range(1, len(state) + 1), state, color=colours)
    marks = relative_heights(guesses(found))[index].tolist()
    axes.plot(range(1, len(marks) + 1), marks, "D", color=PAPER, markeredgecolor=INK, markersize=3, markeredgewidth=0.8)
    axes.axhline(0, color=QUIET, linewidth=0.8)
    axes.set(ylim=HEIGHTS, xticks=[], title=_level_title(found, index))
    _quiet_frame(axes)
    if is_first:
        axes.set_yticks([0, 1], ["lowest", "highest"])
    else:
        axes.set_yticks([])


def _draw_paths(axes: Axes, found: Search, captions: Mapping[str, str]) -> None:
    styles = dict(zip(leading(found), PLACES, strict=False))
    heights = relative_heights(guesses(found))
    for column, video in enumerate(found.candidates):
        place, states = styles.get(column), heights[:, column].tolist()
        if place is None:
            axes.plot(found.levels, states, color=FAINT, linewidth=0.8, zorder=1)
        else:
            label = f"{place.label}: {captions.get(video, video)}".replace("$", r"\$")
            axes.plot(found.levels, states, color=place.colour, linestyle=place.linestyle, linewidth=2.2, label=label)
    axes.set(xlim=(found.levels[0], 0), ylim=HEIGHTS, xlabel="noise level $k$", title="diamonds over all levels")
    axes.set_yticks([0, 1], ["lowest", "highest"])
    handles, labels = axes.get_legend_handles_labels()
    in_order = sorted(zip(labels, handles, strict=True), key=lambda pair: pair[0])
    axes.legend([handle for _, handle in in_order], [label for label, _ in in_order], frameon=False, loc="lower right")
    axes.set_facecolor(PAPER)
    _quiet_frame(axes)


def _quiet_frame(axes: Axes) -> None:
    axes.set_facecolor(PAPER)
    axes.spines[["top", "right"]].set_visible(False)


def _level_title(found: Search, index: int) -> str:
    ends = {0: "noise, ", len(found.levels) - 1: "answer, "}
    return f"{ends.get(index, '')}k = {found.levels[index]}"
