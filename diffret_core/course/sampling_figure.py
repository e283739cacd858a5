"""Which frames of a video are looked at, drawn on a time line, for videos of different lengths under one slider."""

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from diffret_core.course.layout import AXIS, axis_title, base_layout, slider
from diffret_core.course.style import GENERATED, INK, QUIET, SIMILARITY
from diffret_core.frames import sample_frame_indices

Number = float | int
ROWS = ("kept", "proposed", "in the file")
_HEIGHT = 330


class Sampled(NamedTuple):
    """Seconds at which the frames of a video lie.

    Attributes:
        in_file: All of them; of a long video only so many that they can be told apart.
        proposed: One after every step.
        kept: At most F of those.
    """

    in_file: list[float]
    proposed: list[float]
    kept: list[float]


def sample_times(duration: Number, video_rate: Number, *, frames_per_second: Number, max_frames: int) -> Sampled:
    """Sample a video of some length.

    Args:
        duration: Its length in seconds.
        video_rate: Frames per second of the file.
        frames_per_second: Frames that are proposed for a second.
        max_frames: F.
    """
    num_frames = round(duration * video_rate)
    proposed = sample_frame_indices(num_frames, video_rate, max_frames=num_frames, frames_per_second=frames_per_second)
    kept = sample_frame_indices(num_frames, video_rate, max_frames=max_frames, frames_per_second=frames_per_second)
    every = -(-num_frames // 300)  # more marks than that would run together
    rows = (range(0, num_frames, every), proposed, kept)
    return Sampled(*([round(index / video_rate, 3) for index in row] for row in rows))


def sampling_figure(
    durations: Sequence[Number], video_rate: Number, *, frames_per_second: Number = 1, max_frames: int = 12
) -> go.Figure:
    """Draw frames in the file, proposed and kept, one below the other, under a slider over the length of the video.

    Args:
        durations: Lengths in seconds, one for each place of the slider.
        video_rate: Frames per second of the file.
        frames_per_second: Frames that are proposed for a second.
        max_frames: F.
    """
    sampled = [
        sample_times(duration, video_rate, frames_per_second=frames_per_second, max_frames=max_frames)
        for duration in durations
    ]
    names = [f"{duration:g} s" for duration in durations]
    layouts = [_axis(duration, times, max_frames) for duration, times in zip(durations, sampled, strict=True)]
    figure = go.Figure(data=_rows(sampled[0]), layout=base_layout("", height=_HEIGHT).update(layouts[0]))
    figure.update_layout(
        margin={"l": 90, "b": 84},
        yaxis=AXIS | {"tickvals": [0, 1, 2], "ticktext": list(ROWS), "range": [-0.6, 2.6]},
        sliders=[slider(names, "length of the video: ") | {"y": -0.3}],
    )
    figure.frames = [
        go.Frame(name=name, data=_rows(times), layout=layout)
        for name, times, layout in zip(names, sampled, layouts, strict=True)
    ]
    return figure


def _rows(times: Sampled) -> list[go.Scatter]:
    looks = {
        "kept": {"symbol": "circle", "size": 12, "color": GENERATED},
        "proposed": {"symbol": "line-ns", "size": 14, "line": {"width": 2, "color": SIMILARITY}},
        "in the file": {"symbol": "line-ns", "size": 9, "line": {"width": 1, "color": QUIET}},
    }
    values = {"kept": times.kept, "proposed": times.proposed, "in the file": times.in_file}
    return [
        go.Scatter(
            x=values[row],
            y=[place] * len(values[row]),
            mode="markers",
            marker=looks[row],
            hovertemplate=f"{row}: %{{x:.2f}} s<extra></extra>",
        )
        for place, row in enumerate(ROWS)
    ]


def _axis(duration: Number, times: Sampled, max_frames: int) -> dict:
    """What changes with the length: the axis of time, and the sentence above."""
    said = f"{len(times.proposed)} proposed, {len(times.kept)} kept (F = {max_frames})"
    if len(times.kept) < len(times.proposed):
        said += f": one frame every {(times.kept[-1] - times.kept[0]) / max(1, len(times.kept) - 1):.1f} s"
    elif len(times.kept) < max_frames:
        said += f": {max_frames - len(times.kept)} of the {max_frames} places stay empty"
    return {
        "title": {"text": f"<b>{said}</b>", "x": 0.02, "font": {"size": 14, "color": INK}},
        "xaxis": AXIS
        | {
            "range": [-0.02 * duration, 1.02 * duration],
            "title": axis_title("seconds"),
            "ticks": "outside",
        },
    }
